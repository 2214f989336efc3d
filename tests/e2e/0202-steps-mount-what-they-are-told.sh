# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub
echo data > src/sub/file
echo key > src/private.key
echo '**/*.key' > .dockerignore
printf 'hunter2' > "$WORK/token"
cat > Dockerfile <<'END'
FROM busybox AS made
RUN mkdir /out && echo built > /out/result

FROM busybox
RUN --mount=type=cache,target=/cache echo run >> /cache/log && wc -l < /cache/log
RUN --mount=type=bind,source=src,target=/src find /src -type f
RUN --mount=type=bind,source=src,target=/src,rw echo x > /src/sub/file && cat /src/sub/file
RUN --mount=from=made,source=/out,target=/m cat /m/result && ! touch /m/x
RUN --mount=type=tmpfs,target=/t,size=64k df -k /t | tail -n 1
RUN --mount=type=secret,id=token cat /run/secrets/token && stat -c %a /run/secrets/token
RUN --mount=type=secret,id=token,env=TOKEN echo "env:$TOKEN"
RUN --network=none ls /sys/class/net
RUN cat /etc/resolv.conf /etc/hosts > /dev/null
RUN ls -d /cache /src /m /t /run/secrets 2>&1 | wc -l
END
check "steps with every kind of mount build" kiln build --secret id=token,src="$WORK/token" -t mounts .
prints "a cache is there" '^#[0-9]+ [0-9.]+ 1$'
prints "a context is" '^#[0-9]+ [0-9.]+ /src/sub/file$'
! grep -q private.key "$WORK/err"; ok "without what is ignored" $?
prints "writes to it are seen by the step" '^#[0-9]+ [0-9.]+ x$'
test "$(cat src/sub/file)" = data; ok "and dropped" $?
prints "a stage is" '^#[0-9]+ [0-9.]+ built$'
prints "a tmpfs has its size" ' 64 +0 +64 '
prints "a secret is a file" '^#[0-9]+ [0-9.]+ hunter2400$'
prints "or a variable" 'env:hunter2'

kiln save mounts -o image.tar && mkdir image && tar -xf image.tar -C image
! find image -type f -exec sh -c 'zcat -f "$1" | grep -aq hunter2 && echo "$1"' sh {} \; |
	grep -q . ; ok "the secret is in no layer and no document" $?
! grep -rq hunter2 "$KILN_ROOT"; ok "and nowhere in the store" $?
check "a step that only reads leaves no more than empty mount points" sh -c "for layer in image/*/layer.tar image/blobs/sha256/*; do
	[ -f \"\$layer\" ] && zcat -f \"\$layer\" | tar -tf - 2> /dev/null; done | grep -E 'resolv.conf|^proc|^sys/' | grep -v -e '^proc/\$' -e '^sys/\$' | sort -u | { ! grep -q . ; }"

cat > Dockerfile <<'END'
FROM busybox
RUN --mount=type=cache,target=/cache echo run >> /cache/log && echo "lines: $(wc -l < /cache/log)"
END
check "another build shares the cache" kiln build .
prints "and finds what the first left" 'lines: 2'
check "a build without a cache keeps it" kiln build --no-cache .
prints "and what is in it" 'lines: 3'
check "unless its mounts are reset" kiln build --no-cache --reset-mounts .
prints "and start empty" 'lines: 1'

printf 'FROM busybox\nRUN --mount=type=secret,id=token,required true\n' > Dockerfile
fails "a missing secret is an error" 1 kiln build .
prints "that names it" 'secret token: not found'

printf 'FROM busybox\nRUN echo before; exit 3\n' > Dockerfile
fails "a failing step fails the build" 1 kiln build .
prints "with its status" 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3'

if [ "$(id -u)" = 0 ]; then
	# Who may not be dumped belongs to root in /proc, whoever he is.
	chmod 755 "$WORK" && mkdir plain && cp -r src plain/ && chown -R $PLAIN_USER plain
	printf 'FROM busybox\nRUN --mount=type=secret,id=token exec sleep 5\n' > plain/Dockerfile
	KILN_ROOT=$WORK/plain/store setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups "$KILN" build \
		--secret id=token,src=plain/Dockerfile plain > out 2> err &
	build=$!
	for _ in $(seq 100); do pgrep -u $PLAIN_USER -x sleep > /dev/null && break; sleep 0.1; done
	test "$(stat -c %u /proc/$build/environ)" = 0; ok "kiln leaves no core file with a secret" $?
	wait $build; ok "the step goes on as ever" $?
fi

finish
