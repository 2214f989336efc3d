# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What root keeps goes to a user who has one id, and back.
need_plain_user "cache mounts of users travel"
mkdir app && cd app || exit 1
cat > Dockerfile <<'EOF'
FROM busybox
ARG AGAIN
RUN --mount=type=cache,id=tools,target=/c [ -e /c/tool ] || { mkdir /c/d && echo tool > /c/tool && ln /c/tool /c/d/hard && chown 7:8 /c/tool && chmod 750 /c/d && echo made; }
RUN --mount=type=cache,id=tools,target=/c echo "seen: $(cat /c/d/hard) $(stat -c '%a %h' /c/d /c/tool | tr '\n' ' ')$AGAIN"
EOF
check "root exports a cache mount" kiln build --progress plain --cache-to "type=local,dest=$WORK/cache,mounts=tools" .
prints "that holds something" 'seen: tool 750 2 644 2'
chown -R $PLAIN_USER:$PLAIN_USER "$WORK"
kiln() {
	as_plain_user "$KILN" "$@"
}
KILN_ROOT=$WORK/store-user
check "a user imports it" kiln build --progress plain --build-arg AGAIN=1 --cache-from "type=local,src=$WORK/cache" .
prints "and has the same" 'seen: tool 750 2 644 2 1$'
! grep -q ' made$' "$WORK/err"; ok "which was not made anew" $?
check "and exports it" kiln build --cache-to "type=local,dest=$WORK/cache,tag=user,mounts=tools" --build-arg AGAIN=1 .
KILN_ROOT=$WORK/store-back
check "which serves another" kiln build --progress plain --build-arg AGAIN=2 --cache-from "type=local,src=$WORK/cache,tag=user" .
prints "as well" 'seen: tool 750 2 644 2 2$'
KILN_ROOT=$WORK/store-user
finish
