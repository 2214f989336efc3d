# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir -p app/dir
echo data > app/dir/file
chmod 640 app/dir/file
ln -s file app/dir/link
cat > app/Dockerfile <<'END'
FROM busybox AS base
WORKDIR /work
COPY dir ./
RUN mkdir -p /made/deep && echo x > /made/deep/x && ln /made/deep/x /made/hard && rm /bin/vi && chmod 1777 /made && umask > /made/umask
COPY --chown=7:8 --chmod=4711 Dockerfile /owned
RUN chown -R 12:34 /made/deep && mkfifo /fifo && date +%Z > /zone && env | sort > /environment
FROM busybox
COPY --from=base /made /made
COPY --from=base /zone /environment /
RUN mkdir /late && touch -d '2001-02-03 04:05:06' /late/old
ENV A=1
CMD ["cat", "/zone"]
END
digest() { # digest NAME COMMAND...: builds into a store of its own, with the outputs' digest in NAME.json
	name=$1
	shift
	rm -rf "$WORK/$name.store"
	KILN_ROOT=$WORK/$name.store quietly "$@" "$KILN" build --metadata-file "$WORK/$name.json" \
		--platform linux/amd64 -o "type=oci,dest=$WORK/$name.tar,name=app:v1$more" $flags app
}
same() { # same NAME OTHER
	test -s "$WORK/$2.tar" && cmp -s "$WORK/$1.tar" "$WORK/$2.tar"
}

export SOURCE_DATE_EPOCH=1700000000
flags='' more=',rewrite-timestamp=true'
digest first env TZ=UTC LC_ALL=C; ok "a build with SOURCE_DATE_EPOCH and rewrite-timestamp" $?
cp -r app later && rm -rf app && mv later app # other times
digest second env TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 TMPDIR=/var/tmp sh -c 'umask 077 && exec "$@"' sh
same first second; ok "gives the same bytes in another store, time zone, umask and locale" $?
digest third taskset -c 0
same first third; ok "and on one core" $?
more=',rewrite-timestamp=true,compression=zstd'
digest zstd1 env && digest zstd2 taskset -c 0
same zstd1 zstd2; ok "with zstd too" $?
unset SOURCE_DATE_EPOCH

flags=--reproducible more=
digest fourth env; ok "--reproducible alone" $?
digest fifth env TZ=Asia/Tokyo sh -c 'umask 027 && exec "$@"' sh
same fourth fifth; ok "gives the same bytes each time" $?
quietly python3 - "$WORK/fourth.tar" <<'END'; ok "without a time of today in them" $?
import io, json, sys, tarfile
outer = tarfile.open(sys.argv[1])
read = lambda digest: outer.extractfile("blobs/sha256/" + digest.split(":")[1]).read()
[entry] = json.load(outer.extractfile("index.json"))["manifests"]
manifest = json.loads(read(entry["digest"]))
config = json.loads(read(manifest["config"]["digest"]))
assert config["created"] == "1970-01-01T00:00:00Z", config["created"]
assert all(h["created"] == "1970-01-01T00:00:00Z" for h in config["history"][1:]), config["history"]
for layer in manifest["layers"][1:]:
    for member in tarfile.open(fileobj=io.BytesIO(read(layer["digest"]))):
        assert member.mtime == 0, (member.name, member.mtime)
END
check "the image in the store" kiln build --reproducible -t stored app
kiln tag stored "$REGISTRY/e2e/reproducible:v1"
check "is pushed" kiln push "$REGISTRY/e2e/reproducible:v1"
pushed=$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' "$WORK/out")
grep -q "\"containerimage.digest\": \"$pushed\"" "$WORK/fourth.json"; ok "under the same digest" $?
check "a number wins over --reproducible" kiln build --reproducible --build-arg SOURCE_DATE_EPOCH=86400 -t dated app
kiln inspect -f '{{.Created}}' dated > "$WORK/out"
prints "and dates the image" '^1970-01-02T00:00:00Z$'

# As another user: the same but for the kernel's own differences.
if [ "$(id -u)" = 0 ] && setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups unshare -Ur true 2> /dev/null; then
	lock_accounts
	cp /etc/subuid "$WORK/subuid" && cp /etc/subgid "$WORK/subgid"
	echo "$PLAIN_USER:3000000000:65536" >> /etc/subuid && echo "$PLAIN_USER:3000000000:65536" >> /etc/subgid
	echo "kilnrepro:x:$PLAIN_USER:$PLAIN_USER::/:/bin/sh" >> /etc/passwd
	chmod 755 "$WORK" && chmod -R a+rX app && mkdir rootless && chown $PLAIN_USER:$PLAIN_USER rootless
	cp -r app rootless/app
	KILN_ROOT=$WORK/root.store quietly kiln build --reproducible -o type=oci,dest=root.tar rootless/app
	ok "as root" $?
	KILN_ROOT=$WORK/rootless/store quietly setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups \
		"$KILN" build --reproducible -o type=oci,dest=rootless/rootless.tar rootless/app
	ok "and as another user" $?
	sed -i '/^kilnrepro:/d' /etc/passwd
	cat "$WORK/subuid" > /etc/subuid && cat "$WORK/subgid" > /etc/subgid
	cmp root.tar rootless/rootless.tar > out; ok "the bytes are the same" $?
else
	skip "root and rootless give the same" "needs root and user namespaces"
fi
finish
