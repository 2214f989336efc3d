# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ] || ! command -v podman > /dev/null || ! command -v buildah > /dev/null; then
	skip "podman and buildah take images and give them" "needs root, podman and buildah"
	finish
	exit 0
fi
# A storage of their own; vfs needs nothing of the kernel.
theirs="--root $WORK/pods --runroot $WORK/pods.run --storage-driver vfs"
pod() {
	# shellcheck disable=SC2086 # a list of words
	podman $theirs --cgroup-manager cgroupfs --events-backend none "$@"
}
bud() {
	# shellcheck disable=SC2086
	buildah $theirs "$@"
}
mkdir app
cat > app/Dockerfile <<'END'
FROM busybox
RUN mkdir /d && echo hi > /d/hi && ln /d/hi /d/hard && chown 5:6 /d/hi && chmod 2751 /d && rm /bin/vi
COPY Dockerfile /copied
LABEL color=blue
ENV A=1
WORKDIR /d
CMD ["cat", "hi"]
END
for form in gzip zstd uncompressed; do
	check "an image with $form layers is pushed" kiln build -o "type=registry,name=$REGISTRY/pod/$form:v1,compression=$form" app
	check "podman pulls it" pod pull --tls-verify=false "$REGISTRY/pod/$form:v1"
done
check "podman inspects it" pod image inspect -f '{{.Config.Labels.color}} {{.Config.WorkingDir}} {{len .RootFS.Layers}}' "$REGISTRY/pod/gzip:v1"
prints "as it was built" '^blue /d 4$'
check "its history is read" pod history --format '{{.CreatedBy}}' "$REGISTRY/pod/gzip:v1"
prints "with the steps" '^CMD \["cat" "hi"\]'
at=$(pod image mount "$REGISTRY/pod/zstd:v1")
test "$(stat -c %a:%u:%g:%h "$at/d/hi")" = 644:5:6:2 && test "$(stat -c %a "$at/d")" = 2751 && test ! -e "$at/bin/vi" && cmp -s app/Dockerfile "$at/copied"
ok "and mounted, its files are those of the build" $?
pod image unmount "$REGISTRY/pod/zstd:v1" > out
check "an archive" kiln build -t saved:v1 app
kiln save saved:v1 | quietly pod load -q
ok "is loaded by podman from a pipe" $?
prints "under its name" 'saved:v1$'
if pod run --rm --network none --ulimit host "$REGISTRY/pod/gzip:v1" > "$WORK/out" 2> "$WORK/err"; then
	prints "podman runs it" '^hi$'
else
	skip "podman runs it" "$(tail -n 1 "$WORK/err")"
fi

printf 'FROM %s/pod/gzip:v1\nRUN rm -rf hard && echo more > more\nCOPY --chown=7:8 app /app\nLABEL from=podman\n' "$REGISTRY" > Podfile
check "podman builds on it" pod build --tls-verify=false --isolation chroot -t theirs:v1 -f Podfile .
check "as docker's archive" pod save -q -o docker.tar theirs:v1
check "as an OCI archive" pod save -q --format oci-archive -o oci.tar theirs:v1
check "as a layout" pod save -q --format oci-dir -o layout theirs:v1
container=$(bud from --pull-never theirs:v1)
check "buildah changes it" bud config --label by=buildah --env B=2 "$container"
check "and commits it" bud commit -q "$container" twice:v1
check "to an archive" bud push -q twice:v1 "docker-archive:$WORK/buildah.tar:twice:v1"
check "and to a registry" bud push -q --tls-verify=false twice:v1 "docker://$REGISTRY/pod/twice:v1"
check "with zstd too" skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-compress-format zstd --dest-compress \
	"docker://$REGISTRY/pod/twice:v1" "oci:zstd:v1"
for archive in docker.tar oci.tar layout; do
	export KILN_ROOT=$WORK/store.$archive
	check "what podman saved loads ($archive)" kiln load -i $archive
	prints "under podman's name" '^Loaded image: localhost/theirs:v1$'
	check "and runs" kiln run --rm localhost/theirs:v1 sh -c 'ls /d; stat -c %u:%g /app/Dockerfile'
	test "$(tr '\n' ' ' < "$WORK/out")" = "hi more 7:8 "; ok "with the files it should have" $?
	printf 'FROM localhost/theirs:v1\nRUN cat more > most\n' > Dockerfile
	check "and is a base" kiln build -t most .
	kiln inspect -f '{{index .Config.Labels "from"}} {{.Config.WorkingDir}}' most > "$WORK/out"
	prints "whose config is kept" '^podman /d$'
done
export KILN_ROOT=$WORK/store
check "what buildah pushed to an archive loads" kiln load -i buildah.tar
prints "under its name" '^Loaded image: twice:v1$'
printf 'FROM twice:v1\nRUN test "$A$B" = 12\n' > Dockerfile
check "and is a base" kiln build .
printf 'FROM %s/pod/twice:v1\nRUN test "$A$B" = 12\n' "$REGISTRY" > Dockerfile
check "and so is what it pushed to a registry" kiln build .
printf 'FROM theirs\nRUN test "$A$B" = 12\n' > Dockerfile
check "and a layout with zstd layers" kiln build --build-context theirs=oci-layout://zstd:v1 .
check "the store is whole" kiln store verify
pod rm -fa > out 2>&1
bud rm -a > out 2>&1
umount "$WORK/pods" 2> /dev/null # podman leaves a bind of its storage on itself
finish
