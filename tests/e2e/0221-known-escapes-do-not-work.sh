# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What got out of other builders and runtimes; docs/security.md has the list.
chmod 755 "$WORK" "$HOME"
mkdir ctx && echo outside > "$WORK/outside" && chmod 644 "$WORK/outside"
cat > ctx/Dockerfile << END_FILE
FROM busybox AS program
# What starts a step was the runtime itself, and was overwritten from within.
COPY --from=busybox /bin/busybox /self
RUN ln -s /proc/self/exe /exe && ln -s /proc/1/exe /one
RUN ! (echo x > /proc/1/exe) 2> /dev/null; ! grep -aq kiln-sandbox /proc/1/exe
FROM busybox AS shell-is-us
RUN ln -sf /proc/self/exe /runner
SHELL ["/runner", "serve"]
RUN echo ran

FROM busybox AS mount-link
RUN mkdir -p /src && ln -s $WORK /src/out && ln -s $WORK/new /src/new
FROM busybox AS stub
# What a mount point was made for is not cleaned up through a link.
RUN --mount=type=cache,id=st,target=/c ln -s $WORK /c/l
RUN --mount=type=cache,id=st,target=/c --mount=type=tmpfs,target=/c/l/made rm -f /c/l && ln -s $WORK /c/l; true
FROM busybox AS source
RUN --mount=type=bind,from=mount-link,source=/src/out,target=/b true
FROM busybox AS copy
COPY --from=mount-link /src/out/outside /o
FROM busybox AS volumes
RUN ln -s $WORK /link && rm -rf /srv && mkdir /v
VOLUME /v/../../../../../../../..$WORK /link
FROM busybox AS device
RUN ls -la /dev/console 2> /dev/null && exit 1; mknod /d b 8 0 2> /dev/null; ! head -c 1 /d 2> /dev/null
END_FILE
for n in $(seq 3 16); do
	printf 'FROM busybox AS fd%d\nWORKDIR /proc/self/fd/%d\nRUN [ ! -e ../../outside ] && [ ! -e %s/outside ] && case $(readlink /proc/self/cwd) in /proc/*|/) ;; *) false ;; esac\n' $n $n "$WORK"
	printf 'FROM busybox AS sh%d\nRUN ln -s /proc/self/fd/%d /run-it\nRUN ["/run-it", "serve"]\n' $n $n
done >> ctx/Dockerfile

escapes() { # escapes WHO COMMAND...
	who=$1
	shift
	check "$who: the program that starts a step is not reachable from it" "$@" build -q --target program ctx
	fails "$who: nor to be run in place of a shell" 1 "$@" build -q --target shell-is-us ctx
	check "$who: mount points are made below the root alone" "$@" build -q --target stub ctx
	[ ! -e "$WORK/made" ] && [ ! -e "$WORK/new" ] && [ "$(cat "$WORK/outside")" = outside ]
	ok "$who: and removed there alone" $?
	fails "$who: a bind mount's source is in its image" 1 "$@" build -q --target source ctx
	fails "$who: and so is what is copied" 1 "$@" build -q --target copy ctx
	check "$who: an image may name volumes that would lead out" "$@" build -q -t volumes --target volumes ctx
	check "$who: they hold nothing of this machine" "$@" run --network none volumes sh -c "[ ! -e $WORK/outside ] && [ ! -e /link/outside ] && [ ! -e /v/outside ]"
	check "$who: a device file is none" "$@" build -q --target device ctx
	in=0 run=0
	for n in $(seq 3 16); do
		"$@" build -q --target "fd$n" ctx > "$WORK/out" 2> "$WORK/err" || grep -qE 'fd/|Permission|directory' "$WORK/err" || in=1
		! "$@" build -q --target "sh$n" ctx > "$WORK/out" 2> "$WORK/err" || run=1
	done
	ok "$who: no descriptor of the helper is a working directory" $in
	ok "$who: or a program" $run
}
as_every_user escapes

# Dockerfiles that are links out of what came from elsewhere.
mkdir remote && (cd remote && ln -s ../../etc/passwd Dockerfile && ln -s /real/Dockerfile absolute && mkdir -p sub real &&
	printf 'FROM busybox\nRUN true\n' > real/Dockerfile && ln -s ../real/Dockerfile sub/inside && ln -s ../.. sub/up)
for name in Dockerfile absolute sub/up/real/Dockerfile; do
	tar -C remote -cf - . | fails "an archive's $name that is a link out of it is refused" 1 kiln build -q -f "$name" -
	prints "and the error says so" "failed to read dockerfile: the link $name leads out of the context"
done
tar -C remote -cf - . > remote.tar && check "one that stays inside is read" sh -c "'$KILN' build -q -f sub/inside - < remote.tar"
if command -v git > /dev/null; then
	(cd remote && git init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm t)
	git clone -q --bare remote "$WORK/www/repo.git" && git -C "$WORK/www/repo.git" update-server-info
	if serve_http "$WORK/www"; then
		fails "so it is in a git repository" 1 kiln build -q "http://127.0.0.1:$HTTP_PORT/repo.git"
		prints "and the error says so" 'failed to read dockerfile: the link Dockerfile leads out of the context'
		fails "a link is no subdirectory of it" 1 kiln build -q "http://127.0.0.1:$HTTP_PORT/repo.git#:sub/up"
		prints "and the error says that, too" 'it is not a directory'
	fi
else
	skip "so it is in a git repository" "needs git"
fi

# A terminal of a container whose /dev is somebody's.
mkdir -p dev/pts dev/shm dev/mqueue && ln -s "$WORK/outside" dev/console && ln -s "$WORK/outside" dev/pts/ptmx
check "a terminal does not come from what is mounted on /dev" python3 -c \
	'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' \
	"$KILN" run -t -v "$WORK/dev:/dev" busybox sh -c '[ -t 1 ] && [ -L /dev/console ]'
[ "$(cat "$WORK/outside")" = outside ] && ! grep -q " $WORK/outside" /proc/self/mounts
ok "and lies on none of its links" $?
finish
