# SPDX-License-Identifier: Apache-2.0
# SIGINT and SIGTERM end kiln whatever it is at. What it still does after the signal is counted as processor
# time and bytes read and written, which a loaded machine does not change; the work that it leaves undone is
# more than that.
. "$(dirname "$0")/lib.sh"

# Milliseconds of the processor: with a sanitizer all takes more.
MUCH=400
! is_sanitized || MUCH=4000

# interrupted NAME SIGNAL AFTER_MS COMMAND...: the command is sent the signal after so much work, and ends
# with 130 without much more.
interrupted() {
	name=$1 signal=$2 after=$3
	shift 3
	quietly python3 "$(dirname "$0")/../fixtures/interrupt.py" "$signal" "$after" -- "$@"
	r=$?
	read -r status ms bytes < out
	[ $r -eq 0 ] && [ "$status" -eq 130 ] && [ "$ms" -lt "$MUCH" ] && [ "$bytes" -lt 100000000 ]
	ok "$name" $?
	[ $r -eq 0 ] || tail -n 3 interrupted.log
}

# --- A step's result, a context

mkdir step sparse
printf 'FROM busybox\nRUN truncate -s 40G /big\n' > step/Dockerfile
interrupted "SIGINT ends reading back what a step left" INT 100 "$KILN" build step
truncate -s 40G sparse/f
printf 'FROM busybox\nRUN --mount=type=bind,target=/c true\n' > sparse/Dockerfile
interrupted "SIGTERM ends preparing a context for a mount" TERM 100 "$KILN" build sparse
printf 'FROM busybox\nCOPY f /\nCOPY f /two\n' > sparse/Dockerfile
interrupted "SIGINT ends copying into a blob" INT 100 "$KILN" build sparse
printf 'FROM busybox\nCOPY f /\nRUN true\n' > sparse/Dockerfile
interrupted "SIGINT ends copying into a directory" INT 100 "$KILN" build sparse

# --- Archives

mkdir archive
python3 "$(dirname "$0")/../fixtures/make_bombs.py" archive/deep archive/zeros 3
printf 'FROM scratch\nADD zeros /\n' > archive/Dockerfile
interrupted "SIGINT ends unpacking an archive" INT 100 "$KILN" build archive
interrupted "SIGTERM ends reading a context that is an archive" TERM 100 "$KILN" build - < archive/zeros
interrupted "SIGINT ends an import" INT 100 "$KILN" import archive/zeros
interrupted "SIGINT ends a load" INT 100 "$KILN" load -i archive/zeros
printf 'FROM scratch\nADD deep /\n' > archive/Dockerfile
fails "a name of 20,000 directories is refused" 1 kiln build archive
prints "with its length" "has 40001 bytes and 20001 components: 32767 and 2048 are allowed"

# --- Images: a file of 512 MiB that is a hole

printf 'FROM busybox\nRUN truncate -s 512M /big\n' > step/Dockerfile
check "a step may leave a hole" kiln build -q -t hole step
[ "$(du -sm "$KILN_ROOT" | cut -f1)" -lt 50 ]
ok "which takes no room" $?
interrupted "SIGINT ends an export as a tar" INT 50 "$KILN" build -q -o type=tar,dest=out.tar step
interrupted "SIGTERM ends compression" TERM 100 "$KILN" build -q -o type=oci,dest=out.oci step
interrupted "SIGINT ends zstd" INT 50 \
	"$KILN" build -q -o type=oci,dest=out.oci,compression=zstd,force-compression=true step
interrupted "SIGINT ends a save" INT 50 "$KILN" save -o saved.tar hole
interrupted "SIGTERM ends a verification" TERM 50 "$KILN" store verify
check "which has damaged nothing" kiln store verify
check "files are exported" kiln build -q -o type=local,dest=files step
[ "$(stat -c %s files/big)" -eq 536870912 ] && [ "$(du -m files/big | cut -f1)" -lt 10 ]
ok "and holes stay holes" $?
[ -z "$(ls out.tar out.oci saved.tar 2> /dev/null)" ]
ok "nothing half written is left" $?

finish
