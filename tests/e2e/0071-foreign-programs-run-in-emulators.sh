# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

if [ "$(uname -m)" = aarch64 ] || ! command -v qemu-aarch64-static > /dev/null; then
	skip "programs for arm64 run" "needs another machine with qemu-user-static"
	finish
	exit 0
fi
mkdir app
"$here/../fixtures/arm64_program.py" write /made 'by arm64' > app/write
"$here/../fixtures/arm64_program.py" exec /bin/write > app/exec
"$here/../fixtures/arm64_program.py" write /dev/null x > app/null
chmod +x app/write app/exec app/null
cat > app/Dockerfile <<'END'
FROM scratch
COPY write exec null /bin/
RUN ["/bin/write"]
USER 12:34
WORKDIR /home
RUN ["/bin/null"]
CMD ["/bin/null"]
END
emulated() { # emulated NAME COMMAND...: it builds the app, with what the program made
	name=$1
	shift
	quietly "$@" build --platform linux/arm64 --no-cache --progress=plain -o "type=tar,dest=$name.tar" app &&
		test "$(tar xOf "$name.tar" made)" = 'by arm64'
	ok "programs for arm64 run $name" $?
}
registered=$(ls /proc/sys/fs/binfmt_misc/qemu-aarch64 2> /dev/null)
if [ -n "$registered" ] || (unshare -Urm sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc' 2> /dev/null); then
	emulated "as root" "$KILN"
	check "the image is in the store" kiln build --platform linux/arm64 -t app app
	check "and runs" kiln run --rm app
	check "under an init" kiln run --rm --init app
	tar tvf "as root.tar" --numeric-owner > "$WORK/out"
	prints "what root makes is root's" '^-rw-r--r-- 0/0 .* made$'
	sed -i 's|^RUN \["/bin/write"\]|RUN ["/bin/exec"]|' app/Dockerfile
	emulated "started by others" "$KILN"
	[ -n "$registered" ] || { test ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64; ok "nothing of the machine is changed" $?; }
else
	skip "programs for arm64 run" "this kernel has no binfmt_misc for user namespaces"
fi
if [ "$(id -u)" = 0 ] && setpriv --reuid 64326 --regid 64326 --clear-groups \
	unshare -Urm sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc' 2> /dev/null; then
	sed -i '/^USER/d' app/Dockerfile
	chmod 755 "$WORK" && mkdir theirs && chown 64326 theirs && chmod 777 .
	KILN_ROOT=$WORK/theirs/store emulated "for a user without root" setpriv --reuid 64326 --regid 64326 --clear-groups "$KILN"

	# An emulator that somebody else has registered, here for a namespace of its own.
	cat > registered.sh <<'END'
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register && exec "$@"
END
	KILN_ROOT=$WORK/nested emulated "where an emulator is registered" unshare -Urm sh registered.sh "$KILN"
fi
# What runs nothing needs nothing.
printf 'FROM scratch\nCOPY write /\n' > app/Dockerfile
check "stages that only copy need no emulator" kiln build --platform linux/s390x -o out2 app
finish
