# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of `kiln serve`, after lib.sh: the clients, unmodified, and a server.

# find_client NAME: buildctl or buildx, as tests/fixtures/clients installs them, in CLIENT; else says in WHY_NOT why
# there is none.
find_client() {
	CLIENT=$("$(dirname "$0")/../fixtures/clients" "$FIXTURES" "$1" 2> client.err) && return 0
	WHY_NOT=$(tail -n 1 client.err)
	return 1
}

# need_client NAME TEST: for a test that is nothing without it.
need_client() {
	find_client "$1" && return 0
	skip "$2" "$WHY_NOT"
	finish
	exit 0
}

# Where the server listens: a path short enough for a socket.
SOCKET=$WORK/k.sock

buildctl() {
	timeout 120 "$FIXTURES/clients/bin/buildctl" --addr "unix://$SOCKET" "$@"
}

buildx() {
	timeout 120 "$FIXTURES/clients/bin/buildx" "$@"
}

# start_server [OPTION...]: SERVER is its process, until the test's end.
start_server() {
	"$KILN" serve --addr "unix://$SOCKET" "$@" 2> "$WORK/server.log" &
	SERVER=$!
	at_end 'kill $SERVER 2> /dev/null; wait $SERVER 2> /dev/null'
	for _ in $(seq 200); do
		! grep -q '^listening' "$WORK/server.log" || return 0
		sleep 0.05
	done
	return 1
}
