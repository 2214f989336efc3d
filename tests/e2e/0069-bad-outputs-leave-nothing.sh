# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

mkdir app
head -c 6000000 /dev/urandom > app/data
printf 'FROM busybox\nCOPY data /data\n' > app/Dockerfile
check "an image builds" kiln build -t app app

# A small file system in a mount namespace of its own.
if [ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null; then
	cat > full.sh <<'END'
mkdir -p small && mount -t tmpfs -o size=3m none small && cd small || exit 9
echo before > kept.tar
for output in "$@"; do
	"$KILN" build -q -o "$output" ../app && exit 8
	[ $? = 1 ] || exit 7
	[ "$(cat kept.tar)" = before ] || exit 6
	rm -rf tree layout/blobs
	[ "$(find . -type f)" = ./kept.tar ] || { find . > ../left; exit 5; }
done
exit 0
END
	for output in type=oci,dest=kept.tar type=docker,dest=kept.tar type=tar,dest=kept.tar type=oci,compression=zstd,dest=new.tar; do
		check "a full disk in the middle of $output" unshare -m bash full.sh $output
		prints "is told" '^ERROR: .*No space left on device'
	done
	check "nor does a folder stay half an image" unshare -m bash -c 'mkdir -p small && mount -t tmpfs -o size=3m none small &&
		! "$KILN" build -q -o type=oci,tar=false,dest=small/layout app && [ ! -e small/layout/index.json ] && [ -z "$(find small -name "*.tmp*")" ]'
	check "nor a file of a folder half of it" unshare -m bash -c 'mkdir -p small && mount -t tmpfs -o size=3m none small &&
		! "$KILN" build -q -o small/tree app && [ ! -e small/tree/data ] && [ -z "$(find small -name ".kiln-tmp*")" ]'
	check "saving" unshare -m bash -c 'mkdir -p small && mount -t tmpfs -o size=3m none small && ! "$KILN" save app -o small/x.tar && [ -z "$(ls -A small)" ]'
	prints "is no different" 'No space left on device'
else
	skip "a full disk leaves nothing" "needs root and mount namespaces"
fi
if [ -e /dev/full ]; then
	kiln save app > /dev/full 2> "$WORK/err"
	test $? = 1; ok "a full device is told too" $?
	kiln build -o - app > /dev/full 2> "$WORK/err"
	test $? = 1; ok "and by a build" $?
fi
kiln save app 2> "$WORK/err" | head -c 100000 > /dev/null
test "${PIPESTATUS[0]}" = 1; ok "a reader that goes away ends a save" $?

refused() { # refused NAME REGEX COMMAND...
	name=$1 regex=$2
	shift 2
	fails "$name" 1 "$@"
	prints "... and says why" "$regex"
}
for name in UPPER bad..name 'a b' -x '' app:-tag app:$(printf '%0129d' 0) "app@sha256:$(printf '%064d' 0)"; do
	refused "no image gets the name '${name:0:20}'" 'ERROR: invalid tag|^kiln tag: unknown' kiln tag -- app "$name"
done
fails "nor from a build" 2 kiln build -t Bad app
prints "... which is told before anything runs" 'invalid tag "Bad"'
test "$(kiln images | wc -l)" = 3; ok "there is no other image for it" $?

# A server that takes nothing.
mkdir www && serve_http www
kiln tag app "127.0.0.1:$HTTP_PORT/app:v1"
refused "a registry that takes no upload" "ERROR: push 127.0.0.1:$HTTP_PORT/app:v1: " kiln push "127.0.0.1:$HTTP_PORT/app:v1"
prints "... and with which answer" '501|Unsupported'
refused "nor one of a build" "failed to solve: push 127.0.0.1:$HTTP_PORT/app:v2: " kiln build -t "127.0.0.1:$HTTP_PORT/app:v2" --push app
prints "... whose steps ended well" '^#[0-9]+ (DONE|CACHED)'
kiln rmi "127.0.0.1:$HTTP_PORT/app:v1" > out

printf 'not a tar' > bad.tar
refused "text is no archive" "not a sound tar archive" kiln load -i bad.tar
: > empty.tar
refused "nothing is no archive" "ERROR: load 'empty.tar'" kiln load -i empty.tar
kiln save app -o good.tar
for size in 700 100000 3000000; do
	head -c $size good.tar > torn.tar
	refused "an archive that ends after $size bytes" "ERROR: load 'torn.tar'" kiln load -i torn.tar
done
python3 - <<'END'
import io, json, tarfile
def make(name, files):
    with tarfile.open(name, "w") as t:
        for path, data in files:
            info = tarfile.TarInfo(path)
            if isinstance(data, tuple):
                info.type, info.linkname = data
                t.addfile(info)
                continue
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
good = tarfile.open("good.tar")
files = [(m.name, good.extractfile(m).read()) for m in good if m.isfile()]
flip = lambda d: d[:len(d) // 2] + bytes([d[len(d) // 2] ^ 1]) + d[len(d) // 2 + 1:]
big = max((f for f in files), key=lambda f: len(f[1]))[0]
make("flipped.tar", [(n, flip(d) if n == big else d) for n, d in files])
make("escape.tar", files + [("../../escaped", b"x")])
make("symlink.tar", [(n, (tarfile.SYMTYPE, "/etc/passwd") if n == big else d) for n, d in files])
make("device.tar", files + [("dev", (tarfile.CHRTYPE, ""))])
docker = json.dumps([{"Config": "../../etc/passwd", "RepoTags": ["x:1"], "Layers": []}]).encode()
make("outside.tar", [("manifest.json", docker)])
make("badname.tar", [(n, d.replace(b'app:latest', b'APP:latest') if n == "manifest.json" else d) for n, d in files if n != "index.json"])
make("nojson.tar", [(n, b"{" * 1000 if n.endswith(".json") else d) for n, d in files])
END
for archive in flipped escape symlink device outside badname nojson; do
	refused "a malicious archive ($archive)" "ERROR: load '$archive.tar'" kiln load -i $archive.tar
done
test ! -e ../escaped && test ! -e ../../escaped; ok "nothing is written outside" $?
KILN_ROOT=$WORK/fresh quietly kiln load -i flipped.tar
test -z "$(KILN_ROOT=$WORK/fresh kiln images -q)"; ok "a fresh store gets no image of it" $?

# An image that a build stands on cannot go while it runs.
printf 'FROM busybox\nRUN echo base > /base\n' > Dockerfile
check "a base is built" kiln build -t base .
printf 'FROM base\nRUN echo started; sleep 3; cat /base > /mine\nRUN cat /base >> /mine\n' > Dockerfile
kiln build --progress=plain -t above . > "$WORK/out" 2> "$WORK/err" &
build=$!
for _ in $(seq 200); do
	grep -q ' started$' "$WORK/err" && break
	sleep 0.1
done
kiln rmi base busybox > rmi.out 2>&1
test $? = 0; ok "the names of a running build's base can be removed" $?
kiln prune -a -f > prune.out 2>&1
wait $build; ok "and the build is not hurt" $?
check "its image runs" kiln run --rm above cat /mine
test "$(grep -c base "$WORK/out")" = 2; ok "and has what it should" $?
check "the store is whole" kiln store verify
kill $HTTP_SERVER
finish
