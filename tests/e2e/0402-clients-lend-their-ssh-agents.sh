# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need_client buildctl "a step uses the client's agent"
if ! command -v ssh-agent > /dev/null || ! command -v ssh-add > /dev/null; then
	skip "a step uses the client's agent" "needs ssh-agent (package openssh-client)"
	finish
	exit 0
fi
# The server has an agent of its own, which is none of the clients'.
export TMPDIR=$WORK/tmp SSH_AUTH_SOCK=$WORK/servers-own
mkdir -p "$TMPDIR" client ctx
start_server
ssh-keygen -q -t ed25519 -N '' -C lent-key -f key
eval "$(ssh-agent -a "$WORK/agent")" > /dev/null
at_end 'kill $SSH_AGENT_PID 2> /dev/null'
ssh-add -q key

cp "$(command -v ssh-add)" client/
for library in $(ldd "$(command -v ssh-add)" | grep -o '/[^ ]*'); do
	mkdir -p "client/root$(dirname "$library")" && cp "$library" "client/root$library"
done
printf 'FROM busybox\nCOPY root /\nCOPY ssh-add /bin/\n' > client/Dockerfile
check "an image with a client is built" kiln build -t client client

# build ARGUMENT...: of the folder ctx.
build() {
	buildctl build --no-cache --progress plain --frontend dockerfile.v0 --local context=ctx --local dockerfile=ctx "$@"
}
printf 'FROM client\nRUN --mount=type=ssh,required=true ssh-add -l; ssh-add -l\n' > ctx/Dockerfile
check "a step asks the client's agent, twice" build --ssh default="$WORK/agent"
test "$(grep -c 'lent-key (ED25519)' err)" = 2; ok "and hears its keys" $?
fails "one that is not lent" 1 build
prints "is missed" 'no SSH key "default" forwarded from the client'
printf 'FROM client\nRUN --mount=type=ssh,id=other,required=true ssh-add -l\n' > ctx/Dockerfile
check "an agent has a name" build --ssh other="$WORK/agent"
prints "and is found by it" 'lent-key \(ED25519\)'
test -z "$(find "$TMPDIR" -mindepth 2)"; ok "no socket is left" $?
unset TMPDIR
finish
