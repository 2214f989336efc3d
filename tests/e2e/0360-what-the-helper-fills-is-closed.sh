# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The groups of the older hierarchies lie in a tmpfs, which a step may write to as under runc, but not fill
# the machine's memory with; the groups themselves are closed.
chmod 755 "$WORK" "$HOME"
mkdir ctx && cat > ctx/Dockerfile << 'END_FILE'
FROM busybox
RUN ! dd if=/dev/zero of=/sys/fs/cgroup/mine bs=1k count=1000 2> /dev/null
RUN ! grep -E ' /(sys|proc)[^ ]* rw' /proc/self/mountinfo | grep -v -e ' /proc rw' -e ' /sys/fs/cgroup rw.* tmpfs '
END_FILE
closed() { # closed WHO COMMAND...
	who=$1
	shift
	check "$who: a step does not fill /sys/fs/cgroup" "$@" build -q ctx
}
as_every_user closed

# What was typed is printed again, by a script perhaps that took it from elsewhere.
esc=$(printf '\033[31m')
for words in "$esc" "image $esc" "help $esc" "logout $esc" "--$esc" "-$esc"; do
	# shellcheck disable=SC2086
	quietly kiln $words
	prints "'${words%"$esc"}' and an escape sequence is answered" '\\x1b\[31m'
	! cat out err | grep -q "$(printf '\033')"
	ok "without obeying it" $?
done
finish
