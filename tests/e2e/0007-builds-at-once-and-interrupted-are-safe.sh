# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
cd app || exit 1
cat > Dockerfile <<'END'
FROM busybox
COPY file /file
RUN --network=none echo "ran $(cat /proc/sys/kernel/random/uuid)" | tee /id; sleep 1
RUN --network=none cat /id > /again
END
echo 1 > file

builds() { # N: that many at once; fails if one fails. Logs in ../log.I
	pids=
	for i in $(seq "$1"); do
		"$KILN" build -t "app$i" . > /dev/null 2> "../log.$i" &
		pids="$pids $!"
	done
	result=0
	for pid in $pids; do
		wait "$pid" || result=1
	done
	return $result
}
builds 4; ok "four equal builds at once succeed" $?
test "$(grep -h ' ran ' ../log.? | sed 's/.* ran //' | sort -u | wc -l)" = 1; ok "their step ran once" $?
test "$(kiln images -q 'app*' 2> /dev/null | sort -u | wc -l)" -le 1 &&
	test "$(for i in 1 2 3 4; do kiln images -q app$i; done | sort -u | wc -l)" = 1
ok "and their image is one" $?

different() { # N: its own Dockerfile
	printf 'FROM busybox\nRUN echo %s > /n\nRUN sleep 0.2; cat /n > /m\n' "$1" | "$KILN" build -t "d$1" - > /dev/null 2> "../log.$1"
}
pids=
for i in 1 2 3; do
	different $i &
	pids="$pids $!"
done
for _ in 1 2 3; do
	kiln prune -f > /dev/null || echo prune >> ../failed
	kiln rmi app1 > /dev/null 2>&1
	kiln images > /dev/null || echo images >> ../failed
	kiln tag busybox "t$_" 2> /dev/null
	kiln rmi "t$_" > /dev/null 2>&1
done
for pid in $pids; do
	wait "$pid" || echo build >> ../failed
done
test ! -e ../failed; ok "builds, prunes and rmis at once succeed" $?
for i in 1 2 3; do
	check "image d$i runs" kiln run "d$i" cat /m
	test "$(cat "$WORK/out")" = $i; ok "and is its own" $?
done
check "the store is whole" kiln store verify

# An interrupted build: 130, nothing left, and the next one goes on from what was done.
cat > slow <<'END'
FROM busybox
RUN echo first > /first
RUN echo begun; sleep 61 & sleep 62
END
interrupted() { # SIGNAL
	env --default-signal=INT "$KILN" build --progress=plain -f slow -t slow . > "$WORK/out" 2> "$WORK/err" &
	build=$!
	for _ in $(seq 100); do
		grep -q ' begun' "$WORK/err" && break
		sleep 0.1
	done
	start=$(date +%s)
	kill -$1 $build
	wait $build
	test $? = 130; ok "SIG$1 in a RUN ends the build with 130" $?
	test $(($(date +%s) - start)) -le 3; ok "soon" $?
	prints "the step is told to be cancelled" '^#[0-9]+ CANCELED'
	! pgrep -fx 'sleep 6[12]' > /dev/null; ok "nothing of the step runs on" $?
	leaves_nothing "nothing is left"
	! ls "$KILN_ROOT/lock" | grep -q '^lease\.' ; ok "no lease either" $?
	fails "there is no image" 1 kiln rmi slow
}
interrupted INT
interrupted TERM
interrupted HUP
sed -i 's/sleep 61 & sleep 62/true/' slow
check "a build goes on from there" kiln build -f slow -t slow .
grep -A1 '\[2/3\] RUN' "$WORK/err" | grep -q CACHED; ok "with the step that was done" $?
env --default-signal=INT "$KILN" build -f slow --no-cache - < <(sleep 30) > "$WORK/out" 2> "$WORK/err" &
build=$!
sleep 0.5
kill -INT $build
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	kill -0 $build 2> /dev/null || break
	sleep 0.2
done
! kill -0 $build 2> /dev/null; ok "Ctrl-C ends the wait for a context on standard input" $?
kill -KILL $build 2> /dev/null
wait $build 2> /dev/null

# stopped NAME ARGUMENT...: a command that waits for whoever is at a pipe's other end is ended by one
# SIGTERM.
stopped() {
	name=$1
	shift
	"$KILN" "$@" > "$WORK/out" 2> "$WORK/err" &
	waiting=$!
	sleep 0.7
	kill -TERM $waiting
	for _ in $(seq 30); do
		kill -0 $waiting 2> /dev/null || break
		sleep 0.1
	done
	kill -KILL $waiting 2> /dev/null
	wait $waiting 2> /dev/null
	test $? = 130; ok "$name" $?
}
mkdir piped && printf 'FROM scratch\nCOPY . /\n' > piped/Dockerfile
mkfifo pipe piped/.dockerignore
printf 'FROM scratch\nCOPY Whole /\n' > Whole
printf 'FROM busybox\nRUN --mount=type=secret,id=s true\n' > secret
stopped "a Dockerfile that is a FIFO nobody writes is waited for until SIGTERM" build -f pipe .
stopped "a .dockerignore" build piped
stopped "a secret" build -f secret --secret id=s,src=pipe .
stopped "a destination that nobody reads" build -f Whole -o type=tar,dest=pipe .
sleep 30 > pipe &
writer=$!
stopped "a writer that says nothing" build -f pipe .
stopped "an ssh key" build --ssh default=pipe -f Whole .
stopped "an archive to load" load -i pipe
stopped "an archive to import" import pipe
kill $writer
cat Whole > pipe &
check "a FIFO's writer is heard" kiln build -q -f pipe .
check "and a process substitution" kiln build -q -f <(sleep 0.2; cat Whole) .
kiln build -q -f Whole -o type=tar,dest=whole.tar .
cat pipe > read.tar &
check "a FIFO's reader is written to" kiln build -q -f Whole -o type=tar,dest=pipe .
wait $!
cmp whole.tar read.tar; ok "all of it" $?
(kiln build -q -f Whole -o - . | { sleep 1; cat; }) | cmp - whole.tar; ok "and to a pipe on stdout that is slow" $?
kiln prune -f > /dev/null
finish
