# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

terminal=$(cd "$(dirname "$0")/../fixtures" && pwd)/terminal.py
mark=98$$ # nothing else sleeps this long
gone() { # gone NAME: no process of a step runs on
	for _ in $(seq 50); do
		pgrep -f "sleep $mark" > /dev/null || break
		sleep 0.1
	done
	! pgrep -f "sleep $mark" > /dev/null
	ok "$1" $?
}

cat > Dockerfile <<END
FROM busybox
RUN (setsid sh -c 'trap "" TERM HUP INT; sleep $mark & sleep $mark' > /dev/null 2>&1 &); echo started
END
check "a step that leaves daemons behind ends" timeout 60 "$KILN" build .
gone "and they end with it"
cat > Dockerfile <<END
FROM busybox
RUN setsid sh -c 'sleep $mark & sleep $mark' & sleep 0.2; exit 4
END
fails "one that fails" 1 timeout 60 "$KILN" build .
gone "takes them along, too, though they hold its output"
cat > Dockerfile <<END
FROM busybox
RUN trap "" INT TERM; (setsid sleep $mark &); echo ready; sleep $mark; sleep $mark
END
"$KILN" build --progress=plain . > out 2> err &
build=$!
for _ in $(seq 100); do grep -q ' ready$' err && break; sleep 0.1; done
kill -INT $build
wait $build
test $? = 130; ok "an interrupted build ends at once" $?
gone "with all its processes, whatever they think of signals"

cat > Dockerfile <<'END'
FROM busybox
RUN read line; echo "read:$?:$line:"
RUN exec > /dev/null 2>&1 0<&-; sleep 0.2; echo unseen
RUN exec 1>&- 2>&-; sleep 0.2; true
RUN printf 'bytes:\001\177\200\377\000|\n'
END
check "steps may read, and close what they print to" timeout 60 "$KILN" build --progress=rawjson .
prints "there is nothing to read" "$(printf 'read:1::' | base64 | cut -c1-8)"
grep -qF "$(printf 'bytes:\001\177\200\377\000|\n' | base64)" err; ok "and all bytes of what they print are kept" $?

cat > Dockerfile <<'END'
FROM busybox
RUN printf 'a\033[2Jb\033]0;title\007c\b\233e\n'; sleep 0.3
END
python3 "$terminal" "$KILN" build --progress=tty . > raw < /dev/null 2> err
test $? = 0; ok "a step that prints escapes shows on a terminal" $?
grep -aq 'a\\x1b\[2Jb\\x1b\]0;title\\x07c' raw; ok "as what they are" $?
! grep -aq "$(printf 'a\033')" raw && ! grep -aq "$(printf '\033]0;title')" raw; ok "and does nothing to it" $?

# What a step prints passes through: kiln takes no more memory for a gigabyte.
cat > Dockerfile <<'END'
FROM busybox
RUN yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 1073741824
END
cat > measure.py <<'END'
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10, "MiB")
sys.exit(status)
END
check "a step prints a gigabyte" timeout 300 python3 measure.py "$KILN" build --progress=plain .
is_sanitized || test "$(awk '/^peak/ {print $2}' out)" -lt 200; ok "and kiln stays below 200 MiB" $?

if [ "$(id -u)" = 0 ] && truncate -s 64M disk && mkfs.ext4 -q disk 2> err && mkdir small && mount -o loop disk small 2> err; then
	KILN_ROOT=$WORK/small/store fails "a step that fills the disk fails" 1 timeout 120 "$KILN" build - <<'END'
FROM busybox
RUN dd if=/dev/zero of=/big bs=1M count=200
END
	prints "for want of space" 'No space left on device'
	KILN_ROOT=$WORK/small/store check "the next one has what it left" timeout 60 "$KILN" build - <<'END'
FROM busybox
RUN dd if=/dev/zero of=/small bs=1M count=4
END
	umount small
else
	skip "a step that fills the disk fails" "needs root, loop devices and mkfs.ext4"
fi
finish
