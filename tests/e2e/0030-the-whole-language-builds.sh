# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

example=$(cd "$(dirname "$0")/../../examples/everything" && pwd)
cp -r "$example" app && cd app || exit 1

# The privileged steps need the machine's own root.
set -- --build-context extra=ctx --secret id=token,src=ctx/token --allow network.host --allow security.insecure
check "the Dockerfile with every instruction and flag has no warnings" kiln build --check "$@" .
prints "and says so" '^Check complete, no warnings found\.$'

if [ "$(id -u)" -eq 0 ]; then
	check "it builds" kiln build "$@" -t everything -o type=local,dest=../tree .
	check "and builds again" kiln build "$@" --progress=plain -t everything .
	prints "from the cache" '^#[0-9]+ CACHED$'
	cd ..
	test "$(cat tree/triggered)" = triggered; ok "triggers of the base stage ran" $?
	test -s tree/srv/where && cmp -s app/src/one.txt tree/srv/one.txt; ok "files came from the context and a stage" $?
	test "$(stat -c %a tree/usr/local/bin/run)" = 755; ok "--link and --chmod go together" $?
	test -s tree/parents/a/b/deep.txt && test ! -e tree/parents/tree; ok "--parents keeps what is behind the pivot" $?
	test -e tree/srv/filtered/one.txt && test ! -e tree/srv/filtered/NOTES.md && test ! -e tree/srv/filtered/lib
	ok "--exclude leaves out" $?
	cmp -s app/ctx/note.txt tree/extra/note.txt; ok "a named context is copied from" $?
	grep -qx 'expanded: world' tree/here/EOF && grep -qFx 'literal: $NAME' tree/here/RAW
	ok "documents are expanded unless their word is quoted" $?
	test "$(cat tree/unpacked/d/file)" = "$(tar -xOf app/ctx/archive.tar d/file)" && cmp -s app/ctx/archive.tar tree/packed/archive.tar
	ok "archives are unpacked or kept" $?
	test -s tree/script && test -s tree/shell; ok "documents run as scripts and in the shell" $?
	test ! -e tree/run/token && test ! -e tree/scratch/file && test ! -e tree/src
	ok "nothing is left of mounts" $?
else
	cd ..
	skip "it builds" "needs root"
fi

mkdir -p www/src
echo served > www/file.txt
tar -cf www/archive.tar -C app/src lib
export GIT_CONFIG_GLOBAL=$WORK/gitconfig
git config --global user.email someone@example.com
git config --global user.name Someone
git init -q -b main www/src && echo tracked > www/src/tracked && git -C www/src add . && git -C www/src commit -q -m first
git clone -q --bare www/src www/repository.git && git -C www/repository.git update-server-info
serve_http www
sum=$(sha256sum www/file.txt | cut -d ' ' -f 1)
remote() { # remote CHECKSUM
	rm -rf tree
	quietly kiln build --target remote --build-arg "SERVER=http://127.0.0.1:$HTTP_PORT" --build-arg "CHECKSUM=$1" \
		-o type=local,dest=tree app
}
remote "sha256:$sum"; ok "what comes from servers builds, too" $?
test "$(cat tree/checked/file.txt)" = served && test "$(cat tree/named)" = served; ok "files keep or get their names" $?
cmp -s app/src/lib/lib.txt tree/unpacked/lib/lib.txt; ok "an archive is unpacked on demand" $?
test "$(cat tree/repository/tracked)" = tracked && test -d tree/repository/.git && test ! -e tree/files/.git
ok "a repository is checked out with and without .git" $?
remote "sha256:$(printf '%064d' 1)"; test $? -eq 1; ok "another content is refused" $?
prints "with both digests" "digest mismatch.*$sum"
finish
