# What goes wrong around a store (two commands at once, too few descriptors, threads that do not start) is
# said, and loses nothing of it.
. "$(dirname "$0")/lib.sh"

# --- Two prunes at once

mkdir ctx
for n in $(seq 40); do
	printf 'FROM scratch\nLABEL n=%s\nCOPY f /\n' "$n" > ctx/Dockerfile
	echo "$n" > ctx/f
	kiln build -q -t "image$n" ctx > /dev/null 2>> err || break
done
fails "there are images" 1 test "$(kiln images -q | wc -l)" -lt 40
kiln image prune -af > one 2>&1 &
other=$!
kiln image prune -af > two 2>&1
first=$?
wait $other
[ $? -eq 0 ] && [ $first -eq 0 ]
ok "two prunes at once both succeed" $?
sort one two | grep -c '^untagged: ' | grep -qx 40
ok "and each image was removed by one of them" $?

finish
