# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Who looks at pasta's connections is a seccomp listener. Where there is one already, or nobody may look
# into processes, a step gets no network rather than one that leads to this machine.
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
chmod 755 "$WORK"
if ! cc -O1 -o supervised "$fixtures/supervised.c" 2> err || ! ./supervised true 2> err; then
	skip "without a guard there is no network" "needs a compiler and seccomp listeners"
	finish
	exit 0
elif ! command -v pasta > /dev/null || [ ! -w /dev/net/tun ] || ! ip route show default | grep -q default; then
	skip "without a guard there is no network" "needs pasta (package passt), /dev/net/tun and a default route"
	finish
	exit 0
fi
printf 'FROM busybox\nRUN ls /sys/class/net | tr "\\n" " "\n' > Dockerfile

refused() { # refused DESCRIBED WHY COMMAND...: with kiln as the command
	described=$1 why=$2
	shift 2
	fails "$described: a step with a network fails" 1 "$@" build --no-cache .
	prints "$described: and the error says why" "set up the network: pasta cannot be kept from this machine's addresses: $why"
	prints "$described: and what helps" '--network=none runs without a network, and --network=host'
	fails "$described: so does a container" 125 "$@" run busybox true
	check "$described: a step without a network runs" "$@" build --no-cache --network none .
	prints "$described: with its loopback only" '^#[0-9]+ [0-9.]+ lo *$'
	check "$described: and so does one with this machine's" "$@" build --no-cache --allow network.host --network host .
}
refused supervised "whoever has started kiln supervises its system calls" ./supervised "$KILN"
if [ "$(id -u)" = 0 ] && unshare -m true 2> err; then
	mkdir -p kernel/yama && cp /proc/sys/kernel/* kernel/ 2> /dev/null
	echo 3 > kernel/yama/ptrace_scope
	cat > unlooked <<'END'
mount --bind kernel /proc/sys/kernel && exec "$KILN" "$@"
END
	refused "ptrace_scope 3" "the setting kernel.yama.ptrace_scope is 3" unshare -m sh unlooked
else
	skip "ptrace_scope 3" "needs root"
fi
finish
