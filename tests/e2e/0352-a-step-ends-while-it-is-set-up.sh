# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Whoever asks a step to end, or dies, need not wait until its surroundings are made: a mount may hang.
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
if ! cc -O1 -o hold_setup "$fixtures/hold_setup.c" 2> err; then
	skip "steps end while they are set up" "needs a compiler"
	finish
	exit 0
fi
# ends WHO SIGNAL COMMAND...
ends() {
	who=$1 signal=$2
	shift 2
	: > pids
	./hold_setup "$@" > pids 2> err &
	holder=$!
	for _ in $(seq 200); do
		grep -q . pids && break
		sleep 0.05
	done
	read -r kiln step < pids
	kill "-$signal" "$kiln" && gone "$kiln" && gone "$step"
	ok "a step of $who that is set up ends by SIG$signal" $?
	kill -KILL "$kiln" "$step" $holder 2> /dev/null
	wait $holder
}
echo "FROM busybox" > Dockerfile
check "an image is there" kiln build -q -t tools .
for signal in INT TERM KILL; do
	ends "this user" $signal "$KILN" run --network none tools sleep 1000
done
printf 'FROM busybox\nRUN sleep 1000\n' > step
for signal in INT TERM KILL; do
	ends "a build" $signal "$KILN" build --no-cache --network none -f step .
done
check "what those that were killed have left is swept" kiln prune -f
need_plain_user "steps of ordinary users end while they are set up"
check "an ordinary user has it, too" plain build -q -t tools .
for signal in INT TERM KILL; do
	ends "an ordinary user" $signal setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups \
		env "KILN_ROOT=$WORK/plain" "$KILN" run --network none tools sleep 1000
done
finish
