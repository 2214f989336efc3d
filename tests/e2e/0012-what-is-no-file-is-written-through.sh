# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

mkdir app
printf 'FROM busybox\nCOPY Dockerfile /\n' > app/Dockerfile
check "an image builds" kiln build -t app app

# Nodes, pipes and links of this folder only: a mistake must not reach the machine's.
for option in iidfile metadata-file; do
	build() {
		quietly kiln build --$option "$1" app
	}
	if mknod -m 666 null c 1 3 2> "$WORK/err"; then
		build null
		test -c null; ok "--$option to a device leaves it one" $?
		rm -f null
	else
		skip "--$option to a device leaves it one" "needs mknod"
	fi
	mkfifo pipe
	cat pipe > from.pipe &
	build pipe
	wait $!
	test -p pipe && grep -q sha256: from.pipe; ok "--$option to a pipe is read from it" $?
	rm -f pipe from.pipe
	echo before > target
	ln -s target link
	build link
	test -L link && grep -q sha256: target; ok "--$option to a symlink fills what it leads to" $?
	ln -sf later link
	build link
	test -L link && grep -q sha256: later; ok "... and makes it where it is not there" $?
	rm -f link later
	ln -s /proc/self/fd/1 stdout
	{ echo first; kiln build -q --$option stdout app; } > target 2> "$WORK/err"
	test -L stdout && head -n 1 target | grep -q first && test "$(grep -c sha256: target)" -gt 1
	ok "--$option to standard output joins what is there" $?
	rm -f stdout
	build >(cat > substituted)
	for _ in $(seq 100); do
		[ ! -s substituted ] || break
		sleep 0.05
	done
	grep -q sha256: substituted; ok "--$option to >(command) is its input" $?
	rm -f substituted
	echo before > file
	build file
	test "$(stat -c %F file)" = "regular file" && ! grep -q before file; ok "--$option replaces a file" $?
done
ln -sf target link
check "an archive goes through a link" kiln save app -o link
test -L link && tar -tf target > list; ok "... too" $?
check "and one of a build" kiln build -o type=oci,dest=link app
test -L link && tar -tf target > list; ok "... as well" $?

# What cannot be written is told before anything runs.
printf 'FROM busybox\nRUN echo it ran\n' > app/Dockerfile
mkdir dir
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
early() {
	name=$1
	shift
	fails "$name is told" 1 kiln build "$@" app
	! grep -q 'it ran' "$WORK/err"; ok "... before the build" $?
}
early "--iidfile in no directory" --iidfile none/id
early "--metadata-file on a directory" --metadata-file dir
early "--iidfile on a socket" --iidfile socket
early "--iidfile without a name" --iidfile ''
early "-o on a directory" -o type=tar,dest=dir
early "-o in no directory" -o type=oci,dest=none/x.tar
early "-o below a file" -o type=local,dest=target/x
fails "save in no directory is told" 1 kiln save app -o none/x.tar
# Where everybody may write, what another user has put there decides nothing.
if [ "$(id -u)" = 0 ]; then
	mkdir shared && chmod 1777 shared && echo mine > victim
	ln -s "$PWD/victim" shared/id && chown -h "$PLAIN_USER" shared/id
	ln -s "$PWD/victim" shared/own
	for file in --iidfile --metadata-file -odest; do
		early "$file through another user's link" "${file/-odest/-otype=tar,dest}=shared/id"
	done
	fails "save through it is told" 1 kiln save app -o shared/id
	prints "with the reason" "it is another user's, in a folder that everybody may write to"
	is "and nothing is written behind it" mine "$(cat victim)"
	check "one of one's own is followed" kiln build -q --iidfile shared/own app
	grep -q '^sha256:' victim; ok "to its end" $?
else
	skip "another user's link is refused" "needs root to become another user"
fi
test "$(find . -name '*.tmp' | wc -l)" = 0; ok "nothing is left over" $?
finish
