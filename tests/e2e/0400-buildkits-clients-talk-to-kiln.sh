# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need_client buildctl "buildctl talks to kiln"
start_server

test "$(stat -c %a "$SOCKET")" = 600; ok "the socket is this user's alone" $?
fails "there is no second server" 1 kiln serve --addr "unix://$SOCKET"
prints "which says why" "is there already"
fails "other addresses are refused" 2 kiln serve --addr tcp://127.0.0.1:1

check "buildctl lists the worker" buildctl debug workers
prints "with this machine's platform" "^kiln[[:space:]]+linux/"
check "buildctl asks for versions" buildctl debug info
prints "of BuildKit's API" "^BuildKit: github.com/moby/buildkit v[0-9.]+ "
printf 'FROM scratch\nCOPY Dockerfile /\n' > Dockerfile
check "something is in the store" kiln build -o type=cacheonly .
check "buildctl shows what it takes" buildctl du
prints "by its records" '^[0-9]+[[:space:]]+true'
check "buildctl shows one kind of it" buildctl du --filter type==source.local
! grep -qE '^[0-9]+ ' out; ok "and no other" $?
check "buildctl frees it" buildctl prune
prints "and shows what went" '^[0-9]+[[:space:]]+true'
kiln du --format json > left; test ! -s left; ok "which is gone" $?
fails "a build of LLB is refused" 1 buildctl build --frontend gateway.v0 --opt source=x
prints "as not served" "kiln serves the frontend dockerfile.v0 alone"

if find_client buildx; then
	export DOCKER_CONFIG=$WORK/docker
	check "buildx takes it for a builder" buildx create --name k --driver remote "unix://$SOCKET"
	check "buildx lists it" buildx ls
	prints "as running" "unix://$SOCKET +running"
	check "buildx inspects it" buildx inspect k
	prints "with its labels" "org.mobyproject.buildkit.worker.executor: kiln"
	check "buildx shows what the store takes" buildx du --builder k
	check "buildx frees it" buildx prune -f --builder k
else
	skip "buildx takes it for a builder" "$WHY_NOT"
fi

# A server that was killed leaves its socket, which the next one takes over.
kill -KILL "$SERVER"; gone "$SERVER"
start_server
check "a socket that was left is taken over" buildctl debug workers
kill "$SERVER"; wait "$SERVER"; ok "SIGTERM ends the server" $?
test ! -e "$SOCKET"; ok "which removes its socket" $?
finish
