# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
dockerfile() {
	printf "$@" > app/Dockerfile
}
differs() { # differs NAME LINE...: the report has these lines
	name=$1
	shift
	fails "$name" 1 kiln verify-build app
	for line in "$@"; do
		prints "... and shows where" "$line"
	done
}

dockerfile 'FROM busybox\nRUN mkdir /d && echo x > /d/x && ln /d/x /d/y\nWORKDIR /w\nCOPY Dockerfile /\nRUN umask > /umask; date +%%Z > /zone; env > /env\n'
check "a build that gives the same each time" kiln verify-build app
prints "is reproducible" '^reproducible: sha256:[0-9a-f]{64}$'
digest=$(sed 's/reproducible: //' "$WORK/out")
check "its digest" kiln build --reproducible --metadata-file meta.json -o type=oci,dest=x.tar app
grep -q "\"containerimage.digest\": \"$digest\"" meta.json; ok "is that of any other such build" $?

dockerfile 'FROM busybox\nRUN echo same > /same\nRUN echo begin > /etc/b; cat /proc/sys/kernel/random/uuid >> /etc/b; echo c > /etc/c\n'
differs "random bytes in a file" '^not reproducible: linux/[a-z0-9]+, layer 3 of 3 \(RUN /bin/sh -c echo begin' \
	'^  path:   etc/b$' '^  field:  content$' '^  first:  "[0-9a-f-]+\\x0a" at byte [0-9]+$' '^  second: "'
dockerfile 'FROM busybox\nRUN date > /built\n'
differs "the time of the build" '^  path:   built$' '^  field:  content$'
dockerfile 'FROM busybox\nRUN touch /$(head -c 4 /dev/urandom | od -An -tx4 | tr -d " ")\n'
differs "a random name" '^  field:  existence$' '^  first:  is (not )?there$'
dockerfile 'FROM busybox\nRUN touch /f && chmod $(od -An -N1 -tu1 /dev/urandom | awk "{print 400 + \\$1 %% 8 * 10 + (\\$1 / 8) %% 8}") /f; for i in 1 2 3 4 5; do touch /m$i; done; chown $(od -An -N3 -tu4 /dev/urandom | tr -d " ") /m3\n'
fails "random modes and owners" 1 kiln verify-build app
prints "are told" '^  field:  (mode|uid)$'
dockerfile 'FROM busybox\nRUN mkdir /n && ln -s $(cat /proc/sys/kernel/random/uuid) /n/l\n'
differs "a random link" '^  path:   n/l$' '^  field:  link$'
dockerfile 'FROM busybox\nRUN touch -d @$(od -An -N3 -tu4 /dev/urandom | tr -d " ") /old\n'
fails "files of a past that differs" 1 kiln verify-build --build-arg SOURCE_DATE_EPOCH=1700000000 app
prints "have another mtime" '^  field:  mtime$'
prints "which is shown" '^  first:  1970-'

dockerfile 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n'
check "several platforms are compared" kiln verify-build --platform linux/amd64,linux/arm64 app
if [ "$(id -u)" = 0 ] && setpriv --reuid 64325 --regid 64325 --clear-groups unshare -Ur true 2> /dev/null; then
	chmod 755 "$WORK" && mkdir theirs && chown 64325 theirs
	KILN_ROOT=$WORK/theirs/store check "a user without root verifies" \
		setpriv --reuid 64325 --regid 64325 --clear-groups "$KILN" verify-build app
	test -z "$(ls -d theirs/store/verify.* 2> /dev/null)"; ok "and leaves nothing" $?
else
	skip "a user without root verifies" "needs root and user namespaces"
fi

dockerfile 'FROM busybox\nRUN exit 7\n'
fails "a build that fails" 1 kiln verify-build app
prints "says why" 'exit code: 7'
refused() {
	fails "$1" 2 kiln verify-build "${@:3}"
	prints "... and says why" "$2"
}
refused "there is no output" 'writes no output' -o out app
refused "and no push" 'writes no output' --push -t x app
refused "standard input cannot be read twice" 'standard input can be read only once' -
refused "nothing comes from a cache" 'cache-from' --cache-from type=registry,ref=x app

# A shell ignores SIGINT for what it starts in the background.
dockerfile 'FROM busybox\nRUN echo sleeping && sleep 600\n'
env --default-signal=INT "$KILN" verify-build --progress=plain app > "$WORK/out" 2> "$WORK/err" &
verify=$!
for _ in $(seq 300); do
	grep -q ' sleeping$' "$WORK/err" && break
	sleep 0.1
done
kill -INT $verify
wait $verify
test $? = 130; ok "it can be interrupted" $?
test -z "$(ls -d "$KILN_ROOT"/verify.* 2> /dev/null)"; ok "and nothing of it is left" $?
test -z "$(kiln images -q)"; ok "nor any image" $?
finish
