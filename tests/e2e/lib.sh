# SPDX-License-Identifier: Apache-2.0
# Sourced by every end-to-end test. A test is a shell script that calls `ok` or `check` for each
# behaviour and `finish` at its end; it has a store and a folder of its own.
#
# From the runner: KILN (the program), FIXTURES (a folder with what the fixtures made), REGISTRY
# (HOST:PORT of a plain-HTTP registry that holds library/busybox and library/python).

set -u
: "${KILN:?run tests/e2e/run}" "${REGISTRY:?run tests/e2e/run}"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/kiln-e2e.XXXXXX")
export KILN_ROOT=$WORK/store KILN_CONFIG=$WORK/config.json HOME=$WORK/home
mkdir -p "$HOME"
printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}}}\n' "$REGISTRY" > "$KILN_CONFIG"
cd "$WORK" || exit 1

kiln() {
	"$KILN" "$@"
}

# Runs a command quietly, keeping stdout and stderr in $WORK/out and $WORK/err.
quietly() {
	"$@" > "$WORK/out" 2> "$WORK/err"
}

show_output() {
	for file in out err; do
		[ ! -s "$WORK/$file" ] || sed "s/^/#   $file: /" "$WORK/$file" | tail -n 40
	done
}

# ok NAME STATUS: one line of the result; a failure shows what the last `quietly` printed.
ok() {
	if [ "$2" -eq 0 ]; then
		printf 'ok - %s\n' "$1"
	else
		printf 'not ok - %s\n' "$1"
		show_output
	fi
}

# check NAME COMMAND...: the command succeeds.
check() {
	name=$1
	shift
	quietly "$@"
	ok "$name" $?
}

# fails NAME STATUS COMMAND...: the command ends with that exit status.
fails() {
	name=$1 want=$2
	shift 2
	quietly "$@"
	[ $? -eq "$want" ]
	ok "$name" $?
}

# prints NAME REGEX: the last command's stdout or stderr has a matching line.
prints() {
	cat "$WORK/out" "$WORK/err" | grep -Eq -- "$2"
	ok "$1" $?
}

# is NAME WANT GOT: the two texts are equal.
is() {
	[ "$2" = "$3" ]
	ok "$1" $?
	[ "$2" = "$3" ] || printf '#   want: %s\n#   got:  %s\n' "$2" "$3"
}

# output COMMAND...: runs quietly, prints stdout on one line.
output() {
	quietly "$@"
	tr '\n' ' ' < "$WORK/out"
}

skip() {
	printf 'ok - %s # SKIP %s\n' "$1" "$2"
}

# at_end COMMAND: runs it when the test ends, however it does; the last one first.
AT_END=
at_end() {
	AT_END="$1; $AT_END"
	trap 'eval "$AT_END"' EXIT
}

# on STORE COMMAND...: as on another machine, with a store of its own.
on() {
	store=$1
	shift
	KILN_ROOT=$WORK/$store "$@"
}

# cached: how many steps the last build found.
cached() {
	grep -cE '^#[0-9]+ CACHED$' "$WORK/err"
}

# gone PID: waits until it is.
gone() {
	for _ in $(seq 200); do
		kill -0 "$1" 2> /dev/null || return 0
		[ "$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2> /dev/null)" != Z ] || return 0
		sleep 0.05
	done
	return 1
}

# serve_http DIR: an HTTP server until the test's end, on port HTTP_PORT of the loopback; what it
# answers is in http.log (tests/fixtures/http_server.py).
serve_http() {
	python3 "$(dirname "$0")/../fixtures/http_server.py" "$1" "$WORK/http.log" &
	HTTP_SERVER=$!
	at_end 'kill $HTTP_SERVER 2> /dev/null'
	for _ in $(seq 100); do
		HTTP_PORT=$(head -n 1 "$WORK/http.log" 2> /dev/null)
		[ -z "$HTTP_PORT" ] || return 0
		sleep 0.1
	done
	return 1
}

# serve_registry HOST:PORT DIR [HTPASSWD [CERT KEY]]: another registry until the test's end or
# stop_registry; what it was asked is in DIR/log (tests/fixtures/registry).
serve_registry() {
	mkdir -p "$2"
	at_end "stop_registry '$1' '$2'"
	"$(dirname "$0")/../fixtures/registry" start "$@"
}
stop_registry() {
	"$(dirname "$0")/../fixtures/registry" stop "$@"
}
# registry_layers DIR REPOSITORY: how many layers it has of that.
registry_layers() {
	find "$1" -path "*/repositories/$2/_layers/sha256/*" -name link 2> /dev/null | wc -l
}

# An ordinary user: an id without a name, to whom no subordinate ids are granted (from the runner).
PLAIN_USER=${PLAIN_USER:-64322}
as_plain_user() {
	setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups "$@"
}
# plain ARGUMENT...: kiln as that user, in a store of its own.
plain() {
	as_plain_user env KILN_ROOT="$WORK/plain" "$KILN" "$@"
}

