# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A file of the host that no build is given. Whatever a step prints, it must not be this.
word=not-for-steps-$$
mkdir outside && echo "$word" > outside/secret
mkdir -p context/real && echo ours > context/real/file
ln -s "$WORK/outside" context/away
ln -s "$WORK/outside/secret" context/link
ln -s ../outside/secret context/up
ln -s ../../../../../../../../../../../etc context/etc
ln -s real context/inside

attempt() { # attempt NAME < DOCKERFILE: builds, and what comes out does not hold the word
	quietly kiln build --no-cache --progress=plain -t attempt -f - context
	! grep -q "$word" out err && ! grep -aq '^root:.*:0:' out err
	ok "$1" $?
}
image_lacks_it() {
	rm -rf unpacked && mkdir unpacked && kiln build -q -o unpacked -f - context > /dev/null 2>&1
	! grep -rqs "$word" unpacked
	ok "$1" $?
}

for source in away away/secret link up etc/shadow ../outside/secret /../outside/secret real/../../outside; do
	attempt "a bind mount of the context's $source shows nothing of the host" <<END
FROM busybox
RUN --mount=type=bind,source=$source,target=/m find /m /m/ -type f -exec cat {} + ; true
END
	attempt "nor does one that can be written" <<END
FROM busybox
RUN --mount=type=bind,source=$source,target=/m,rw find /m /m/ -type f -exec cat {} + ; true
END
	image_lacks_it "COPY $source takes nothing of the host" <<END
FROM scratch
COPY $source /m
END
done
attempt "links inside the context work" <<'END'
FROM busybox
RUN --mount=type=bind,source=inside,target=/m cat /m/file
END
prints "as they should" ' ours$'
attempt "links in a mounted context lead nowhere" <<END
FROM busybox
RUN --mount=type=bind,target=/m cat /m/away/secret /m/link /m/up /m/etc/shadow; cat /m/inside/file
END
prints "but to what is in it" ' ours$'

stage="FROM busybox AS stage
RUN ln -s $WORK/outside /away && ln -s / /root-link && ln -s ../../../../..$WORK/outside/secret /up && mkdir /d && ln -s /proc/1/root /d/proc"
for source in /away /away/secret /up "/root-link$WORK/outside/secret" "/d/proc$WORK/outside" "/../..$WORK/outside"; do
	attempt "a bind mount of a stage's $(printf %s "$source" | sed "s|$WORK||") shows nothing of the host" <<END
$stage
FROM busybox
RUN --mount=from=stage,source=$source,target=/m find /m /m/ -type f -exec cat {} + ; true
END
	image_lacks_it "COPY --from takes nothing of it" <<END
$stage
FROM scratch
COPY --from=stage $source /m
END
	attempt "a cache that is filled from it gets nothing" <<END
$stage
FROM busybox
RUN --mount=type=cache,id=filled$$$(printf %s "$source" | cksum | cut -d' ' -f1),from=stage,source=$source,target=/m find /m /m/ -type f -exec cat {} + ; true
END
done

for mount in type=cache,target=/away/c type=tmpfs,target=/away/c "type=bind,source=real,target=/away/c,rw" \
	type=secret,id=s,target=/away/c type=cache,target=/up type=tmpfs,target=/d/proc/c; do
	quietly kiln build --no-cache --secret id=s,src=context/real/file -f - context <<END
$stage
FROM stage
RUN --mount=$mount ls -la /away/ > /dev/null 2>&1; echo x > /away/c/y; true
END
	test "$(ls -A outside)" = secret && test "$(cat outside/secret)" = "$word"
	ok "a mount on a link, $mount, makes and covers nothing on the host" $?
done
attempt "a cache keeps a link" <<END
FROM busybox
RUN --mount=type=cache,id=links,target=/c ln -sfn $WORK/outside /c/away; ln -sfn $WORK/outside/secret /c/f
RUN --mount=type=cache,id=links,target=/c cat /c/away/secret /c/f; touch /c/away/new; true
RUN --mount=type=cache,id=links,target=/c/away ls /c/away; true
END
test "$(ls -A outside)" = secret; ok "that leads to nothing of the host" $?
fails "a link for a working directory is the image's own" 0 kiln build --no-cache - <<END
FROM busybox
RUN ln -s $WORK/outside /w
WORKDIR /w/new
RUN touch here
END
test "$(ls -A outside)" = secret; ok "and the host's stays as it is" $?

# Somebody swaps a directory of the context for a link while builds read it.
mkdir context/d && echo ours > context/d/secret
(
	cd context || exit
	while [ ! -e ../stop ]; do
		mv d d.real && ln -s "$WORK/outside" d && rm d && mv d.real d
	done
) &
swapper=$!
seen=0
for i in $(seq 15); do
	kiln build --no-cache --progress=plain -o unpacked$i -f - context > out$i 2> err$i <<END
FROM busybox AS a
RUN --mount=type=bind,target=/m cat /m/d/secret; true
FROM scratch
COPY --from=a /etc/group /
COPY d /d
END
	grep -rqs "$word" unpacked$i out$i err$i && seen=$((seen + 1))
	rm -rf unpacked$i
done
touch stop
wait $swapper
test $seen = 0; ok "a link that comes and goes during a build leads to nothing of the host" $?

finish
