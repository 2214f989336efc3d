# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

need_plain_user "a machine that forbids says which setting"
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
mkdir ctx
printf 'FROM busybox\nRUN echo built\n' > ctx/Dockerfile
export KILN_ROOT=$WORK/plain
forbidding() {
	python3 "$fixtures/forbidding.py" $PLAIN_USER "$KILN" "$@"
}
for command in "build ctx" "images" "store verify" "prune -f"; do
	fails "without user namespaces '$command' ends" 1 forbidding $command
	prints "with what cannot be done" 'ERROR: (failed to build: )?set up rootless mode: make a user namespace: No space left on device$'
	prints "the setting and its file" '^user.max_user_namespaces is 0 \(/proc/sys/user/max_user_namespaces\): '
	prints "the line that mends it" '^  fix it with: sudo sysctl -w user.max_user_namespaces=[0-9]+$'
	prints "and where to read on" "'kiln doctor'.*docs/where-kiln-runs.md"
done

if grant_subordinate_ids; then
	mkdir -m 755 bin && for tool in env sh; do ln -s "$(command -v $tool)" bin; done
	check "without newuidmap there is one id" as_plain_user env PATH="$WORK/bin" "$KILN" build --progress plain ctx
	prints "and what is missing" 'WARN: this user has no subordinate ids \(newuidmap is not installed, or not in PATH\)'
	sed -i "/^$ACCOUNT:/d" /etc/subgid
	check "without ids there is one, too" as_plain_user "$KILN" build --no-cache --progress plain ctx
	prints "and what is missing" "WARN: this user has no subordinate ids \(/etc/subgid grants no ids to $ACCOUNT\)"
else
	skip "what is missing for subordinate ids" "needs newuidmap (package uidmap)"
fi

mkdir -m 755 dev && mknod -m 666 dev/null c 1 3 && mknod -m 666 dev/zero c 1 5 && mknod -m 666 dev/full c 1 7 &&
	mknod -m 666 dev/random c 1 8 && mknod -m 666 dev/urandom c 1 9 && mknod -m 666 dev/tty c 5 0
check "without /dev/net/tun steps run" unshare -m --propagation private sh -c \
	'mount --bind dev /dev && exec setpriv --reuid $0 --regid $0 --clear-groups "$@"' $PLAIN_USER "$KILN" build --no-cache --progress plain ctx
prints "and a warning says what is missing" 'WARN: steps share this machine.s network: /dev/net/tun does not exist'
finish
