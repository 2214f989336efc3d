# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
mkdir app
cd app || exit 1

# said LINE: stderr has exactly this line.
said() {
	grep -Fxq -- "$1" "$WORK/err"
	ok "  it says: $1" $?
}

# clean NAME: no mount, process, temporary file or lease is left.
clean() {
	leaves_nothing "  nothing is left"
	! ls "$KILN_ROOT/lock" 2> /dev/null | grep -q '^lease\.' ; ok "  no lease either" $?
}

fails "without a Dockerfile" 1 kiln build .
said "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile: No such file or directory"
: > Dockerfile
fails "with an empty one" 1 kiln build .
said "ERROR: failed to build: failed to solve: the Dockerfile cannot be empty"
printf '# nothing\n\n' > Dockerfile
fails "with one of comments" 1 kiln build .
said "ERROR: failed to build: failed to solve: file with no instructions"
fails "without a context" 1 kiln build nowhere
said 'ERROR: failed to build: unable to prepare context: path "nowhere" not found'
! grep -q '^#0' "$WORK/err"; ok "before anything is built" $?
fails "with a file as the context" 1 kiln build Dockerfile
prints "the hint says what to do" "name the Dockerfile with -f"
printf 'FROM busybox\nRUM true\n' > Dockerfile
fails "with an unknown instruction" 1 kiln build .
said "Dockerfile:2"
said "   2 | >>> RUM true"
prints "a near miss is named" 'unknown instruction: RUM.*RUN'
clean

printf 'FROM busybox AS a\n\nFROM nosuchimage:1.2\nRUN true\n' > Dockerfile
fails "a missing base image" 1 kiln build .
said "Dockerfile:3"
said "   3 | >>> FROM nosuchimage:1.2"
prints "is named" '^ERROR: failed to build: failed to solve: nosuchimage:1.2: .*not found'
printf 'FROM 127.0.0.1:1/x\n' > Dockerfile
fails "a registry that is not there" 1 kiln build .
said "Dockerfile:1"
prints "is named, with the reason" '^ERROR: .*127.0.0.1:1/x: .*Connection refused$'
clean

cat > Dockerfile <<'END'
FROM busybox
WORKDIR /app
RUN seq 1 30; echo to stderr >&2; printf unfinished; exit 7
CMD ["true"]
END
fails "a RUN that fails" 1 kiln build .
cat > "$WORK/want" <<'END'
Dockerfile:3
--------------------
   1 |     FROM busybox
   2 |     WORKDIR /app
   3 | >>> RUN seq 1 30; echo to stderr >&2; printf unfinished; exit 7
   4 |     CMD ["true"]
   5 |     
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c seq 1 30; echo to stderr >&2; printf unfinished; exit 7" did not complete successfully: exit code: 7
END
tail -n 9 "$WORK/err" | cmp -s - "$WORK/want"; ok "ends with its source and its status" $?
awk '/^ > \[3\/3\] RUN seq/ {on = 1; next} /^------$/ {on = 0} on' "$WORK/err" > "$WORK/tail"
test "$(wc -l < "$WORK/tail")" = 10; ok "after its last ten lines" $?
grep -Eq '^[0-9.]+ 30$' "$WORK/tail"; ok "of both streams" $?
grep -q 'unfinished' "$WORK/tail"; ok "and an unfinished one" $?
clean
printf 'FROM busybox\nRUN sh -c "kill -9 \\$\\$"; exit $?\n' > Dockerfile
fails "a RUN that is killed" 1 kiln build .
prints "shows 128 and the signal" 'exit code: 137$'
printf 'FROM busybox\nRUN ["/no/such/program"]\n' > Dockerfile
fails "a program that is not there" 1 kiln build .
prints "is told with the status of BuildKit's runtime" 'process "/no/such/program" did not complete successfully: exit code: 1$'
prints "and the reason" '/no/such/program.*([Nn]o such file|not found)'
printf 'FROM scratch\nRUN true\n' > Dockerfile
fails "no shell" 1 kiln build .
prints "is named" '/bin/sh.*([Nn]o such file|not found)'
prints "as any program" 'process "/bin/sh -c true" did not complete successfully: exit code: 1$'
printf 'FROM busybox\nRUN <<END\necho "a\tb"\nexit 3\nEND\n' > Dockerfile
fails "a heredoc that fails" 1 kiln build .
prints "is quoted on one line" '^#[0-9]+ ERROR: process "/bin/sh -c echo \\"a\\tb\\"\\nexit 3\\n" did not complete successfully: exit code: 3$'

