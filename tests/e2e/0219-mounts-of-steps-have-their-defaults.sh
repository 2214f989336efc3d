# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

chmod 755 "$WORK" "$HOME"
mkdir -p ctx && printf '#!/bin/sh\necho executed\n' > ctx/secret && chmod 644 ctx/secret
cat > ctx/Dockerfile << 'END_FILE'
FROM busybox AS base
RUN mkdir -m 0711 /has-mode && mkdir -p -m 0700 /existing && mkdir /n

FROM base AS modes
RUN --mount=type=cache,target=/c1 --mount=type=cache,target=/c2,ro --mount=type=cache,target=/existing,id=e \
	--mount=type=cache,target=/n/deep/er --mount=type=cache,target=/c1/in,id=in \
	for d in /c1 /c2 /existing /n/deep/er /c1/in; do [ "$(stat -c %a $d)" = 755 ] || { echo "$d: $(stat -c %a $d)"; exit 1; }; done
RUN --mount=type=tmpfs,target=/new --mount=type=tmpfs,target=/n/new/deep --mount=type=tmpfs,target=/has-mode --mount=type=tmpfs,target=/new/in \
	[ "$(stat -c %a /new /n/new/deep /has-mode /new/in | tr '\n' ' ')" = "1777 1777 711 1777 " ]
USER 1000
RUN --mount=type=tmpfs,target=/new touch /new/f

FROM base AS secrets
RUN --mount=type=secret,id=s,mode=0500 [ "$(/run/secrets/s)" = executed ]
RUN --mount=type=secret,id=s [ "$(stat -c %a /run/secrets/s)" = 400 ] && ! /run/secrets/s && ! sh -c 'echo x >> /run/secrets/s' && ! chmod 777 /run/secrets/s
RUN --mount=type=secret,id=s grep ' /run/secrets/s ' /proc/self/mounts | grep -E ' ro,nosuid,nodev,noexec'

FROM base AS group
RUN echo '7777:x:5:' >> /etc/group
USER 5:7777
RUN [ "$(id -g)" = 7777 ] || [ "$(id -u)" = 0 ]

FROM base AS signals
RUN grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status && [ "$(grep -cE '^Sig(Ign|Blk):.*0000000000000000$' /proc/self/status)" = 2 ]

FROM base AS files
RUN mkdir /new && cp -a /bin /new/ && mkdir -p /new/tmp
# Only the programs: no /etc, no /proc, nothing to mount on.
FROM scratch AS no-etc
COPY --from=files /new /
RUN [ -s /etc/hosts ] && [ -e /etc/resolv.conf ] && [ -d /proc/1 ]
FROM base AS links
RUN mkdir -p /l/etc /l/tmp && cp -a /bin /l/ && ln -s ../run/systemd/resolve/stub-resolv.conf /l/etc/resolv.conf && ln -s /run/my/hosts /l/etc/hosts && ln -s nowhere/else /l/c && ln -s ../l2/x /l/tmp/t
FROM scratch AS dangling
COPY --from=links /l /
RUN [ -L /etc/resolv.conf ] && cat /etc/resolv.conf > /dev/null && [ -s /etc/hosts ]
RUN --mount=type=cache,target=/c touch /nowhere/else/f
RUN --mount=type=tmpfs,target=/tmp/t touch /l2/x/f
RUN --mount=type=secret,id=s,target=/c/deep/s grep -q executed /nowhere/else/deep/s
RUN --mount=type=tmpfs,target=/m mkdir -p /m/d && ln -s /m/gone /m/l
RUN --mount=type=cache,id=lk,target=/k ln -sf sub/gone /k/l && ln -sf gone2 /k/d
RUN --mount=type=cache,id=lk,target=/k --mount=type=secret,id=s,target=/k/l grep -q executed /k/sub/gone /k/l
RUN --mount=type=cache,id=lk,target=/k --mount=type=tmpfs,target=/k/d touch /k/gone2/f
FROM base AS dots
RUN mkdir /real && ln -s /gone/../real/new /way && ln -s nowhere/x/../../real/other /way2
RUN --mount=type=cache,id=dots,target=/made/a..b --mount=type=tmpfs,target=/way --mount=type=tmpfs,target=/way2 touch /made/a..b/f /real/new/f /real/other/f
RUN ! ls -d /made /gone /nowhere /real/* 2> /dev/null
RUN --mount=type=cache,id=dots2,target=/k mkdir -p /k/real && ln -sf gone/../real/new /k/way
RUN --mount=type=cache,id=dots2,target=/k --mount=type=tmpfs,target=/k/way touch /k/real/new/f && [ ! -e /k/gone ]
FROM base AS readonly
RUN --mount=type=bind,source=.,target=/etc [ -f /etc/secret ]

FROM base AS absolute
RUN mkdir -p /a/etc /a/tmp && cp -a /bin /a/ && rm -rf /a/etc && ln -s /real/etc /a/etc
FROM scratch AS etc-link
COPY --from=absolute /a /
RUN [ -s /real/etc/hosts ] && [ -e /etc/resolv.conf ]
END_FILE

# The two signals that the C library keeps for itself can be ignored by a caller that asks the kernel.
cat > ignore.py << 'END_FILE'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
action = (ctypes.c_ulong * 4)(1, 0, 0, 0)
for signal in (10, 32, 33, 40):
    libc.syscall(ctypes.c_long(13 if os.uname().machine == "x86_64" else 134), signal, action, None, ctypes.c_long(8))
os.execvp(sys.argv[1], sys.argv[1:])
END_FILE

defaults() { # defaults WHO COMMAND...
	who=$1
	shift
	check "$who: cache mounts are 0755, tmpfs mounts 1777 or as what they cover" "$@" build --no-cache -q --target modes ctx
	check "$who: secrets are read-only, and run only with a mode that says so" "$@" build --no-cache -q --secret id=s,src=ctx/secret --target secrets ctx
	check "$who: a user's group given as a number is that number" "$@" build --no-cache -q --target group ctx
	check "$who: no signal is ignored in a step, whatever kiln's caller ignored" python3 ignore.py "$@" build --no-cache -q --target signals ctx
	check "$who: an image without /etc will do" "$@" build --no-cache -q --target no-etc ctx
	check "$who: links that lead nowhere are no hindrance to mounts" "$@" build --no-cache -q --secret id=s,src=ctx/secret --target dangling ctx
	check "$who: nor are dots, and nothing stays of what they pass through" "$@" build --no-cache -q --target dots ctx
	check "$who: nor is a link in place of /etc" "$@" build --no-cache -q --target etc-link ctx
	check "$who: nor is an /etc that is mounted read-only" "$@" build --no-cache -q --target readonly ctx
}
defaults root "$KILN"
if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null; then
	mkdir plain && chown $PLAIN_USER plain && chmod -R a+rX ctx ignore.py
	defaults "with one id" setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups env KILN_ROOT="$WORK/plain" "$KILN"
else
	skip "with one id" "needs root to become a user, and user namespaces"
fi
finish
