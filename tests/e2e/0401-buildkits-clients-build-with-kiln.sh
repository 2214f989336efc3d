# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need_client buildctl "buildctl builds with kiln"
export TMPDIR=$WORK/tmp
mkdir -p "$TMPDIR" ctx/sub
start_server

# build ARGUMENT...: of the folder ctx.
build() {
	buildctl build --progress plain --frontend dockerfile.v0 --local context=ctx --local dockerfile=ctx "$@"
}

# received: what the server keeps of builds.
received() {
	find "$TMPDIR" -mindepth 2
}

printf 'FROM busybox\nARG WHO=nobody\nRUN echo "to $WHO" > /who\nCOPY . /src\n' > ctx/Dockerfile
printf '*.log\n!keep.log\n' > ctx/.dockerignore
echo hello > ctx/sub/file; ln -s file ctx/sub/link; ln ctx/sub/file ctx/sub/same; chmod 4711 ctx/sub/same
echo no > ctx/no.log; echo yes > ctx/keep.log; printf 'x' > "ctx/näme with blanks"
head -c 3000000 /dev/urandom > ctx/sub/big; : > ctx/empty; mkdir -m 700 ctx/void; touch -d 2001-02-03 ctx/sub/file

check "an image is built into an archive" build --opt build-arg:WHO=you --output type=oci,dest=api.tar
prints "with its steps" '^#[0-9]+ \[2/3\] RUN echo "to you"'
check "kiln builds it, too" kiln build --build-arg WHO=you -o type=oci,dest=own.tar ctx
cmp -s api.tar own.tar; ok "which are the same bytes" $?
grep -q CACHED err; ok "as the steps were found" $?
check "files leave as a tar" build --output type=tar,dest=files.tar
tar tf files.tar > list; grep -q '^src/keep.log$' list && ! grep -q '^src/no.log$' list; ok "without what the ignore file leaves out" $?
check "and as a folder" build --output type=local,dest=tree
kiln build -q -o own ctx 2> err; ok "as kiln leaves them" $?
diff -r --no-dereference tree own > out 2>&1; ok "with the same files" $?
test "$(stat -c '%a %Y' tree/src/sub/same)" = "$(stat -c '%a %Y' own/src/sub/same)"; ok "modes and times" $?
check "an image for docker" build --output type=docker,name=some/app,dest=docker.tar
kiln load -i docker.tar > out 2>&1; ok "which loads" $?
check "an image in the store" build --output type=image,name=stored/here
kiln images | grep -q '^stored/here '; ok "is there for kiln" $?
test -z "$(received)"; ok "nothing of these builds is kept" $?

printf 'FROM busybox\nRUN true\nRUN echo oops; exit 3\n' > ctx/failing
fails "a step that fails ends the build" 1 build --opt filename=failing
prints "with the line of the Dockerfile" '^   3 \| >>> RUN echo oops; exit 3'
prints "what it printed" 'oops'
prints "and its status" 'exit code: 3'
fails "a Dockerfile that is not there is told" 1 build --opt filename=none
prints "by its name" 'failed to read dockerfile: open none: no such file'
fails "nor is one outside of its folder" 1 build --opt filename=../ctx/Dockerfile
fails "other frontends are refused" 1 buildctl build --frontend gateway.v0 --opt source=x
prints "by name" 'kiln serves the frontend dockerfile.v0 alone'
fails "contexts of the server's machine are refused" 1 build --opt context=/etc
prints "as no URLs" "the context '/etc' is no URL"
fails "rights must be granted by the server" 1 build --allow security.insecure
prints "which says how" 'allow-insecure-entitlement security.insecure'

printf 'FROM scratch\nCOPY --from=other /x /\n' > ctx/named; mkdir other; echo named > other/x
check "named folders come from the client" build --opt filename=named --local extra=other --opt context:other=local:extra --output type=local,dest=fromnamed
grep -q named fromnamed/x; ok "with their files" $?

printf 'FROM busybox\nRUN --mount=type=secret,id=s,required=true tr a-z A-Z < /run/secrets/s\n' > ctx/secret
printf 'hush' > hush
check "a secret comes from the client" build --opt filename=secret --secret id=s,src=hush
prints "to the step" 'HUSH'
fails "one that it does not have" 1 build --opt filename=secret --no-cache
prints "is missed by name" 'secret s: not found'

