# SPDX-License-Identifier: Apache-2.0
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

# --- Too few descriptors, too few threads

# told_of WHAT: the last build ended with a sentence about it, and not otherwise.
told_of() {
	[ "$status" -eq 1 ] && grep -q "$1" err && ! grep -q 'unknown error' err
}

printf 'FROM busybox\nCOPY f /\nRUN cp f g\nCOPY f /h\n' > ctx/Dockerfile
fine=yes
for n in 8 16 24 64 80; do
	(ulimit -n $n && quietly kiln build --no-cache ctx)
	status=$?
	told_of 'Too many open files' && grep -q '^let kiln have more files open' err || { fine=$n && break; }
done
[ $fine = yes ]
ok "too few descriptors are named, with what helps ($fine)" $?

if is_sanitized || ! cc -shared -fPIC -o few_threads.so "$(dirname "$0")/../fixtures/few_threads.c" -ldl 2> err; then
	skip "threads that cannot be had are named" "needs a C compiler and an unsanitized kiln"
else
	fine=yes
	for n in 0 1 2 3 4 5 6; do
		FEW_THREADS=$n LD_PRELOAD=$PWD/few_threads.so quietly kiln build --no-cache ctx
		status=$?
		# With enough of them all is well.
		[ $status -eq 0 ] || told_of 'Resource temporarily unavailable' || { fine=$n && break; }
	done
	[ $fine = yes ]
	ok "threads that cannot be had are named ($fine)" $?
fi
check "the store is whole" kiln store verify
check "and builds" kiln build -q ctx

finish
