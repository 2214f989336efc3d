# SPDX-License-Identifier: Apache-2.0
# Times between steps are whole seconds; what tells files apart is more than their times.
. "$(dirname "$0")/lib.sh"

mkdir app && cat > app/Dockerfile <<'END'
FROM busybox
RUN for f in a b c d; do printf one > /$f; done; touch -d '2020-01-01 00:00:00' /b; touch -r /etc/passwd /c
RUN printf two > /a; printf two > /b; touch -d '2020-01-01 00:00:00' /b; printf two > /c; touch -r /etc/passwd /c; printf two > /d
RUN test "$(cat /a /b /c /d)" = twotwotwotwo
FROM scratch AS out
COPY --from=0 /a /b /c /d /
FROM busybox AS again
COPY --from=0 /b /b
RUN printf six > /b; touch -d '2020-01-01 00:00:00' /b
FROM scratch AS moved
COPY --from=again /b /
END
check "files are written again within the second, with the old times and sizes" kiln build --target out -o type=local,dest=made app
test "$(cat made/a made/b made/c made/d)" = twotwotwotwo
ok "and the later steps and the output have what was written last" $?
check "a file that was copied is rewritten so" kiln build --target moved -o type=local,dest=moved app
test "$(cat moved/b)" = six; ok "and the new bytes are in the layer" $?
check "the layers go out" kiln build --target again -o type=tar,dest=again.tar app
test "$(tar -xOf again.tar b 2> /dev/null || tar -xOf again.tar ./b)" = six; ok "and say the same" $?
finish
