# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

cp -r "$(dirname "$0")/../../examples/python-docker" app
cd app || exit 1
printf '*.md\n.git\n' > .dockerignore
echo notes > notes.md

check "the tutorial's image builds" kiln build --tag python-docker .
prints "the definition is loaded" '^#1 \[internal\] load build definition from Dockerfile$'
prints "its size is shown" '^#1 transferring dockerfile: 217B'
prints "the ignore file is loaded" '^#[0-9]+ \[internal\] load \.dockerignore$'
prints "the base's metadata is loaded" '\[internal\] load metadata for docker.io/library/python:3.8-slim-buster$'
prints "the context is loaded" '\[internal\] load build context$'
prints "the base is the first step, by digest" '\[1/5\] FROM docker.io/library/python:3.8-slim-buster@sha256:[0-9a-f]{64}$'
prints "WORKDIR is the second step" '\[2/5\] WORKDIR /app$'
prints "COPY is the last step" '\[5/5\] COPY \. \.$'
prints "the image is exported" '^#[0-9]+ exporting to image$'
prints "its layers are" '^#[0-9]+ exporting layers'
prints "the image is written" 'writing image sha256:[0-9a-f]{64}'
prints "and named" 'naming to docker.io/library/python-docker'
test ! -s "$WORK/out"; ok "nothing is printed on stdout" $?

steps() { # which of the steps ran in the last build: "2 5", or nothing
	awk '/^#[0-9]+ \[[0-9]\/5\]/ {split($2, a, /[[\/]/); step[$1] = a[2]}
		$2 == "CACHED" {delete step[$1]} END {for (i in step) print step[i]}' "$WORK/err" |
		sort | xargs
}
check "it builds again" kiln build --tag python-docker .
test -z "$(steps)"; ok "a second build finds every step" $?
touch app.py requirements.txt
quietly kiln build --tag python-docker .
test -z "$(steps)"; ok "touch reruns nothing" $?
echo more >> notes.md
quietly kiln build --tag python-docker .
test -z "$(steps)"; ok "editing an ignored file reruns nothing" $?
echo '# edited' >> app.py
quietly kiln build --tag python-docker .
test "$(steps)" = 5; ok "editing app.py reruns only COPY . ." $?
echo '# edited' >> requirements.txt
quietly kiln build --tag python-docker .
test "$(steps)" = "3 4 5"; ok "editing requirements.txt reruns from its COPY on" $?

check "images lists" kiln images
head -n 1 "$WORK/out" | grep -Eq '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$'; ok "under docker's headings" $?
prints "the image, newest first" '^python-docker +latest +[0-9a-f]{12} +.* ago +[0-9.]+MB$'
prints "and the base image" '^python +3\.8-slim-buster +[0-9a-f]{12} '
check "tag adds a name" kiln tag python-docker:latest python-docker:v1.0.0
kiln images > "$WORK/out"
test "$(awk '$1 == "python-docker" {print $3}' "$WORK/out" | sort -u | wc -l)" = 1
ok "two tags of one image show one id" $?
check "rmi of one of two tags" kiln rmi python-docker:v1.0.0
test "$(cat "$WORK/out")" = "Untagged: python-docker:v1.0.0"; ok "only untags" $?

port=$((20000 + $$ % 10000))
# A shell ignores SIGINT for what it starts in the background.
env --default-signal=INT "$KILN" run --rm -p $port:5000 python-docker > "$WORK/out" 2> "$WORK/err" &
server=$!
for _ in $(seq 150); do
	page=$(curl -fsS http://127.0.0.1:$port/ 2> /dev/null) && break
	sleep 0.1
done
test "${page-}" = "Hello, Docker!"; ok "the published port serves the page" $?
kill -INT $server
wait $server
ok "Ctrl-C ends it" 0
kill -0 $server 2> /dev/null; test $? -ne 0; ok "and the process is gone" $?

check "rmi of the last tag" kiln rmi python-docker
prints "untags" '^Untagged: python-docker:latest$'
prints "and deletes" '^Deleted: sha256:[0-9a-f]{64}$'
fails "an unknown image is an error" 1 kiln rmi nosuchimage
prints "that names it" 'nosuchimage'
finish
