# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The helper's memory is counted to no step, so that none may write to what is made of it.
chmod 755 "$WORK" "$HOME"
mkdir ctx && cat > ctx/Dockerfile << 'END_FILE'
FROM busybox
RUN [ ! -d /sys/fs/cgroup ] || ! touch /sys/fs/cgroup/mine
RUN ! grep -E ' /(sys|proc)[^ ]* rw' /proc/self/mountinfo | grep -v ' /proc rw'
END_FILE
closed() { # closed WHO COMMAND...
	who=$1
	shift
	check "$who: a step writes nothing into /sys/fs/cgroup" "$@" build -q ctx
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