# A registry that wants a password, which only the client has.
PRIVATE=127.0.0.1:$((${REGISTRY##*:} + 20))
if python3 -c 'import crypt' 2> /dev/null; then
	python3 -W ignore -c 'import crypt; print("kiln:" + crypt.crypt("sesame", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)).replace("$2b$", "$2y$"))' > users
	serve_registry "$PRIVATE" "$WORK/private" "$WORK/users"
	mkdir login; printf '{"auths": {"%s": {"auth": "%s"}}}' "$PRIVATE" "$(printf 'kiln:sesame' | base64)" > login/config.json
	check "an image is pushed with the client's password" env DOCKER_CONFIG="$WORK/login" "$FIXTURES/clients/bin/buildctl" --addr "unix://$SOCKET" \
		build --progress plain --frontend dockerfile.v0 --local context=ctx --local dockerfile=ctx --output "type=image,name=$PRIVATE/app,push=true" --metadata-file meta.json
	grep -q '"containerimage.digest": "sha256:' meta.json; ok "and its digest is told" $?
	fails "without one it is not" 1 build --output "type=image,name=$PRIVATE/other,push=true"
	stop_registry "$PRIVATE" "$WORK/private"
else
	skip "an image is pushed with the client's password" "needs Python's crypt"
fi

# Several at once, over connections of their own.
for i in 1 2 3 4 5 6; do
	build --opt "build-arg:WHO=$i" --output type=local,dest=at-once-$i > /dev/null 2>&1 &
	clients="${clients:-} $!"
done
wait $clients; ok "builds at once all end" $?
for i in 1 2 3 4 5 6; do cat at-once-$i/who; done > out
test "$(sort out | tr '\n' ' ')" = "to 1 to 2 to 3 to 4 to 5 to 6 "; ok "each with its own result" $?

# waits COMMAND...: until it succeeds.
waits() {
	for _ in $(seq 200); do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.05
	done
	return 1
}
no_step() {
	! pgrep -f "sleep 98$RUN" > /dev/null
}
no_files() {
	test -z "$(received)"
}
RUN=${REGISTRY##*:}
printf 'FROM busybox\nRUN echo begun; sleep 98%s\n' "$RUN" > ctx/slow
"$FIXTURES/clients/bin/buildctl" --addr "unix://$SOCKET" build --progress plain --frontend dockerfile.v0 --opt filename=slow \
	--local context=ctx --local dockerfile=ctx > log 2>&1 &
CLIENT=$!
waits grep -q begun log; ok "a long step begins" $?
kill -KILL $CLIENT; wait $CLIENT 2> /dev/null
waits no_step; ok "and ends when its client is killed" $?
waits no_files; ok "nothing of the build is left" $?
check "the server goes on" buildctl debug workers

build --opt filename=slow > log 2>&1 &
CLIENT=$!
waits grep -q begun log; ok "it begins again" $?
kill "$SERVER"; wait "$SERVER"; ok "SIGTERM ends the server in the middle of a build" $?
no_step; ok "with the step" $?
wait $CLIENT 2> /dev/null; test $? -ne 0; ok "whose client fails" $?
test -z "$(ls "$TMPDIR")"; ok "and nothing is left of either" $?

if find_client buildx; then
	start_server
	export DOCKER_CONFIG=$WORK/docker
	buildx create --name k --driver remote "unix://$SOCKET" > /dev/null
	check "buildx builds" buildx build --progress plain --builder k --output type=oci,dest=buildx.tar --build-arg WHO=you ctx
	kiln build -q --build-arg WHO=you -o type=oci,dest=own.tar ctx > out 2> err
	cmp -s buildx.tar own.tar; ok "the same bytes" $?
	check "and pushes" buildx build --builder k --push -t "$REGISTRY/by-buildx" --metadata-file meta.json ctx
	grep -q '"containerimage.digest": "sha256:' meta.json; ok "with a digest" $?
	fails "buildx shows what failed" 1 buildx build --builder k -f ctx/failing ctx
	prints "where" '^   3 \| >>> RUN echo oops; exit 3'
	printf 'group "default" { targets = ["a", "b"] }\ntarget "a" { context = "ctx" }\ntarget "b" {\ncontext = "ctx"\nargs = { WHO = "b" }\n}\n' > bake.hcl
	check "bake builds its targets" buildx bake --builder k -f bake.hcl
else
	skip "buildx builds" "$WHY_NOT"
fi
unset TMPDIR
finish
