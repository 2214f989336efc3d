# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

if [ "$(uname -m)" != x86_64 ]; then
	skip "libraries come when they are called" "this machine links them: engine/lazy_library.h"
	finish
	exit
fi

# loads NAME: did the loader bring that library for the last command?
loads() {
	cat "$WORK"/loaded.* | grep -q "file=$1.*generating link map"
}

# traced COMMAND...: runs it with the loader telling what it loads.
traced() {
	rm -f "$WORK"/loaded.*
	LD_DEBUG=files LD_DEBUG_OUTPUT="$WORK/loaded" "$@"
}

mkdir "$WORK/app"
printf 'FROM scratch\nCOPY Dockerfile /\n' > "$WORK/app/Dockerfile"
check "an image that needs nothing from elsewhere builds" traced kiln build -t app "$WORK/app"
loads libsqlite3; ok "the libraries that every build uses are loaded" $?
for name in libcurl libgit2 libarchive libexpat; do
	! loads $name; ok "$name is not" $?
done

fails "a registry that is not there" 1 traced kiln pull 127.0.0.1:1/nothing
loads libcurl; ok "is asked with libcurl" $?
! loads libgit2; ok "and without libgit2" $?

echo hello > "$WORK/app/file"
tar cf "$WORK/rootfs.tar" -C "$WORK/app" file
check "an archive is imported" traced kiln import "$WORK/rootfs.tar" imported
loads libarchive; ok "with libarchive" $?
! loads libcurl; ok "and without libcurl" $?
finish
