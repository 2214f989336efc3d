# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

need_plain_user "files have their owners without subordinate ids"
export KILN_CONFIG SOURCE_DATE_EPOCH=1700000000
chmod 755 "$HOME" && chmod 644 "$KILN_CONFIG"

# both NAME FILE [ARGUMENT...]: builds a Dockerfile as root and as a user with one id; the layers of both
# say the same of who owns what.
both() {
	name=$1 file=$2
	shift 2
	"$KILN" build -q -t owners -f "$file" "$@" . > "$WORK/out" 2> "$WORK/err" &&
		"$KILN" save owners -o "$WORK/root.tar" >> "$WORK/out" 2>> "$WORK/err" &&
		plain build -q -t owners -f "$file" "$@" . > "$WORK/out" 2> "$WORK/err" &&
		plain save owners -o "$WORK/plain.tar" >> "$WORK/out" 2>> "$WORK/err" &&
		layer_owners "$WORK/root.tar" > "$WORK/root.list" && layer_owners "$WORK/plain.tar" > "$WORK/plain.list" &&
		[ -s "$WORK/root.list" ] && diff "$WORK/root.list" "$WORK/plain.list" > "$WORK/out"
	ok "$name" $?
}

echo content > file && tar -cf owned.tar --owner=1001 --group=121 file
mkdir -p tree/sub && echo a > tree/a && ln -s a tree/sub/link && mkfifo tree/sub/fifo

cat > Dockerfile.calls <<'END_FILE'
FROM python:3.8-slim-buster
COPY --chown=1000:1000 tree /copied
COPY --chown=1000:1001 file /copied/named
RUN touch /a /b /c /d && chown 1000:2000 /a && chown 1000 /b && chgrp 2000 /c && chown 1000 /d && chgrp 7 /d && chown :8 /d
RUN mkdir /dir && touch /dir/f && ln -s f /dir/l && mkfifo /dir/p && chown -R 33:34 /dir && chown -h 35:36 /dir/l
RUN install -d -o 5 -g 6 /installed && install -o nobody -g staff -m 2755 /etc/hostname /installed/h 2> /dev/null || \
    install -o nobody -g staff -m 2755 /etc/passwd /installed/h
RUN mv /a /moved && ln /b /linked && cp -a /copied/a /copied/named /dir/f /moved /shared-not-there / 2> /dev/null; cp -a /copied /copy && find /copy -type l -o -type p | xargs chown -h 1000:1000
RUN touch /copied/named && echo more >> /moved && chmod 600 /dir/f && chown 99 /copied/a
RUN mkdir -m 2775 /shared && chgrp 50 /shared && touch /shared/f && mkdir -p /shared/d/e && touch /shared/d/e/f
RUN --mount=type=bind,source=owned.tar,target=/owned.tar mkdir /x && tar -C /x --same-owner -xf /owned.tar
RUN chmod 4755 /x/file && chown 1 /x/file && touch /y && chmod 6755 /y && chown 2:2 /y && chmod u+s /y
RUN rm /copied/named && echo new > /copied/named && rm -r /dir && mkdir /dir && touch /dir/f
RUN chown -R 10:20 /copied /copy && chown -h 11 /copy/sub/link && mv /copy/sub/link /copy/renamed
RUN chgrp 21 /copy/sub/fifo
USER 1000:1000
RUN mkdir /tmp/mine && touch /tmp/mine/f && ln -s f /tmp/mine/l && chown 1000 /tmp/mine/f
USER nobody
RUN touch /tmp/nobodys && cp -a /tmp/nobodys /tmp/nobodys2
END_FILE
both "what chown says is what layers say, as if root had built" Dockerfile.calls
check "and both stores are whole" plain store verify

cat > Dockerfile.users <<'END_FILE'
FROM python:3.8-slim-buster
RUN groupadd --gid 1500 crew && useradd --create-home --uid 1500 --gid crew --shell /bin/bash ada && adduser --system --group svc
RUN mkdir -p /srv/app/bin && touch /srv/app/x && chown -R ada:crew /srv/app && chown svc /srv
COPY --chown=ada:crew tree /srv/app/tree
RUN chown -R svc: /srv/app/tree && usermod -a -G crew svc && chmod g+s /srv/app
USER ada
WORKDIR /srv/app/work
RUN touch here && mkdir -p a/b && echo x > a/b/c
USER root
RUN setpriv --reuid ada --regid crew --init-groups id -u && su svc -s /bin/sh -c 'id -g' && chown -R svc:svc a && chown 0:0 here
END_FILE
both "users that are made own what is theirs" Dockerfile.users

if "$(dirname "$0")/../fixtures/debs" "$FIXTURES/python.tar" debs openssh-client postgresql-common 2> "$WORK/err"; then
	chmod -R a+rX debs
	cat > Dockerfile.packages <<'END_FILE'
FROM python:3.8-slim-buster
RUN --network=none --mount=type=bind,source=debs,target=/debs \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /debs/*.deb && rm -rf /var/log/*
END_FILE
	both "packages are installed with the owners that root gives" Dockerfile.packages
	grep -q '^-rwxr-sr-x 0/1[0-9]* .*ssh-agent$' "$WORK/plain.list"
	ok "such as that of ssh-agent's group" $?
else
	skip "packages are installed with the owners that root gives" "no Debian packages can be downloaded"
fi

finish
