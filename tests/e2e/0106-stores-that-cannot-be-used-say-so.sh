# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
printf 'FROM busybox\nRUN echo made > /made\n' > app/Dockerfile
check "a store" kiln build -t app app
good=$KILN_ROOT

check "a store by a relative name with blanks" env KILN_ROOT="a store/of mine" "$KILN" build -t app app
[ -e "$WORK/a store/of mine/kiln.db" ]; ok "is where it should be" $?
ln -s "$WORK/a store/of mine" link
check "by a link it is the same" env KILN_ROOT=link "$KILN" run --rm app cat /made
rm -rf link "a store"
ln -s nowhere/at/all dangling
fails "a link to nowhere is an error" 1 env KILN_ROOT="$WORK/dangling" "$KILN" images
prints "that names it" "ERROR: open store '$WORK/dangling': "
echo > file
fails "and so is a file" 1 env KILN_ROOT="$WORK/file" "$KILN" images
prints "that names it" "ERROR: open store '$WORK/file': Not a directory"

copy() { # a copy of the store to spoil
	rm -rf bad
	cp -a "$good" bad
	export KILN_ROOT=$WORK/bad
}
copy
rm bad/kiln.db*
fails "a store without its database cannot be used" 1 kiln build app
prints "that is told" "kiln.db' is gone$"
prints "with what to do" "^nothing can be found without it: move the store's directory away"
copy
rm -f bad/kiln.db-*
head -c 8192 /dev/urandom > garbage
dd if=garbage of=bad/kiln.db conv=notrunc status=none
for command in "images" "build app" "prune -f" "store verify" "du"; do
	fails "a spoilt database stops '$command'" 1 kiln $command
	prints "with its reason" 'database: (file is not a database|database disk image is malformed)'
done
prints "and what to do" "^nothing can be found without it"
copy
rm -f bad/kiln.db-*
: > bad/kiln.db
check "an emptied database starts anew" kiln build -t app app
check "what nothing names any more goes" kiln prune -f
check "the store is whole" kiln store verify
prints "and without leftovers" ': 0 damaged$'
[ "$(ls bad/layers | wc -l)" -le 2 ]; ok "of what it held" $?

if [ "$(id -u)" = 0 ] && unshare --mount true 2> /dev/null; then
	copy
	read_only() {
		unshare --mount sh -c 'mount --bind "$KILN_ROOT" "$KILN_ROOT" && mount -o remount,bind,ro "$KILN_ROOT" && exec "$0" "$@"' "$KILN" "$@"
	}
	for command in "build app" "prune -f" "store verify" "tag app other" "rmi app"; do
		fails "a read-only store stops '$command'" 1 read_only $command
		prints "with its reason" 'Read-only file system|readonly database|unable to open database'
	done
	! grep -q damaged "$WORK/out"; ok "verify calls nothing damaged that it cannot look at" $?
	unshare --mount sh -c 'mount --bind bad bad && mount -t tmpfs -o size=2m,mode=0700 tmpfs bad && "$0" build app > out 2> err; status=$?; "$0" images > /dev/null && [ $status = 1 ] && [ -z "$(ls bad/tmp)" ]' "$KILN"
	ok "a file system without room fails a build, and leaves nothing" $?
	prints "with what to do" '^free some space'
	copy
	chmod 700 bad && chown -R 0:0 bad
	fails "the store of another user is an error" 1 setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp "$KILN" images
else
	skip "a read-only store" "needs root"
fi
if [ "$(id -u)" = 0 ]; then
	for command in images "run --rm busybox true" "pull busybox" du; do
		fails "HOME may be a file for '$command'" "$(case $command in run*) echo 125 ;; *) echo 1 ;; esac)" \
			env -u KILN_ROOT -u KILN_CONFIG -u XDG_DATA_HOME HOME=/etc/passwd \
			setpriv --reuid=65534 --regid=65534 --clear-groups "$KILN" $command
		prints "and kiln says what helps" '^set KILN_ROOT to a folder that this user may write'
	done
else
	skip "HOME may be a file" "needs root, to be somebody without a store"
fi
KILN_ROOT=$good
check "the good store is as it was" kiln store verify
rm -rf bad
finish
