# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# A small file system of its own, gone with this shell's mount namespace.
if [ -z "${KILN_SMALL_DISK-}" ]; then
	if ! unshare -m true 2> /dev/null; then
		skip "a full disk" "needs root"
		finish
		exit 0
	fi
	cd / && rm -rf "$WORK"
	KILN_SMALL_DISK=1 exec unshare -m bash "$here/$(basename "$0")"
fi
mkdir -p "$KILN_ROOT" && mount -t tmpfs -o size=16m,mode=0700 none "$KILN_ROOT" || exit 1
mkdir app && cd app || exit 1
printf 'FROM busybox\nRUN echo kept > /kept\n' > Dockerfile
check "a small image builds" kiln build -t small .

printf 'FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=30\n' > Dockerfile
fails "a step that fills the disk fails" 1 kiln build -t big .
prints "with what the program says" 'No space left on device'
prints "and whose disk it is" "^the disk of the store, $KILN_ROOT, has no space left: "
dd if=/dev/zero of=big bs=1M count=30 2> /dev/null
printf 'FROM busybox\nCOPY big /big\n' > Dockerfile
fails "a copy that fills the disk fails" 1 kiln build -t big .
prints "with what was to be written" '^ERROR: .*No space left on device$'
rm -f big
test -z "$(ls "$KILN_ROOT/tmp")"; ok "nothing half written stays" $?
check "the store is whole" kiln store verify
printf 'FROM busybox\nRUN echo kept > /kept\n' > Dockerfile
check "and what it had before is there" kiln build -t small .
test "$(grep -c CACHED "$WORK/err")" = 2; ok "to be found" $?
check "and to be run" kiln run --rm small cat /kept

mkdir ../small && mount -t tmpfs -o size=1m none ../small || exit 1
dd if=/dev/zero of=big bs=1M count=2 2> /dev/null
printf 'FROM scratch\nCOPY big /dir/big\n' > Dockerfile
fails "a directory on a full disk is not exported to" 1 kiln build -o ../small .
prints "it is named, and the file" "^ERROR: .*export to directory '../small': write 'dir/big': No space left on device\$"
prints "and which disk needs space" "^free some space on the disk of '../small'\$"
umount ../small
cd / && umount "$KILN_ROOT"
finish
