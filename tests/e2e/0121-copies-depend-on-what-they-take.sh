# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

hits() { # hits NAME [OPTIONS]: no step runs
	name=$1
	shift
	kiln build --explain -t test "$@" app > "$WORK/out" 2> "$WORK/err" &&
		grep -q '^Every step was in the cache' "$WORK/err"
	ok "$name" $?
}
misses() { # misses NAME REASON [OPTIONS]: some step runs, for this reason
	name=$1 why=$2
	shift 2
	kiln build --explain -t test "$@" app > "$WORK/out" 2> "$WORK/err" &&
		sed -n '/^Why steps ran/,$p' "$WORK/err" | grep -Eq -- "$why"
	ok "$name" $?
}

umask 022
mkdir -p app/src/sub
echo a > app/src/a
echo b > app/src/sub/b
cat > app/Dockerfile <<'X'
FROM busybox
COPY src /src
RUN --mount=type=bind,source=src/sub,target=/m cat /m/b > /out
X
misses "a first build has nothing to find" 'COPY src /src: no step like it'
hits "an equal one finds all"
echo x > app/outside
hits "a file outside of what is copied does not count"
touch app/src/a app/src/sub
hits "times do not count"
cp -p app/src/a app/x && rm app/src/a && mv app/x app/src/a
hits "a file that was replaced by an equal one does not count"
chmod 600 app/src/a
misses "its mode counts" 'src/a changed'
chmod 644 app/src/a
hits "the old mode finds the old result"
echo c > app/src/c
misses "a new file counts" 'src/c is new'
rm app/src/c
hits "without it the old result is found"
mv app/src/a app/src/z
misses "a name counts" 'src/z is new; src/a is gone|src/a is gone'
mv app/src/z app/src/a
echo B > app/src/sub/b
misses "what a bind mount shows counts" 'RUN .*src/sub/b changed|COPY .*src/sub/b changed'
echo b > app/src/sub/b
hits "and nothing else"

cat > app/Dockerfile <<'X'
FROM busybox
COPY --chmod=644 src/a /a
COPY --chown=1:1 src/sub /sub
X
misses "modes and owners that are overridden" 'COPY'
chmod 755 app/src/a
hits "an octal --chmod makes the file's own mode irrelevant"
chmod 700 app/src/sub/b
misses "--chown alone does not" 'src/sub/b changed'

cat > app/Dockerfile <<'X'
FROM busybox
COPY src /src
X
chmod 640 app/src/sub/b
misses "modes are normalized" 'COPY' --context-modes=normalize
chmod 775 app/src/a
chmod 600 app/src/sub/b
chmod 775 app/src/sub
hits "another umask finds the same" --context-modes=normalize
check "the image has the normalized modes" kiln run --rm test stat -c %a /src/a /src/sub/b /src/sub
prints "of a program" '^755$'
prints "of a file" '^644$'
fails "another word is refused" 2 kiln build --context-modes=some app

# COPY --from depends on the files, not on how they came about.
cat > app/Dockerfile <<'X'
FROM busybox AS make
ARG how=1
RUN echo "$how" > /how && echo made > /made
FROM busybox
COPY --from=make /made /made
RUN cat /made > /out
X
misses "a stage that is copied from" 'COPY --from' --build-arg how=1
misses "another way to the same file" 'RUN echo.*variable how is "2"' --build-arg how=2
! sed -n '/^Why/,$p' "$WORK/err" | grep -q 'COPY --from'
ok "does not copy it again" $?

# Bytes are read once: a copy that cannot be found is hashed while it is copied.
cat > app/Dockerfile <<'X'
FROM busybox
COPY big /elsewhere/
X
head -c 4194304 /dev/urandom > app/big
if command -v strace > /dev/null; then
	strace -f -e trace=openat,openat2 -o "$WORK/trace" "$KILN" build -t test app > /dev/null 2>&1
	[ "$(grep -c '"big", {flags=O_RDONLY' "$WORK/trace")" = 1 ]
	ok "a first build opens a copied file once" $?
else
	skip "a first build opens a copied file once" "no strace"
fi
hits "and finds it the second time"
finish
