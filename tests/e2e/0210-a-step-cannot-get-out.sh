# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
mkdir box && cc -static -O1 -o box/escape "$fixtures/escape.c" && cp /bin/busybox box/
disk=$(stat -c %Hd:%Ld /)
# On a stranger's file system the number may be no disk's; a first disk is tried instead.
[ -e "/sys/dev/block/$disk" ] || disk=8:0
cat > box/Dockerfile <<END
FROM scratch
COPY busybox escape /bin/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir /tmp; escape $disk
RUN ls /proc | grep -c '^[0-9]' | sed 's/^/processes:/'
RUN grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\t' | tr '\n' ' '
RUN ls -l /proc/self/fd | wc -l | sed 's/^/descriptors:/' && readlink /proc/self/fd/0
RUN env | sort | tr '\n' ' '
RUN ls /dev | tr '\n' ' '
RUN cat /proc/self/cgroup | cut -d: -f3 | sort -u | tr '\n' ' '
END

attempts="mount|bind mount|remount|propagation|umount|pivot_root|fsopen|open_tree|mount_setattr|move_mount
unshare user|unshare mounts|clone user|clone network|clone3|setns
init_module|finit_module|delete_module|kexec_load|bpf|perf_event_open|userfaultfd|io_uring_setup
keyctl|add_key|request_key|syslog|swapon|acct|reboot|quotactl|settimeofday|sethostname|vhangup|vsock
kernel cryptography|CAP_SYS_ADMIN|CAP_DAC_READ_SEARCH|open_by_handle_at
the host's disk|memory|kernel messages|tun|fuse
core_pattern|sysrq|modprobe|uevent_helper|a device's attributes|kcore|keys|timers|firmware
a cgroup|a group of memory|release_agent|the helper's memory|the host's files"

all_shut() { # all_shut WHO: every attempt of the last command was denied
	while IFS= read -r name; do
		grep -q "denied $name: " out err
		ok "$1: $name is shut" $?
	done < attempts
	! grep -h 'OPEN ' out err; ok "$1: nothing is open" $?
}
printf '%s\n' "$attempts" | tr '|' '\n' > attempts

check "a step that tries to get out runs" kiln build -t box box
all_shut "in a step"
prints "it sees no process but its own" 'processes:[1-4]$'
prints "its rights are Docker's" 'CapInh:0000000000000000 CapPrm:00000000a80425fb CapEff:00000000a80425fb CapBnd:00000000a80425fb CapAmb:0000000000000000 NoNewPrivs:0 Seccomp:2'
prints "it has three descriptors and that of ls" 'descriptors:5$'
prints "its input is nothing" ' /dev/null$'
prints "its environment is what Docker gives" '^#[0-9]+ [0-9.]+ HOME=/ PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PWD=/ SHLVL=1 $'
prints "its devices are Docker's" '^#[0-9]+ [0-9.]+ core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero $'
prints "it sees the root of its groups alone" '^#[0-9]+ [0-9.]+ / $'
check "the nodes of devices stay as they are, and work" kiln run box sh -c \
	'! chmod 640 /dev/full && ! chown 5 /dev/full && ! echo x > /dev/full && echo x >> /dev/null && head -c 3 /dev/zero > /dev/null'
[ "$(stat -c '%a %u' /dev/full)" = "666 $(stat -c %u /dev/null)" ]
ok "also for the machine" $?
check "a container that tries runs" kiln run box escape "$disk"
all_shut "in a container"
if command -v capsh > /dev/null; then
	mkdir caps && cp "$(command -v capsh)" caps/
	for library in $(ldd caps/capsh | grep -o '/[^ ]*'); do
		mkdir -p "caps/root$(dirname "$library")" && cp "$library" "caps/root$library"
	done
	printf 'FROM box\nCOPY root /\nCOPY capsh /bin/\nRUN capsh --print\n' > caps/Dockerfile
	check "capsh runs" kiln build caps
	prints "and shows Docker's set" 'Bounding set =cap_chown,cap_dac_override,cap_fowner,cap_fsetid,cap_kill,cap_setgid,cap_setuid,cap_setpcap,cap_net_bind_service,cap_net_raw,cap_sys_chroot,cap_mknod,cap_audit_write,cap_setfcap$'
	prints "of which nothing is inherited" 'Current: =?.*cap_setfcap=ep$'
else
	skip "capsh shows Docker's set" "needs capsh (package libcap2-bin)"
fi

if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null; then
	export KILN_ROOT=$WORK/other
	mkdir "$KILN_ROOT" && chown $PLAIN_USER "$KILN_ROOT" && chmod 755 "$WORK"
	check "a user's step that tries to get out runs" as_plain_user "$KILN" build box
	all_shut "in a user's step"
else
	skip "a user's step that tries to get out runs" "needs root to become a user, and user namespaces"
fi
finish
