# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A chroot into a directory that is no mount point, into one that is, whose parent spreads what is
# mounted on it, and a user's in a namespace of his own.
if [ "$(id -u)" != 0 ] || ! unshare --mount true 2> /dev/null; then
	skip "kiln builds in a chroot" "needs root"
	finish
	exit 0
fi
mkdir -p root/{proc,sys,dev,tmp,etc,bin,ctx} && chmod 1777 root/tmp
cp /bin/busybox "$KILN" root/bin && cp "$KILN_CONFIG" root/etc/config.json && cp /etc/resolv.conf root/etc 2> /dev/null
! command -v pasta > /dev/null || cp -L "$(command -v pasta)" root/bin
{
	ldd "$KILN" "$(command -v pasta)"
	# Loaded when they are called.
	ldconfig -p | grep -E 'lib(curl|git2|archive)\.so\.[0-9]+ ' | sed 's/.*=> //' | while read -r library; do
		echo " $library"
		ldd "$library"
	done
} 2> /dev/null | grep -oE '[[:space:]]/[^ ]+' | sort -u | while read -r library; do
	mkdir -p "root$(dirname "$library")" && cp -L "$library" "root$library"
done
cat > root/ctx/Dockerfile <<'END_FILE'
FROM busybox
RUN echo made > /made && ls / && wc -l < /proc/self/mountinfo && ! ls /proc/1/root/ctx
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t touch /cache/x /t/x && cat /made
END_FILE
cat > enter.sh <<'END_FILE'
for dir in proc sys dev; do
	mount --rbind "/$dir" "root/$dir" || exit
done
exec chroot root /bin/busybox env -i PATH=/bin HOME=/ KILN_CONFIG=/etc/config.json KILN_ROOT="$STORE" "$@"
END_FILE
in_chroot() {
	unshare --mount --propagation private sh enter.sh "$@"
}
in_mount() {
	unshare --mount --propagation private sh -c 'mount --make-rshared / && mount --bind root root && . ./enter.sh' sh "$@"
}

export STORE=/store
check "a directory that is no mount point" in_chroot kiln build --progress plain -t app ctx
prints "steps run in it" '^#[0-9]+ [0-9.]+ made$'
! grep -q 'make mounts private\|cannot be' "$WORK/err"; ok "without a complaint" $?
check "containers run, too" in_chroot kiln run --rm app cat /made
prints "as they should" '^made$'
check "and no mount is left in it" sh -c "! grep ' $WORK/' /proc/self/mounts"
STORE=/mounted
check "a mount point below one that is shared" in_mount kiln build --progress plain -t app ctx
prints "steps run there" '^#[0-9]+ [0-9.]+ made$'
STORE=/copied
check "copies of layers" in_chroot env KILN_LAYERS=copy kiln build --progress plain ctx
prints "are roots in it" '^#[0-9]+ [0-9.]+ made$'

# What a step could do if the chroot were left for good: nothing of the machine's is below its root.
check "even a step with all rights sees no more than its own mounts" in_chroot kiln build --progress plain --allow security.insecure - <<'END_FILE'
# syntax=docker/dockerfile:1
FROM busybox
RUN --security=insecure cut -d' ' -f5 /proc/self/mountinfo && ! grep -E ' /(store|ctx|bin)' /proc/self/mountinfo
END_FILE

chown -R $PLAIN_USER:$PLAIN_USER "$WORK" && chmod 755 "$WORK"
if as_plain_user unshare -Ur true 2> /dev/null; then
	STORE=/own
	check "a user makes the namespace, and then the chroot" as_plain_user unshare -Urm sh enter.sh kiln build --progress plain -t app ctx
	prints "steps run for him" '^#[0-9]+ [0-9.]+ made$'
else
	skip "a user makes the namespace, and then the chroot" "the kernel forbids user namespaces"
fi
finish
