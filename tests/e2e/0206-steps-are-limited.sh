# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

cat > Dockerfile <<'END'
FROM busybox
RUN echo "open:$(ulimit -n) core:$(ulimit -c) shm:$(df -k /dev/shm | awk 'NR==2 {print $2}')"
END
check "steps have the limits that are asked for" kiln build --ulimit nofile=500:600 --ulimit core=0 --shm-size 8m .
prints "of descriptors, cores and shared memory" 'open:500 core:0 shm:8192'
fails "an unknown limit is refused" 2 kiln build --no-cache --ulimit nosuch=1 .
fails "so is an unknown resource" 2 kiln build --resource nosuch=1 .
prints "by its name" 'unknown key "nosuch"'
fails "and a size that is none" 2 kiln build -m lots .

# Can groups be made here at all?
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
	probe=/sys/fs/cgroup/kiln-probe-$$
	grep -qw pids /sys/fs/cgroup/cgroup.subtree_control && mkdir "$probe" 2> /dev/null && rmdir "$probe"
else
	probe=/sys/fs/cgroup/pids/kiln-probe-$$
	mkdir "$probe" 2> /dev/null && rmdir "$probe"
fi
if [ $? -ne 0 ] || [ "$(id -u)" != 0 ]; then
	fails "a limit that cannot be set is an error" 1 kiln build --no-cache --resource pids=5 .
	prints "that says so" 'limit a step: '
	finish
	exit 0
fi

cat > Dockerfile <<'END'
FROM busybox
RUN for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 3 & done; echo "all started"
END
fails "a step with too many processes fails" 2 timeout 60 sh -c '"$KILN" build --no-cache --resource pids=8 . || exit 2'
prints "as it cannot fork" "can't fork"
prints "and is told for what limit" '^the step had 8 processes and threads, and was allowed no more: --resource pids=N sets another limit$'
check "and works without the limit" kiln build --no-cache .
quietly timeout 60 "$KILN" build --resource pids=32 - <<'END'
FROM busybox
RUN bomb() { bomb & bomb & }; bomb; exec sleep 0.5
END
[ $? -ne 124 ]; ok "a fork bomb ends with its step" $?
prints "and has no more than its share" "can't fork"
check "which is bounded unasked" kiln build - <<'END'
FROM busybox
RUN echo "may have $(cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2> /dev/null)"
END
prints "so that other steps go on" 'may have 8192'
check "or none" kiln build --resource pids=-1 - <<'END'
FROM busybox
RUN echo "may have $(cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2> /dev/null)" # all
END
prints "at all" 'may have max'

if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
	cat > Dockerfile <<'END'
FROM busybox
RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes | sed 's/^/limit:/'
RUN cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu/cpu.cfs_quota_us | tr '\n' ' ' | sed 's/^/cpu:/'
END
	check "a step sees its limits" kiln build -m 64m -c 512 --resource cpu-period=100000,cpu-quota=50000 .
	prints "of memory" 'limit:67108864'
	prints "and of the processor" 'cpu:512 50000'
	cat > Dockerfile <<'END'
FROM busybox
RUN tail /dev/zero
END
	fails "a step that takes more memory is ended" 1 kiln build --memory 32m .
	prints "and told why" '^ERROR: .*"/bin/sh -c tail /dev/zero" did not complete successfully: cannot allocate memory$'
	prints "and by what limit" '^the step needs more memory than the 32MiB that --memory gives it$'
	cat > Dockerfile <<'END'
FROM busybox
RUN true
END
	check "groups can be made below another" kiln build --no-cache --cgroup-parent "kiln-test-$$" .
	rmdir /sys/fs/cgroup/*/"kiln-test-$$" 2> /dev/null
fi
! ls -d /sys/fs/cgroup/*/kiln-[0-9]*-[0-9]* 2> /dev/null | grep -q "kiln-$$-"; ok "no group is left" $?

if as_plain_user unshare -Ur true 2> /dev/null; then
	export KILN_ROOT=$WORK/other
	mkdir "$KILN_ROOT" context && chown $PLAIN_USER "$KILN_ROOT" && chmod 755 "$WORK"
	cp /bin/busybox context/sh
	printf 'FROM scratch\nCOPY sh /bin/sh\nRUN exit 0\n' > context/Dockerfile
	fails "users who may not make groups are told" 1 as_plain_user \
		"$KILN" build --resource memory=100m context
	prints "what could not be limited" 'limit a step: '
fi

finish
