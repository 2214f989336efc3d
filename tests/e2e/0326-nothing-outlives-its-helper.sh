# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
name="a step ends with its helper"
if [ "$(id -u)" != 0 ] || ! cc -O1 -o orphan_step "$fixtures/orphan_step.c" 2> err; then
	skip "$name" "needs root and a compiler"
	finish
	exit 0
fi
check "an image is there" kiln build -t tools - <<'END'
FROM busybox
RUN cp /bin/busybox /asroot && chmod 4755 /asroot
END
cp -a store other
step=$(KILN_ROOT=$WORK/other ./orphan_step "$KILN" run --network none --user 1000 tools sleep 1000 2> err)
[ -n "$step" ] && gone "$step"
ok "a process whose helper dies while it becomes its user never starts" $?
[ -z "$step" ] || kill -KILL "$step" 2> /dev/null

# leave COMMAND...: kills the helper of a container that runs it. Kiln is to end, and the container.
leave() {
	"$KILN" run --user 1000 tools "$@" > out 2> err &
	kiln=$!
	for _ in $(seq 200); do
		grep -q started out && break
		sleep 0.05
	done
	step=$(for pid in $(pgrep -P "$(pgrep -d , -P $kiln)"); do
		! awk '/^NSpid:/ { exit NF != 3 }' "/proc/$pid/status" || echo "$pid"
	done)
	kill -KILL "$(awk '/^PPid:/ { print $2 }' "/proc/$step/status")"
	gone "$step"
}
leave sh -c 'echo started; exec sleep 1000'
ok "a step's process ends when its helper is killed" $?
wait $kiln
[ $? -eq 125 ]
ok "and kiln says that it failed" $?
leave sh -c 'echo started; exec /asroot sleep 1000'
ok "one that has become a set-user-id program, too" $?
kill -KILL "$step" 2> /dev/null
wait $kiln

# pasta, and the helper that looks at its connections.
if command -v pasta > /dev/null && [ -w /dev/net/tun ] && ip route show default | grep -q default; then
	"$KILN" run tools sh -c 'echo started; exec sleep 1000' > out 2> err &
	kiln=$!
	for _ in $(seq 200); do
		grep -q started out && break
		sleep 0.05
	done
	pasta=$(pgrep -P "$(pgrep -d , -P $kiln)" pasta)
	kill -KILL "$(awk '/^PPid:/ { print $2 }' "/proc/$pasta/status")"
	gone "$pasta"
	ok "pasta ends with its helper" $?
	kill -TERM $kiln
	wait $kiln 2> /dev/null
else
	skip "pasta ends with its helper" "needs pasta (package passt), /dev/net/tun and a default route"
fi
finish
