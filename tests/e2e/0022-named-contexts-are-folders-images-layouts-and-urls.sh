# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app extra www
echo extra > extra/e
echo web > www/w
printf 'FROM busybox\nCOPY e /\nENV FROM_BASE=yes\n' > extra/Dockerfile
build() { # build DOCKERFILE-TEXT ARG...: into the folder `tree`
	rm -rf tree
	printf '%b\n' "$1" > app/Dockerfile
	shift
	quietly kiln build -o tree "$@" app
}

build 'FROM scratch\nCOPY --from=more e /' --build-context more=extra && cmp -s extra/e tree/e
ok "a folder" $?
build 'FROM scratch\nCOPY --from=more /bin/sh /' --build-context more=docker-image://busybox && test -s tree/sh
ok "an image" $?
build 'FROM nosuch\nCOPY Dockerfile /' --build-context nosuch=docker-image://busybox && test -s tree/bin/sh
ok "an image in the place of another" $?
serve_http www
build 'FROM scratch\nCOPY --from=more context /w' --build-context more=http://127.0.0.1:$HTTP_PORT/w && cmp -s www/w tree/w
ok "a URL" $?
build 'FROM scratch\nCOPY --from=more e /' --build-context more=nosuchdir; test $? -eq 1; ok "a folder that is not there is an error" $?

# Layouts of several makers.
quietly kiln build -o type=oci,dest=own.tar,name=app:v1 extra; ok "an OCI archive is made" $?
quietly kiln build -o type=docker,dest=docker.tar,name=app:v1 extra; ok "a docker archive is made" $?
mkdir own && tar -xf own.tar -C own
quietly skopeo copy --insecure-policy oci-archive:own.tar oci:skopeo:v2; ok "skopeo makes a layout of it" $?
digest=$(sed -n 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/p' own/index.json)
use='FROM base\nRUN test "$FROM_BASE" = yes && cp /e /f'
for layout in own own:v1 own@$digest ./skopeo skopeo:v2 "$PWD/own:v1" own.tar own.tar:v1 docker.tar docker.tar:v1; do
	export KILN_ROOT=$WORK/fresh
	rm -rf "$KILN_ROOT"
	build "$use" --build-context base=oci-layout://$layout && cmp -s extra/e tree/f
	ok "oci-layout://${layout#$PWD/} as a base" $?
done
check "the store is sound" kiln store verify
build "FROM scratch\nCOPY --from=base /e /" --build-context base=oci-layout://own && cmp -s extra/e tree/e
ok "a layout to copy from" $?
build "$use\nRUN true" --build-context base=oci-layout://own:v1
prints "steps on it are found again" '^#[0-9]+ CACHED$'
KILN_ROOT=$WORK/store
build "$use" --build-context base=oci-layout://own && cmp -s extra/e tree/f
ok "a layout of layers that were made here" $?

fails "a missing layout is an error" 1 kiln build --build-context base=oci-layout://nowhere app
prints "that names it" 'oci-layout://nowhere: open: No such file or directory'
fails "a missing tag is an error" 1 kiln build --build-context base=oci-layout://own:v9 app
prints "that names it" 'no image tagged "v9"'
prints "and says what is there" 'it has: .*app:v1'
fails "a missing digest is an error" 1 kiln build --build-context base=oci-layout://own@${digest%??}00 app
fails "a folder that is no layout is an error" 1 kiln build --build-context base=oci-layout://www app
prints "that says why" "the layout lacks 'oci-layout'"
export KILN_ROOT=$WORK/fresh
rm -rf "$KILN_ROOT"
blob=$(find own/blobs -type f -size +20k | head -n 1)
printf x | dd of="$blob" conv=notrunc bs=1 seek=100 status=none
fails "a damaged layer is an error" 1 kiln build --build-context base=oci-layout://own app
prints "that names both digests" 'expected sha256:.*got sha256:|sha256:.* sha256:'
rm "$blob"
fails "a lost layer is an error" 1 kiln build --build-context base=oci-layout://own app
prints "that names it" "the layout lacks 'blobs/sha256/$(basename "$blob")'"
ln -s /etc/passwd "$blob"
fails "a symlink for a layer is an error" 1 kiln build --build-context base=oci-layout://own app
prints "that says so" 'is a symlink'
KILN_ROOT=$WORK/store
finish
