# SPDX-License-Identifier: Apache-2.0
# Where a container manager refuses calls, covers /proc or keeps rights back, images are the same.
. "$(dirname "$0")/lib.sh"
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)

mkdir app
cat > app/Dockerfile <<'D'
FROM busybox
RUN mkdir -p /d && echo a > /d/a && chown 5:6 /d/a && ln /d/a /d/b && chmod 1777 /d
RUN test -e /proc/self/status && test ! -s /proc/keys && ! ls /proc/acpi/* 2> /dev/null && ! echo 1 2> /dev/null > /proc/sys/vm/swappiness && rm /d/b && echo b > /d/c
D
build() { # STORE [COMMAND...]: into STORE.tar
	place=$1
	shift
	on "$place" env SOURCE_DATE_EPOCH=1000000000 "$@" "$KILN" build --progress plain \
		-o "type=oci,dest=$WORK/$place.tar,rewrite-timestamp=true" app
}
same() { # NAME STORE COMMAND...
	what=$1 place=$2
	shift 2
	check "$what" build "$place" "$@"
	cmp ordinary.tar "$place.tar" 2> /dev/null
	ok "with the same image" $?
}
check "an ordinary build" build ordinary
if [ "$(id -u)" != 0 ] || ! unshare --mount true 2> /dev/null; then
	skip "containers" "needs root"
	finish
	exit 0
fi

if cc -o docker_seccomp "$fixtures/docker_seccomp.c" -lseccomp 2> err; then
	same "a build needs no clone3" no-clone3 env CLONE3=ENOSYS ./docker_seccomp
	if [ -c /dev/net/tun ] && ip route | grep -q default; then
		printf 'FROM busybox\nRUN ls /sys/class/net\n' > net
		check "and neither does a network" on no-clone3 env CLONE3=ENOSYS ./docker_seccomp "$KILN" build --progress plain -f net .
		prints "which is the step's own" ' eth0'
	fi
	fails "where namespaces are refused kiln ends" 1 build refused capsh --drop=cap_sys_admin -- -c 'exec ./docker_seccomp "$@"' sh
	prints "and says what it could not do" 'make a user namespace: Operation not permitted'
fi

same "root that may not mount makes a namespace of its own" no-mounts capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh
fails "root that may not map ids either ends" 1 capsh --drop=cap_sys_admin,cap_setfcap -- -c 'exec "$@"' sh "$KILN" images
prints "and reads which rights it lacks" '^root lacks privileges here: it needs CAP_SYS_ADMIN, or else .*CAP_SETFCAP'
! grep -q WARN err; ok "and has all its ids in it" $?
same "root of somebody's user namespace builds" userns unshare -Urm
same "and where /proc is not that of its pid namespace" other-proc unshare -Urmpf

# What a container manager covers of /proc, nobody in it can mount anew, unless another is seen whole.
covered() { # COMMAND...
	unshare --mount --pid --fork --mount-proc sh -c 'awk "\$3 == \"proc\" && \$2 != \"/proc\" { print \$2 }" /proc/mounts | xargs -r umount -l
		mount -t tmpfs tmpfs /proc/acpi 2> /dev/null; mount -t tmpfs tmpfs /proc/scsi 2> /dev/null; mount -t tmpfs tmpfs /proc/fs && exec "$@"' sh "$@"
}
export -f covered
same "a build sees a covered /proc as it is" covered bash -c 'covered "$@"' sh capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh
prints "which is told" 'WARN: parts of /proc are covered here'
[ "$(grep -c 'parts of /proc' err)" = 1 ]; ok "once" $?
same "so does one with one id" covered-one bash -c 'covered "$@"' sh unshare -Urm
same "also where it is not that of its pid namespace" covered-other bash -c 'covered "$@"' sh unshare -Urmpf

# What a step can do with the processes that it sees: read their names.
cat > peep <<'D'
FROM busybox AS base
FROM base AS secretive
RUN --mount=type=secret,id=token --mount=type=cache,target=/meet touch /meet/ready; for i in $(seq 200); do [ ! -e /meet/done ] || break; sleep 0.05; done; cat /run/secrets/token > /dev/null
FROM base AS peeping
RUN --mount=type=cache,target=/meet for i in $(seq 200); do [ ! -e /meet/ready ] || break; sleep 0.05; done; echo "met=$(ls /meet)"; \
	others=0; for p in /proc/[0-9]*; do \
		[ "$(readlink $p/ns/pid)" != "$(readlink /proc/self/ns/pid)" ] || continue; others=$((others + 1)); \
		for f in environ maps auxv; do head -c 1 $p/$f > /tmp/x 2> /dev/null; [ ! -s /tmp/x ] || echo "READ $p/$f"; done; \
		for f in root cwd exe fd/0 fd/1 fd/3 ns/mnt; do ! readlink $p/$f || echo "FOLLOWED $p/$f"; done; \
		for f in oom_score_adj coredump_filter comm; do { echo 1 > $p/$f; } 2> /dev/null && echo "WROTE $p/$f"; done; \
	done; echo "saw=$others"; touch /meet/done
FROM base
COPY --from=secretive /bin/sh /x
COPY --from=peeping /bin/sh /y
D
printf hunter2 > token
check "steps run beside each other with a covered /proc" on covered bash -c 'covered "$@"' sh capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh \
	"$KILN" build --progress plain --secret id=token,src=token -f peep .
prints "and see processes that are not theirs" ' saw=[1-9]'
prints "at the same time" ' met=.*ready'
! grep -Eq ' (READ|FOLLOWED|WROTE) ' err; ok "but neither read nor change them" $?

printf 'FROM busybox\nRUN --security=insecure true\n' > insecure
fails "a step with all rights is refused there" 1 on covered bash -c 'covered "$@"' sh capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh \
	"$KILN" build --allow security.insecure -f insecure .
prints "with the reason" "mount '/proc': parts of this machine's /proc are covered"
printf 'FROM busybox\nRUN --mount=type=tmpfs,target=/proc/fs/own true\n' > within
fails "nothing is mounted in what covers /proc" 1 on covered bash -c 'covered "$@"' sh capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh \
	"$KILN" build -f within .
prints "by the container either" "'/proc/fs/own': it is in /proc"
check "a container runs there" on covered bash -c 'covered "$@"' sh capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh \
	sh -c '"$0" build -q -t app app && "$0" run --rm app cat /d/c' "$KILN"
prints "and is told of it" 'WARNING: parts of /proc are covered'
finish