printf 'FROM busybox\nCOPY here\\\n  missing /x/\n' > Dockerfile
echo x > here
fails "a missing COPY source" 1 kiln build .
said "Dockerfile:2"
prints "is named" '"/missing": not found$|"/heremissing": not found$'
printf 'FROM busybox\nRUN true\nCOPY secret.txt /\n' > Dockerfile
echo x > secret.txt
echo secret.txt > .dockerignore
fails "a source that .dockerignore hides" 1 kiln build .
said "   3 | >>> COPY secret.txt /"
prints "is missing too" '"/secret.txt": not found$'
rm .dockerignore
clean

# A registry that spoils what it sends. Each time the store is new.
printf 'FROM busybox\nRUN true\n' > Dockerfile
good_config=$KILN_CONFIG good_root=$KILN_ROOT
serve() { # FAULT
	python3 "$fixtures/bad_registry.py" "$REGISTRY" "$1" > "$WORK/port" &
	server=$!
	for _ in $(seq 100); do
		[ ! -s "$WORK/port" ] || break
		sleep 0.1
	done
	port=$(cat "$WORK/port")
	KILN_CONFIG=$WORK/bad.json KILN_ROOT=$WORK/bad
	printf '{"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:%s"]}}}\n' "$port" > "$KILN_CONFIG"
}
stop() {
	kill "$server" && wait "$server" 2> /dev/null
	: > "$WORK/port"
}
tried() { # after a failure: line 1 is marked, nothing is left, and a good registry mends it
	said "Dockerfile:1"
	clean
	! find "$KILN_ROOT/layers" -mindepth 1 2> /dev/null | grep -q .; ok "  no layer was kept" $?
	KILN_CONFIG=$good_config
	check "  from a good registry it builds" kiln build .
	check "  and the store is whole" kiln store verify
	rm -rf "$WORK/bad"
	stop
	KILN_ROOT=$good_root
}
serve flip
fails "a layer with other bytes" 1 kiln build .
prints "is refused, with both digests" \
	"127.0.0.1:$port sent wrong bytes .*sha256:[0-9a-f]{64}, expected sha256:[0-9a-f]{64}$"
tried
serve manifest
fails "a manifest with other bytes" 1 kiln build .
prints "is refused" "127.0.0.1:$port sent wrong bytes .*expected sha256:"
tried
serve config
fails "a config with other bytes" 1 kiln build .
prints "is refused" "127.0.0.1:$port sent a wrong config.*expected sha256:"
fails "and not shown either" 1 kiln imagetools inspect --format '{{json .Image}}' "127.0.0.1:$port/library/busybox"
prints "but refused" "127.0.0.1:$port sent a wrong config.*expected sha256:"
fails "a build of it" 1 kiln build .
tried
serve cut
fails "a layer that is too short" 1 kiln build .
prints "is refused" "127.0.0.1:$port sent [0-9]+ bytes .*expected [0-9]+$"
tried
serve short
fails "a connection that breaks" 1 kiln build .
prints "is told" "127.0.0.1:$port: .*the connection broke"
tried
serve error
fails "a server that fails" 1 kiln build .
prints "is told" "registry 127.0.0.1:$port answers 500"
tried
serve html
fails "a page in place of a manifest" 1 kiln build .
prints "is told" "127.0.0.1:$port sent .*text/html"
tried
serve denied
fails "a registry that wants a password" 1 kiln build .
prints "is told" "127.0.0.1:$port: .*access denied"
prints "the hint says where one goes" "\.docker/config\.json|kiln login"
tried
serve hang
timeout --signal=INT 2 "$KILN" build . > "$WORK/out" 2> "$WORK/err"
test $? = 124; ok "a registry that never answers can be left with Ctrl-C" $?
clean
stop
KILN_CONFIG=$good_config KILN_ROOT=$good_root
echo '{"registires": {}}' > "$WORK/bad.json"
KILN_CONFIG=$WORK/bad.json fails "an unknown key of the configuration" 1 kiln build .
prints "is named" "registires"
finish
