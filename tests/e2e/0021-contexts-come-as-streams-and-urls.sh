# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir -p ctx/sub www
printf 'FROM scratch\nCOPY . /\n' > ctx/Dockerfile
printf 'FROM scratch\nCOPY sub /only\n' > ctx/sub/Dockerfile.other
echo text > ctx/sub/f
chmod 640 ctx/sub/f
echo sub > ctx/.dockerignore
build() { # build ARG...: a context on stdin, into the folder `tree`
	rm -rf tree
	quietly kiln build -o tree "$@"
}

tar -c -C ctx . | build -; ok "a tar on standard input is a context" $?
cmp -s ctx/sub/f tree/sub/f && test "$(stat -c %a tree/sub/f)" = 640; ok "taken as it is" $?
for flag in --gzip --bzip2 --xz --zstd; do
	tar -c $flag -C ctx . | build - && cmp -s ctx/sub/f tree/sub/f; ok "so is one packed with ${flag#--}" $?
done
tar -c -C ctx . | build -f sub/Dockerfile.other - && cmp -s ctx/sub/f tree/only/f
ok "-f names a Dockerfile in it" $?
tar -c -C ctx . | build -f nope -; test $? -eq 1; ok "a wrong name is an error" $?
prints "that names it" 'failed to read dockerfile: open nope: no such file in the context'
printf 'FROM scratch\nCOPY <<E /f\nhello\nE\n' | build - && test "$(cat tree/f)" = hello
ok "a Dockerfile on standard input is built without a context" $?
printf 'FROM scratch\nCOPY f /\n' | build -; prints "in which there is no file" '"/f": not found'
printf 'FROM scratch\nCOPY sub/f /here\n' | build -f - ctx; test $? -eq 1
ok "-f - takes it for a context, whose ignore file counts" $?
printf 'FROM scratch\nCOPY Dockerfile /here\n' | build -f - ctx && cmp -s ctx/Dockerfile tree/here
ok "and whose other files are there" $?
build -f - - < /dev/null; prints "but not for both" "can't use stdin for both build context and dockerfile"
cat ctx/Dockerfile | build -f ctx/Dockerfile -; prints "two Dockerfiles are one too many" 'ambiguous Dockerfile source'
printf '' | build -; prints "nothing is no Dockerfile" 'the Dockerfile cannot be empty'
tar -cz -C ctx . | head -c 100 | build -; prints "a damaged archive is told" "unpack 'standard input': .*truncated"

find ctx -exec touch -d '2001-02-03 04:05:06 UTC' {} +
tar -c -C ctx . | quietly kiln build --build-arg SOURCE_DATE_EPOCH=context -o type=oci,dest=epoch.tar -
tar -xOf epoch.tar | grep -aq '"created":"2001-02-03T04:05:06Z"'; ok "SOURCE_DATE_EPOCH=context is its newest file's time" $?

tar -czf www/ctx.tgz -C ctx .
printf 'FROM scratch\nCOPY <<E /f\nhello\nE\n' > www/Dockerfile
serve_http www
URL=http://127.0.0.1:$HTTP_PORT
build $URL/ctx.tgz && cmp -s ctx/sub/f tree/sub/f; ok "the URL of an archive is a context" $?
build $URL/ctx.tgz && cmp -s ctx/sub/f tree/sub/f
prints "which is found again" '^#[0-9]+ CACHED$'
test "$(grep -c '^GET /ctx.tgz 200' http.log)" = 1; ok "without being fetched twice" $?
build -f sub/Dockerfile.other $URL/ctx.tgz && cmp -s ctx/sub/f tree/only/f; ok "-f names a file in it" $?
build $URL/Dockerfile && test "$(cat tree/f)" = hello; ok "the URL of a Dockerfile is one" $?
build -f $URL/Dockerfile ctx && test "$(cat tree/f)" = hello; ok "also with a context" $?
build $URL/nope; test $? -eq 1; ok "an unknown URL is an error" $?
prints "that gives the status" 'invalid response status 404'

hostile() { # hostile NAME WHY PYTHON: a tar made by Python lines on the TarFile t
	python3 - "$3" > bad.tar << 'PYTHON'
import io, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
def add(name, type=tarfile.REGTYPE, link="", data=b"", major=0):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.size, i.devmajor = type, link, len(data), major
    t.addfile(i, io.BytesIO(data))
add("Dockerfile", data=b"FROM scratch\nCOPY . /\n")
exec(sys.argv[1])
t.close()
PYTHON
	build - < bad.tar; test $? -eq 1; ok "$1 is refused" $?
	prints "and named" "$2"
}
hostile "an absolute name" "entry '/tmp/x': the name is absolute" 'add("/tmp/x")'
hostile "a name that leads out" "entry '../x': the name contains" 'add("../x")'
hostile "a file behind a symlink" "behind a symlink" 'add("l", tarfile.SYMTYPE, "/tmp"); add("l/x")'
hostile "a hard link to the outside" "target is absolute" 'add("h", tarfile.LNKTYPE, "/etc/passwd")'
hostile "a device" "it is a device" 'add("sda", tarfile.BLKTYPE, major=8)'
printf '{"limits": {"archive-size": "1MiB", "archive-entries": 20000}}\n' > limits.json
python3 -c 'import sys; sys.stdout.buffer.write(bytes(1 << 30))' | head -c 200M > zeros
tar -cz zeros > bomb.tgz
rm zeros
KILN_CONFIG=limits.json build - < bomb.tgz; prints "a bomb meets the configured limit" 'unpacks to more than 1048576 bytes'
python3 - > many.tar << 'PYTHON'
import sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
for i in range(20001):
    t.addfile(tarfile.TarInfo("d%d/f%d" % (i // 1000, i)))
t.close()
PYTHON
KILN_CONFIG=limits.json build - < many.tar; prints "so do too many entries" 'more than 20000 entries'
check "the store is sound after all this" kiln store verify
finish
