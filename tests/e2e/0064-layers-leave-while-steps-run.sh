# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

OTHER=127.0.0.1:$((11000 + $$ % 10000))
mkdir www
serve_registry "$OTHER" "$WORK/other" && serve_http "$WORK/www" || exit 1

# The last step waits for a file that appears once the registry has the layer before it.
mkdir app
head -c 2000000 /dev/urandom > app/data
cat > app/Dockerfile <<END
FROM busybox
COPY data /data
RUN --network=host for i in \$(seq 300); do wget -q -O /dev/null http://127.0.0.1:$HTTP_PORT/go && exit 0; sleep 0.1; done; exit 1
END
kiln build --allow network.host -t "$OTHER/app:v1" --push app > "$WORK/out" 2> "$WORK/err" &
build=$!
for _ in $(seq 200); do
	[ "$(registry_layers "$WORK/other" app)" -ge 2 ] && break
	sleep 0.1
done
test "$(registry_layers "$WORK/other" app)" -ge 2 && kill -0 $build; ok "layers of finished steps are uploaded while a step runs" $?
touch "$WORK/www/go"
wait $build; ok "and the build ends well" $?
prints "saying what went ahead" '^#[0-9]+ \[internal\] push layers of finished steps$'
check "the image is whole" skopeo copy -q --src-tls-verify=false "docker://$OTHER/app:v1" "oci:$WORK/layout:v1"

rm "$WORK/www/go"
sed -i 's/exit 1/exit 7/' app/Dockerfile
sed -i 's/seq 300/seq 1/' app/Dockerfile
head -c 2000000 /dev/urandom > app/data
fails "where a later step fails" 1 kiln build --allow network.host -t "$OTHER/failed:v1" --push app
fails "no image appears under the name" 1 skopeo inspect --tls-verify=false "docker://$OTHER/failed:v1"

printf 'FROM busybox\nCOPY data /data\nRUN echo x > /x\n' > app/Dockerfile
head -c 2000000 /dev/urandom > app/data
fails "a registry that is away" 1 kiln build -t 127.0.0.1:1/app --push app
prints "fails the push and not a step" '^ERROR: failed to build: failed to solve: push 127.0.0.1:1/app:latest: '

finish