# Tests that are about ordinary users call this first, and end there if nobody can become one. From then
# on the folder is that user's.
need_plain_user() {
	if [ "$(id -u)" != 0 ]; then
		skip "$1" "needs root to become another user"
	elif chown -R $PLAIN_USER:$PLAIN_USER "$WORK" && chmod 755 "$WORK" &&
		! as_plain_user unshare -Ur true 2> /dev/null; then
		skip "$1" "the kernel forbids user namespaces"
	else
		return 0
	fi
	finish
	exit 0
}

# Keeps other tests from the machine's list of accounts until this one ends.
lock_accounts() {
	exec 8> "$FIXTURES/accounts.lock"
	flock 8
}

# Gives PLAIN_USER a name and subordinate ids until the test's end. Fails where nothing could map them.
grant_subordinate_ids() {
	command -v newuidmap > /dev/null || return 1
	lock_accounts
	ACCOUNT=kiln-e2e-$$
	# By force: a process of that id may be anybody's.
	at_end 'userdel -f $ACCOUNT 2> /dev/null; groupdel $ACCOUNT 2> /dev/null; sed -i "/^$ACCOUNT:/d" /etc/subuid /etc/subgid'
	groupadd -g $PLAIN_USER "$ACCOUNT" && useradd -M -u $PLAIN_USER -g $PLAIN_USER "$ACCOUNT" &&
		sed -i "/^$ACCOUNT:/d" /etc/subuid /etc/subgid &&
		echo "$ACCOUNT:300000:65536" | tee -a /etc/subuid >> /etc/subgid
}

# as_every_user FUNCTION: calls it with a description and a command that is kiln: as this test's user, then
# as PLAIN_USER with one id and with ranges, each with a store of its own.
as_every_user() {
	"$1" root "$KILN"
	if [ "$(id -u)" != 0 ] || ! as_plain_user unshare -Ur true 2> /dev/null; then
		skip "with one id" "needs root to become a user, and user namespaces"
		return
	fi
	mkdir plain ranges && chown $PLAIN_USER plain ranges && chmod -R a+rX ctx
	"$1" "with one id" as_plain_user env KILN_ROOT="$WORK/plain" "$KILN"
	if grant_subordinate_ids; then
		"$1" "with ranges" as_plain_user env KILN_ROOT="$WORK/ranges" "$KILN"
	else
		skip "with ranges" "needs newuidmap (package uidmap)"
	fi
}

# layer_owners IMAGE.tar: mode, owner, path and link of every entry of its layers, in order.
layer_owners() {
	tar -xOf "$1" manifest.json | grep -o 'blobs/sha256/[0-9a-f]*' | awk '!seen[$0]++' |
		while read -r blob; do
			tar -xOf "$1" "$blob" | zcat -f | tar -tvf - --numeric-owner 2> /dev/null |
				awk '{ $3 = $4 = $5 = ""; print }'
		done
}

# serve_s3 BUCKET...: an S3 server until the test's end, at S3_URL, its user in the environment.
serve_s3() {
	S3_URL=http://127.0.0.1:$((${REGISTRY##*:} + 20000))
	export AWS_ACCESS_KEY_ID=kilntest AWS_SECRET_ACCESS_KEY=kiln+test/secret
	"$(dirname "$0")/../fixtures/s3_server" start "${S3_URL#http://}" "$WORK/s3" "$@" || return 1
	S3_PID=$(cat "$WORK/s3/pid")
	at_end 'kill -KILL $S3_PID'
}

# s3_curl PATH [CURL OPTIONS]: one signed request to it. curl signs a path as it stands.
s3_curl() {
	s3_path=$(printf '%s' "$1" | sed 's/:/%3A/g')
	shift
	curl -s --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 \
		--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$S3_URL/$s3_path"
}

# s3_keys BUCKET [PREFIX]: the keys in it, a line each.
s3_keys() {
	s3_curl "$1?list-type=2&prefix=$(printf '%s' "${2:-}" | sed 's|/|%2F|g')" | grep -o '<Key>[^<]*' | sed 's/<Key>//'
}

# A sanitizer's own memory is not kiln's: what limits it says nothing then.
is_sanitized() {
	nm "$KILN" 2> /dev/null | grep -q __asan_init
}

# Nothing may be left of a command: no mount below the store, no process, no temporary file.
leaves_nothing() {
	! grep -q " $WORK/" /proc/self/mounts && [ -z "$(ls -A "$KILN_ROOT/tmp" 2> /dev/null)" ] &&
		! pgrep -f "$WORK/store" > /dev/null
	ok "$1" $?
}

finish() {
	leaves_nothing "no mount, process or temporary file is left behind"
	eval "$AT_END"
	AT_END=
	cd / && rm -rf "$WORK"
	printf '# finished\n'
}
