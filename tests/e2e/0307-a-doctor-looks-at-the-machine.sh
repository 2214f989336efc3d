# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# row CHECK STATE REGEX: the table has such a row.
row() {
	grep -Eq -- "^$1 +$2 +.*$3" "$WORK/out"
	ok "of $1 it says: $2" $?
}
export HOME=/root-of-nobody
check "a machine on which builds work" kiln doctor
row store ok "'$WORK/store' \(not made yet\) on "
row steps ok 'a step runs'
row configuration ok "mirrors: docker.io=http://$REGISTRY"
[ ! -e store ] && [ -z "$(find . -name 'doctor.*')" ]; ok "and nothing is made there" $?
check "info says the same" kiln info
prints "with docker's words" '^Storage Driver: (overlay|copy)$'
check "as docker's document" kiln info --format '{{.ServerVersion}} {{.Driver}} {{.DockerRootDir}} {{.OSType}} {{len .Warnings}}'
prints "with its fields" "^[0-9.]+ (overlay|copy) $WORK/store linux [0-9]+\$"
check "as JSON" kiln doctor --format json
python3 -c 'import json; d = json.load(open("out")); assert d["Works"] and d["StorePath"] and all(f["State"] in ("ok", "less", "fails") for f in d["Findings"])'
ok "that can be read" $?
fails "a wrong template" 1 kiln doctor --format '{{.Nothing'
fails "an argument" 2 kiln doctor more
KILN_LAYERS=copy check "copies" kiln doctor
row layers less 'KILN_LAYERS=copy'

printf 'FROM busybox\nRUN true\n' > Dockerfile
echo '{"registries": {"docker.io": {"mirror": []}}}' > bad.json
KILN_CONFIG=$WORK/bad.json fails "a bad configuration" 1 kiln doctor
row configuration fails 'unknown key "mirror"'
KILN_CONFIG=$WORK/missing.json fails "one that is not there" 1 kiln doctor
row configuration fails "missing.json' cannot be read"
echo > file
KILN_ROOT=$WORK/file fails "a store that is a file" 1 kiln doctor
row store fails 'is not a directory'
mkdir -m 777 open
KILN_ROOT=$WORK/open fails "a store that others may write" 1 kiln doctor
row store fails "other users can write to '$WORK/open'"
prints "what helps" "^  store: chmod go-w '$WORK/open'"
check "a store" kiln build .
check "is looked at" kiln doctor
row store ok "'$WORK/store' on"
[ -z "$(ls -A store/tmp)" ]; ok "and left as it was" $?
cp -a store lost && rm lost/kiln.db*
KILN_ROOT=$WORK/lost fails "one that has lost its database" 1 kiln doctor
row store fails "is gone"
[ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null || {
	skip "places that are missing something" "needs root"
	finish
	exit 0
}
on_tmpfs() {
	unshare -m --propagation private sh -c 'mkdir -p t && mount -t tmpfs -o "$1" tmpfs t && shift && KILN_ROOT=$PWD/t/store "$@"' sh "$@"
}
check "a store in memory" on_tmpfs mode=0700 "$KILN" doctor
row store less 'is in memory'
fails "a read-only place" 1 on_tmpfs ro "$KILN" doctor
row store fails "cannot be created: '$WORK/t' is not writable"
prints "what helps" '^  store: export KILN_ROOT='
mkdir -p l u m
check "a store on overlayfs" unshare -m --propagation private sh -c 'mount -t tmpfs tmpfs u && mkdir u/u u/w && mount -t overlay -o lowerdir=l,upperdir=u/u,workdir=u/w overlay m && KILN_ROOT=$PWD/m/store exec "$0" doctor' "$KILN"
row store ok 'on overlayfs'
grep -Eq '^layers +(ok|less)' out; ok "is tried" $?
check "no /dev/net/tun" unshare -m --propagation private sh -c 'mkdir dev && for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
	set -- $n; mknod -m 666 dev/$1 c $2 $3; done; mount --bind dev /dev && exec "$0" doctor' "$KILN"
row network less '/dev/net/tun does not exist'
prints "what helps" '^  network: sudo modprobe tun'

chown -R $PLAIN_USER:$PLAIN_USER "$WORK" && chmod 755 "$WORK"
if as_plain_user unshare -Ur true 2> /dev/null; then
	export KILN_ROOT=$WORK/plain
	check "a user without ids" as_plain_user "$KILN" doctor
	row 'user namespaces' ok 'can make them'
	row 'subordinate ids' less 'has no name'
	row steps ok 'a step runs'
	fails "where namespaces are forbidden" 1 python3 "$(dirname "$0")/../fixtures/forbidding.py" $PLAIN_USER "$KILN" doctor
	row 'user namespaces' fails 'user.max_user_namespaces is 0'
	prints "what helps" '^  user namespaces: sudo sysctl -w user.max_user_namespaces='
	[ ! -e "$KILN_ROOT" ]; ok "nothing is made" $?
else
	skip "users" "the kernel forbids user namespaces"
fi
finish
