# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

mkdir app
printf 'FROM busybox\nRUN echo x > /x\n' > app/Dockerfile
(umask 0 && quietly "$KILN" build -t app app)
ok "an image builds" $?
test -z "$(find "$KILN_ROOT" -maxdepth 1 -type f -perm /077)"; ok "the database is its owner's alone" $?
chmod 644 "$KILN_ROOT"/kiln.db*
check "a store whose database is open to others" kiln images
test -z "$(find "$KILN_ROOT" -maxdepth 1 -name 'kiln.db*' -perm /077)"; ok "is closed" $?

chmod g+w "$KILN_ROOT"
fails "a store that others may write is refused" 1 kiln images
prints "... with the command that mends it" "^remove their write permission: chmod go-w '$KILN_ROOT'"
chmod go-w "$KILN_ROOT"
mkdir -m 777 open
KILN_ROOT=$WORK/open fails "so is one that is to be made in such a folder" 1 kiln build app
test -z "$(ls open)"; ok "... where nothing is left" $?
if [ "$(id -u)" = 0 ]; then
	mkdir foreign && chown 1234 foreign
	KILN_ROOT=$WORK/foreign fails "one that belongs to another user is refused" 1 kiln build app
	prints "... with the ways out" "^set KILN_ROOT to .*chown -R"
	test -z "$(ls foreign)"; ok "... where nothing is left, either" $?
else
	skip "one that belongs to another user is refused" "needs root"
fi

# HOME counts for ordinary users only.
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
	for home in /nonexistent/home /proc; do
		fails "HOME=$home" 1 as_plain_user env -u KILN_ROOT -u XDG_DATA_HOME HOME=$home "$KILN" images
		prints "... says what to set" "^set KILN_ROOT to a folder"
	done
	fails "no HOME" 1 as_plain_user env -u KILN_ROOT -u XDG_DATA_HOME -u HOME "$KILN" images
	prints "... says what to set" "^set KILN_ROOT to a folder"
else
	skip "HOME that cannot be written" "needs root"
fi
printf x > file
KILN_ROOT=$WORK/file/store fails "a store below a file" 1 kiln images
prints "... says what to set" "^set KILN_ROOT to a folder"

# --- kiln store remove
fails "what is no store is not removed" 1 env KILN_ROOT="$WORK/app" "$KILN" store remove -f
test -e app/Dockerfile; ok "... but kept" $?
printf 'FROM busybox\nRUN echo started; sleep 30\n' > app/Dockerfile
"$KILN" build app > "$WORK/build.log" 2>&1 &
build=$!
until grep -q ' started$' "$WORK/build.log"; do
	kill -0 $build || break
	sleep 0.05
done
fails "nor one that is in use" 1 kiln store remove -f
prints "... which is told" "is in use"
kill $build
wait $build
check "it is whole" kiln store verify
echo mine > "$KILN_ROOT/mine"
check "a store is removed" kiln store remove -f
test "$(ls -A "$KILN_ROOT")" = mine; ok "but for what is none of its" $?
rm "$KILN_ROOT/mine"
check "an empty folder becomes a store again" kiln images
check "and is removed" kiln store remove -f
test ! -e "$KILN_ROOT"; ok "with its folder" $?

# --- layouts whose folders lead elsewhere
printf 'FROM scratch\nCOPY Dockerfile /\n' > app/Dockerfile
mkdir -p layout elsewhere/sha256 && ln -s ../elsewhere layout/blobs
printf '{"imageLayoutVersion":"1.0.0"}' > layout/oci-layout
blob=$(printf '%064d' 0)
echo precious > elsewhere/sha256/$blob
fails "a layout with a symlink for blobs is not written to" 1 kiln build -o type=oci,tar=false,dest=layout app
prints "... and says why" "'blobs' is a symlink"
fails "nor by a cache" 1 kiln build --cache-to type=local,dest=layout app
prints "... either" "'blobs' is a symlink"
test "$(ls elsewhere/sha256)" = "$blob"; ok "what it leads to is as it was" $?
finish
