# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A build that is killed, ten times, each time a little later.
mkdir app
cd app || exit 1
cat > Dockerfile <<'END'
FROM python:3.8-slim-buster
WORKDIR /app
COPY data data
RUN for i in 1 2 3 4; do head -c 1000000 /dev/urandom > f$i; sleep 0.05; done
RUN --mount=type=cache,target=/cache date >> /cache/log && cp /cache/log .
COPY . .
CMD ["cat", "/app/round"]
END
head -c 4000000 /dev/urandom > data
for round in $(seq 10); do
	echo "$round" > round
	echo "$round" >> data # so that all but the base has to be made again
	"$KILN" build -t app . > "$WORK/out" 2> "$WORK/err" &
	build=$!
	sleep "$(awk -v n="$round" -v r=$RANDOM 'BEGIN {printf "%.3f", n * 0.12 + r % 100 / 500}')"
	kill -KILL $build 2> /dev/null
	wait $build 2> /dev/null
	sleep 0.1
	! pgrep -f "$KILN_ROOT" > /dev/null; ok "kill $round leaves no process" $?
	! grep -q " $WORK/" /proc/self/mounts; ok "  and no mount" $?
	check "  the store opens" kiln images
	check "  and is whole" kiln store verify
	prints "  with nothing damaged" ': 0 damaged$'
done
check "the same build completes" kiln build -t app .
check "and runs" kiln run --rm app
test "$(cat "$WORK/out")" = 10; ok "what it was told" $?
check "and the store is whole" kiln store verify
check "prune removes what is left over" kiln prune -a -f
test -z "$(ls -A "$KILN_ROOT/tmp")"; ok "temporary files of the dead among it" $?
! ls "$KILN_ROOT/lock" | grep -q '^lease\.'; ok "and their leases" $?
check "what has a name is kept" kiln run --rm app
kiln rmi -f $(kiln images -q | sort -u) > /dev/null
check "then everything goes" kiln prune -a -f
find "$KILN_ROOT/layers" "$KILN_ROOT/mounts" -mindepth 1 > "$WORK/out"
find "$KILN_ROOT/blobs" "$KILN_ROOT/tmp" ! -type d >> "$WORK/out"
test ! -s "$WORK/out"; ok "and no layer or blob is left without a row" $?

# What a killed build left goes when the next one makes something, and not before; what a living one
# has stays.
left() {
	ls -A "$KILN_ROOT/tmp" | wc -l
}
printf 'FROM busybox\nRUN head -c 1000000 /dev/zero > /f && sleep 60\n' > Dockerfile
printf 'FROM busybox\nRUN head -c 1000000 /dev/zero > /g && sleep 2 && ls /g\n' > Dockerfile.alive
printf 'FROM busybox\nRUN true\n' > Dockerfile.next
kiln build -q -f Dockerfile.next -t next . > "$WORK/out" 2>&1
"$KILN" build . > /dev/null 2>&1 &
build=$!
sleep 1
kill -KILL $build
wait $build 2> /dev/null
test "$(left)" -gt 0; ok "a killed build leaves temporary files" $?
kiln build -q -f Dockerfile.alive -t alive . > "$WORK/out" 2>&1 &
build=$!
sleep 1
alive=$(left)
test "$alive" -gt 0; ok "a living one has some" $?
printf 'RUN true && true\n' >> Dockerfile.next
check "another that makes something" kiln build -q -f Dockerfile.next -t next .
test "$(left)" = "$alive"; ok "leaves those of the living" $?
wait $build; ok "which ends well" $?
test "$(left)" = 0; ok "and of the dead there are none any more" $?
finish
