# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

need_plain_user "root and users build the same image"
# With rewritten times, and as far as files are no devices, all of an image is the Dockerfile's.
export SOURCE_DATE_EPOCH=1700000000
mkdir -p ctx/tree/deep && echo one > ctx/tree/one && echo two > ctx/tree/deep/two && ln -s deep/two ctx/tree/link
chmod 750 ctx/tree/deep && chmod 4711 ctx/tree/one && ln ctx/tree/one ctx/tree/deep/hard && chmod -R a+rX ctx
cat > ctx/Dockerfile <<'END_FILE'
FROM busybox AS made
RUN mkdir -p /out/a /out/b && echo x > /out/a/x && ln /out/a/x /out/b/y && ln -s /out/a /out/l && chmod 2770 /out/b
RUN echo crew:x:1500: >> /etc/group && echo ada:x:1500:1500::/home/ada:/bin/sh >> /etc/passwd && \
    mkdir /home/ada && chown -R ada:crew /home/ada /out/a && chown -h 7:8 /out/l
RUN rm -r /out/b && mkdir /out/b && mkfifo /out/b/p && touch /out/b/z && chown 3:4 /out/b/p && touch /root-file
USER ada
WORKDIR /home/ada/work
RUN touch mine && mkdir -p deep/er && echo hers > deep/er/f && chmod 700 deep

FROM busybox
COPY --from=made --chown=9:9 /out/a /chowned
COPY --from=made /out /out
COPY --from=made /home/ada /home/ada
COPY --chown=1000:1001 --chmod=640 tree /tree
COPY tree /plain
RUN --mount=type=bind,from=made,source=/etc/passwd,target=/p --mount=type=cache,target=/c,uid=12 \
    --mount=type=tmpfs,target=/t --mount=type=secret,id=s,uid=1000,mode=0400 cp /p /passwd && touch /t/f /c/f && cat /run/secrets/s
RUN rm /tree/link && mv /plain/deep /plain/moved 2> /dev/null || cp -R /plain/deep /plain/moved
RUN chown -R 0:0 /tree && chown 5 /tree/one && chmod u+s /tree/one && chgrp 6 /plain/one && chmod 2755 /plain/one
END_FILE
echo secret > secret && chmod 644 secret

# built_by NAME COMMAND...: builds and keeps what the image's manifest and layers are.
built_by() {
	who=$1
	shift
	check "$who builds" "$@" "$KILN" build -q --secret id=s,src=secret -o "type=oci,dest=$WORK/$who.tar,rewrite-timestamp=true" ctx
	tar -xOf "$who.tar" index.json | grep -o 'sha256:[0-9a-f]*' > "$who.digest"
}
chmod 777 "$WORK"
built_by root env
built_by user as_plain_user env KILN_ROOT="$WORK/plain"
cmp root.digest user.digest > "$WORK/out" && [ -s root.digest ]
ok "a user without subordinate ids gets root's image" $?
if grant_subordinate_ids; then
	built_by ranges as_plain_user env KILN_ROOT="$WORK/ranges"
	cmp root.digest ranges.digest > "$WORK/out" && [ -s root.digest ]
	ok "a user with subordinate ids, too" $?
else
	skip "a user with subordinate ids, too" "needs newuidmap (package uidmap)"
fi

finish
