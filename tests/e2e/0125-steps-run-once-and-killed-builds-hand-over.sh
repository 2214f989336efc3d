# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

wait_for() { # wait_for FILE REGEX: until a line is there
	for _ in $(seq 200); do
		grep -Eq -- "$2" "$1" 2> /dev/null && return 0
		sleep 0.1
	done
	return 1
}

mkdir app
cat > app/Dockerfile <<'X'
FROM busybox
RUN echo begun; sleep 3141
X
# The holder is killed while others wait: one of them takes over at once, the others wait for that one.
"$KILN" build --progress=plain app > first.out 2> first.err &
first=$!
wait_for first.err ' begun$'
ok "a build runs a step" $?
for i in 2 3; do
	"$KILN" build --progress=plain -t "app$i" app > "$i.out" 2> "$i.err" &
	eval "pid$i=$!"
	wait_for "$i.err" 'waiting for another build that runs this step'
	ok "build $i waits for it" $?
done
! grep -q ' begun$' 2.err 3.err
ok "and does not run it" $?
kill -9 $first
wait $first 2> /dev/null
for _ in $(seq 200); do
	grep -q ' begun$' 2.err 3.err && break
	sleep 0.1
done
[ "$(grep -l ' begun$' 2.err 3.err | wc -l)" = 1 ]
ok "when its builder is killed one of those that waited runs it" $?
# The one that took over is interrupted: the last one is next.
if grep -q ' begun$' 2.err; then next=$pid2 last=3 last_pid=$pid3; else next=$pid3 last=2 last_pid=$pid2; fi
kill -9 "$next"
wait "$next" 2> /dev/null
wait_for "$last.err" ' begun$'
ok "and then the other" $?
kill -INT "$last_pid"
kill -TERM "$last_pid"
wait "$last_pid" 2> /dev/null
pgrep -fx 'sleep 3141' > /dev/null && sleep 1
! pgrep -fx 'sleep 3141' > /dev/null
ok "no step of the killed builds runs on" $?
check "a prune cleans up" kiln prune -f
check "the store is whole" kiln store verify

# Independent steps run at once, and no more of them than allowed. Each waits to see another, for some time.
cat > app/Dockerfile <<'X'
FROM busybox AS base
FROM base AS a
RUN --mount=type=cache,target=/c,id=meet touch /c/a; for i in $(seq 50); do [ -e /c/b ] && break; sleep 0.1; done; [ -e /c/b ] && echo met > /met || echo alone > /met
FROM base AS b
RUN --mount=type=cache,target=/c,id=meet touch /c/b; for i in $(seq 50); do [ -e /c/a ] && break; sleep 0.1; done; [ -e /c/a ] && echo met > /met || echo alone > /met
FROM base
COPY --from=a /met /a
COPY --from=b /met /b
X
check "two independent steps" kiln build -t test app
check "ran at the same time" kiln run --rm test cat /a /b
[ "$(sort -u "$WORK/out")" = met ]
ok "and met" $?
check "with --max-parallelism=1" kiln build --no-cache --reset-mounts --max-parallelism 1 -t test app
check "they did not" kiln run --rm test cat /a /b
grep -q alone "$WORK/out"
ok "meet" $?
fails "another word is refused" 2 kiln build --max-parallelism many app

# Equal steps of one build are one step.
cat > app/Dockerfile <<'X'
FROM busybox AS a
RUN cat /proc/sys/kernel/random/uuid > /id
FROM busybox AS b
RUN cat /proc/sys/kernel/random/uuid > /id
FROM busybox
COPY --from=a /id /a
COPY --from=b /id /b
X
check "two equal stages" kiln build --no-cache -t test app
check "are made once" kiln run --rm test cmp /a /b
finish
