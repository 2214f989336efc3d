# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

printf 'FROM busybox\nENV A=1\nRUN echo hello > /hello\nLABEL color=blue\nCMD ["cat", "/hello"]\n' > Dockerfile
check "the image builds" kiln build -t app:v1 .

check "history" kiln history app:v1
head -n 1 "$WORK/out" | grep -Eq '^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$'; ok "has docker's headings" $?
prints "the newest step first, with the image's id" '^[0-9a-f]{12} +.* ago +CMD \["cat" "/hello"\] +0B +buildkit.dockerfile.v0'
prints "the others without" '^<missing> +.* ago +RUN /bin/sh -c echo hello > /hello # buildkit +6B +'
check "whole ids" kiln history --no-trunc -q app:v1
test "$(head -n 1 "$WORK/out")" = "$(kiln images -q --no-trunc app)"; ok "as images gives them" $?
check "history as JSON" kiln history --format json app:v1
prints "is one object a line" '^\{"Comment":"buildkit.dockerfile.v0",.*"CreatedBy":"LABEL color=blue".*\}$'
check "machine sizes" kiln history -H=false --format '{{.Size}}' app:v1
prints "are plain numbers" '^6$'

check "inspect" kiln inspect app:v1
python3 - "$WORK/out" <<'EOF'; ok "prints docker's document" $?
import json, sys
[i] = json.load(open(sys.argv[1]))
assert i["Id"].startswith("sha256:") and i["RepoTags"] == ["app:v1"] and i["Os"] == "linux"
assert i["Config"]["Cmd"] == ["cat", "/hello"] and "A=1" in i["Config"]["Env"]
assert i["Config"]["Labels"] == {"color": "blue"} and i["Size"] > 0
assert i["RootFS"]["Type"] == "layers" and len(i["RootFS"]["Layers"]) == 2
EOF
check "a template" kiln image inspect -f '{{.Os}}/{{.Architecture}} {{json .Config.Labels}} {{range .Config.Cmd}}<{{.}}>{{end}}' app:v1
prints "is filled in" '^linux/[a-z0-9]+ \{"color":"blue"\} <cat></hello>$'
fails "an unknown field" 1 kiln inspect -f '{{.Nope}}' app:v1
prints "is named" 'no field "Nope"'
fails "an image that is not there" 1 kiln inspect nothing app:v1
prints "does not hide the others" '"app:v1"'

check "images through a template" kiln images --format '{{.Repository}}:{{.Tag}} {{.ID}}'
prints "one line each" '^app:v1 [0-9a-f]{12}$'
check "a table of one's own" kiln images --format 'table {{.Repository}}\t{{.Size}}\t{{.ID}}' app
prints "has headings" '^REPOSITORY +SIZE +IMAGE ID$'
prints "and columns" '^app +[0-9.]+MB +[0-9a-f]{12}$'
check "by label" kiln images -q --filter label=color=blue
test "$(wc -l < "$WORK/out")" = 1; ok "finds one" $?
check "before an image" kiln images -q --filter before=app:v1
! grep -q "$(kiln images -q app)" "$WORK/out"; ok "leaves it out" $?
fails "a filter that is none" 1 kiln images --filter size=1
prints "is refused, with those that are" 'use reference=, dangling='

id=$(kiln images -q --no-trunc app)
check "the name moves on" kiln build -q --label color=red -t app:v1 .
check "image prune" kiln image prune -f
prints "removes the image without a name" "^deleted: $id$"
prints "and says what that frees" '^Total reclaimed space: '
test "$(kiln images -q app | wc -l)" = 1; ok "and no other" $?
quietly kiln image prune < /dev/null
kiln images app | grep -q v1; ok "without an answer nothing is removed" $?
check "all of them, if young enough" kiln image prune -a -f --filter until=1h
kiln images app | grep -q v1; ok "are kept" $?
check "all of them" kiln image prune -a -f
test -z "$(kiln images -q)"; ok "go" $?

finish
