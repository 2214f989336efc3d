# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

attacks=$(cd "$(dirname "$0")/../fixtures" && pwd)/owner_attacks.py
need_plain_user "the supervisor of a step without subordinate ids holds"

# What a step could get at, were it led out: the user's own file.
as_plain_user sh -c "echo mine > $WORK/mine"
before=$(stat -c '%z %u %g %a' mine)
mkdir ctx && cp "$attacks" ctx/attacks.py && chmod -R a+rX ctx
cat > ctx/Dockerfile <<END_FILE
FROM python:3.8-slim-buster
RUN --mount=type=bind,target=/ctx python3 /ctx/attacks.py $WORK/mine
END_FILE
check "a step that attacks its supervisor ends by itself" plain build --progress plain -t attacked ctx
grep -o 'held: .*' "$WORK/err" | sort -u > "$WORK/held"
while read -r line; do
	grep -qx "$line" "$WORK/held"
	ok "${line#held: }" $?
done <<- END_LINES
	held: pointers to nowhere are EFAULT
	held: a name may end where a page does
	held: names that are too long are ENAMETOOLONG
	held: empty names are ENOENT
	held: descriptors that are not open are EBADF
	held: flags that nobody knows are EINVAL
	held: names are found as the kernel finds them
	held: a link is not followed where it must not be
	held: another root is the process's own
	held: no name leads to the machine's files
	held: nor do the links of /proc that lead straight to files
	held: the notifications' descriptor is not here
	held: nor is the supervisor
	held: names that change under it do no harm
	held: many processes are answered at once
	held: and many threads
	held: one that dies while it waits disturbs nobody
	held: signals do not break a call off
	held: a process that has become another stays him
	held: one that may come back can
	held: and its parent has not changed
	held: hundreds may at once
	held: io_uring, which would pass by, is denied
	held: nobody can take over the notifications
	held: what is in no layer takes any owner
END_LINES
[ "$(stat -c '%z %u %g %a' mine)" = "$before" ] &&
	[ "$(python3 -c "import os; print(os.listxattr('$WORK/mine'))")" = "[]" ]
ok "the machine's file is as it was" $?
plain save attacked -o attacked.tar && layer_owners attacked.tar > "$WORK/out"
[ "$(grep -c ' 0/0 *forged-' "$WORK/out")" -ge 5 ] && ! grep ' forged-' "$WORK/out" | grep -qv ' 0/0 '
ok "marks that no supervisor wrote say nothing" $?

# start_step: a build whose step goes on until it is killed. Of the helper's children the step is in a pid
# namespace of its own; the other one is the supervisor.
cat > ctx/Dockerfile <<END_FILE
FROM busybox
RUN touch /f && echo waiting && while chown 5 /f; do sleep 0.1; done; echo survived
END_FILE
start_step() {
	setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups env KILN_ROOT="$WORK/plain" \
		"$KILN" build --progress plain ctx > "$WORK/out" 2> "$WORK/err" &
	build=$!
	for _ in $(seq 1000); do
		grep -q '[0-9] waiting' "$WORK/err" && break
		sleep 0.1
	done
	for pid in $(pgrep -P "$(pgrep -d , -P $build)"); do
		if [ "$(awk '/^NSpid:/ { print NF }' "/proc/$pid/status")" = 2 ]; then
			supervisor=$pid
		else
			step=$pid
			helper=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
		fi
	done
}
start_step
kill -KILL "$supervisor"
wait $build
[ $? -eq 1 ]
ok "a step whose supervisor is killed fails" $?
prints "and says so" 'the supervisor of the step has died'
! grep -q '[0-9] survived' "$WORK/err"
ok "without going on" $?

# A helper that is slow to see it makes no difference: until it does, calls wait, and none fails.
start_step
kill -STOP "$helper" && kill -KILL "$supervisor"
for _ in $(seq 1000); do
	grep -q '[0-9] survived' "$WORK/err" && break
	# chown, fchown or fchownat that nobody answers; no name for it in the kernel's other states.
	caller=$(pgrep -P "$step" chown || pgrep -P "$step" busybox) &&
		grep -q seccomp "/proc/$caller/wchan" && break
	sleep 0.1
done
! grep -q '[0-9] survived' "$WORK/err" && grep -q seccomp "/proc/$caller/wchan"
ok "while nobody sees that a supervisor is gone, its step waits" $?
kill -CONT "$helper"
wait $build
! grep -q '[0-9] survived' "$WORK/err"
ok "until it ends" $?

start_step
kill -KILL $build
wait $build 2> /dev/null
for _ in $(seq 1000); do
	[ -d "/proc/$step" ] || [ -d "/proc/$supervisor" ] || [ -d "/proc/$helper" ] || break
	sleep 0.1
done
[ ! -d "/proc/$step" ] && [ ! -d "/proc/$supervisor" ] && [ ! -d "/proc/$helper" ]
ok "when kiln is killed, the step and its supervisor go, too" $?
check "and what they left is collected" plain prune -f

finish
