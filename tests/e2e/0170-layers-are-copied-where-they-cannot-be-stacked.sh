# SPDX-License-Identifier: Apache-2.0
# Where overlayfs cannot be used in the store, steps run on copies, with the same results.
. "$(dirname "$0")/lib.sh"

mkdir app
cat > app/Dockerfile <<'D'
FROM busybox AS base
RUN mkdir -p /d/sub /e /gone && echo a > /d/a && ln /d/a /d/b && echo s > /d/sub/s && echo e > /e/e && ln -s a /d/link && mkfifo /d/pipe && chown 5:6 /d/sub && echo x > /gone/x && chmod 1777 /e
RUN rm -r /gone /d/sub && mkdir /d/sub && echo n > /d/sub/n && echo more >> /d/b && chmod 600 /d/a && touch /e
RUN mv /e /f && ln /d/sub/n /f/n && rm /d/link && mkdir /d/link && touch /tmp-file && rm /tmp-file && chmod 644 /etc/passwd
RUN cp -a /d /d2 && rm /d/pipe && chown -h 7:8 /d2/b && chmod 755 /etc
FROM base
COPY --from=base /d /copied
RUN --mount=type=bind,from=base,target=/base --mount=type=bind,from=base,source=/f,target=/rw,rw --mount=type=cache,target=/mnt/new/cache cat /base/f/e > /seen && echo w > /rw/w && ls -ld /base/d/sub | cut -c1-10 >> /seen && ! touch /base/no
RUN find / -xdev -type f -path '/d*' | sort | xargs cat > /all
D
build() { # STORE MODE
	on "$1" env KILN_LAYERS="$2" SOURCE_DATE_EPOCH=1000000000 "$KILN" build --progress plain \
		-o "type=oci,dest=$WORK/$1.tar,rewrite-timestamp=true" app
}
check "layers are stacked" build stacked overlay
check "layers are copied" build copied copy
prints "which is told once" "overlayfs cannot be used in the store"
[ "$(grep -c "overlayfs cannot be used" "$WORK/err")" = 1 ]; ok "and no more" $?
cmp stacked.tar copied.tar
ok "with the same image" $?
check "the store is whole" on copied kiln store verify
on copied env KILN_LAYERS=copy "$KILN" build -t app app > /dev/null 2>&1
check "a container runs on a copy" on copied env KILN_LAYERS=copy "$KILN" run --rm app sh -c 'cat /all && touch /x'
[ -z "$(ls "$WORK/copied/tmp")" ]; ok "and leaves nothing" $?

if [ "$(id -u)" = 0 ] && unshare --mount true 2> /dev/null; then
	mkdir lower upper
	over() { # COMMAND...: with a store on overlayfs
		unshare --mount sh -c 'mkdir -p over o && mount -t tmpfs tmpfs o && mkdir o/u o/w over/k &&
			mount -t overlay -o lowerdir=lower,upperdir=o/u,workdir=o/w overlay over && mkdir -p over/k && exec "$@"' sh "$@"
	}
	check "a store on overlayfs works" over sh -c 'export KILN_ROOT=$PWD/over/k SOURCE_DATE_EPOCH=1000000000 &&
		"$0" build -o type=oci,dest=over.tar,rewrite-timestamp=true app && "$0" build -t app app && "$0" run --rm app cat /all && "$0" store verify && ls over/k &&
		[ -e over/k/plain ]' "$KILN"
	cmp stacked.tar over.tar
	ok "with the same image" $?
fi
finish
