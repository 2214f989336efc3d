# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Whatever is done to the files of a context between two builds, or during one, the image has what is there.
holds() { # holds NAME TEXT [COMMAND...]: the image has it in /src/f, and so has a RUN with a bind mount
	name=$1 want=$2
	shift 2
	[ $# -gt 0 ] || set -- kiln
	quietly "$@" build -t test app && [ "$("$KILN" run --rm test cat /src/f /bound)" = "$want
$want" ]
	ok "$name" $?
}

mkdir -p app/src
cat > app/Dockerfile <<'X'
FROM busybox
COPY src /src
RUN --mount=type=bind,source=src,target=/m cat /m/f > /bound
X
cat > app/.dockerignore <<'X'
other
X
echo one > app/src/f
touch -d '2020-01-01 00:00:00' app/src/f
sleep 0.1 # so that the stat index may know it
holds "a file" one
holds "again" one

echo two > app/src/f
touch -d '2020-01-01 00:00:00' app/src/f
holds "a checkout with the old time and size" two
sleep 0.1
holds "again" two
echo six > app/src/f~
touch -d '2020-01-01 00:00:00' app/src/f~
mv app/src/f~ app/src/f
holds "a file that was replaced, as editors do" six
ln app/src/f app/link
sleep 0.1
holds "a file with another name" six
printf 'ten\n' | dd of=app/link conv=notrunc status=none
touch -d '2020-01-01 00:00:00' app/link
holds "a write through that name" ten
rm app/link
ln -sf ../../outside app/src/l
holds "a link that leads out of the context stays a link" ten
rm app/src/l

mkdir app/other
echo 111 > app/other/f
touch -d '2020-01-01 00:00:00' app/other/f
sleep 0.1
holds "before something is mounted" ten
# The same name, size, mode and time, on the same file system.
in_mount() {
	unshare --mount sh -c 'mount --bind app/other app/src && exec "$0" "$@"' "$KILN" "$@"
}
if [ "$(id -u)" = 0 ] && unshare --mount true 2> /dev/null; then
	holds "a directory that is mounted over it" 111 in_mount
else
	skip "a directory that is mounted over it" "needs root"
fi
holds "and what was below" ten

# A directory in the place of a file, and back.
rm app/src/f && mkdir app/src/f && echo x > app/src/f/x
fails "a directory in its place" 1 kiln build -t test app
rm -r app/src/f && echo end > app/src/f
holds "and a file again" end

# A file that somebody writes to all the time.
head -c 67108864 /dev/zero > app/src/busy
python3 - app/src/busy <<'X' &
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
n = 0
while True:
    os.pwrite(fd, bytes([n % 256]), n % 1000)
    n += 1
    if n == 1:
        open("writing", "w").close()
X
writer=$!
for _ in $(seq 100); do [ ! -e writing ] || break; sleep 0.1; done
fails "a file that never rests cannot be copied" 1 kiln build -t test app
prints "and is named" "src/busy'.*keeps changing while it is read"
printf 'FROM busybox\nRUN --mount=type=bind,source=src,target=/m true\n' > app/Dockerfile
fails "nor can it be hashed" 1 kiln build -t test app
prints "and is named" "src/busy' keeps changing while it is read"
kill "$writer" && wait "$writer" 2> /dev/null
check "once it rests it can" kiln build -t test app
check "the store is whole" kiln store verify
finish
