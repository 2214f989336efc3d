# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app && cd app || exit 1
file() { # file LINE...: the Dockerfile
	printf '%s\n' "$@" > Dockerfile
}
same() { # same TEXT: standard output of the last command is this
	printf '%s\n' "$1" | cmp -s - "$WORK/out"
}

file 'FROM busybox' 'RUN true'
check "a clean file passes" kiln build --check .
same 'Check complete, no warnings found.'; ok "and that is all that is said" $?

file 'FROM busybox AS App' 'run true' 'CMD serve' '# check=skip=LegacyKeyValueFormat' 'ENV a b' 'EXPOSE 80/TCP'
fails "warnings end with status 1" 1 kiln build --check .
prints "are counted" '^Check complete, 4 warnings have been found!$'
prints "named with their page" '^WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/$'
prints "and shown where they are" '^   3 \| >>> CMD serve$'
grep -q 'WARNING: LegacyKeyValueFormat' "$WORK/out"; test $? -eq 1; ok "a comment skips a rule for one instruction" $?
fails "rules are skipped for all" 1 kiln build --check --build-arg BUILDKIT_DOCKERFILE_CHECK='skip=StageNameCasing,JSONArgsRecommended' .
prints "by name" '^Check complete, 2 warnings have been found!$'
check "a build says them, too" kiln build --progress=plain .
prints "while it runs" '^#[0-9]+ WARN: StageNameCasing: .* \(line 1\)$'
prints "and at its end" '^ 4 warnings found \(use --check to expand\):$'
fails "error=true makes them one" 1 kiln build --build-arg BUILDKIT_DOCKERFILE_CHECK=error=true .
prints "that names the rules" 'lint violation found for rules: .*StageNameCasing'
fails "--check also answers in JSON" 1 kiln build --call=check,format=json .
python3 -c 'import json,sys; r = json.load(open(sys.argv[1]))
assert sorted(w["ruleName"] for w in r["warnings"])[0] == "ConsistentInstructionCasing"
assert r["warnings"][0]["location"]["ranges"][0]["start"]["line"] == 1' "$WORK/out"
ok "that programs can read" $?

file 'FROM scratch AS Bad' 'MAINTAINER me' 'COPPY a b'
fails "a mistake ends with status 1" 1 kiln build --check .
prints "after the warnings before it" '^WARNING: MaintainerDeprecated'
prints "names what is wrong and what was meant" 'parse error on line 3: unknown instruction: COPPY \(did you mean COPY\?\)'
prints "and shows it" '^   3 \| >>> COPPY a b$'
file 'FROM busybox AS build' 'CMD serve' 'EXPOSE http'
fails "so does one that needs variables to see" 1 kiln build --check .
prints "with its text" 'invalid containerPort: http'
fails "a build shows the warnings before a mistake" 1 kiln build --progress=plain .
prints "too" '^ 1 warning found'
fails "a target that does not exist" 1 kiln build --target bulid .
prints "is named with its neighbour" 'target stage "bulid" could not be found \(did you mean build\?\)'

file '# TAG of the base' 'ARG TAG=latest' '# base the tools' "FROM busybox:\$TAG AS base" \
	'RUN --mount=type=secret,id=key,required=true true' '# out what is shipped' 'FROM base AS out' \
	'# NAME of it' 'ARG NAME=it OTHER' 'RUN --mount=type=ssh true'
check "outline lists what a target takes" kiln build --call=outline .
prints "its arguments" '^NAME +it +of it$'
prints "those of its base" '^TAG +latest +of the base$'
prints "its secrets" '^key +true$'
prints "its agents" '^default'
check "of the target asked for" kiln build --call=outline --target base .
grep -q NAME "$WORK/out"; test $? -eq 1; ok "and of no other" $?
check "outline answers in JSON" kiln build --call=outline,format=json --build-arg NAME=given .
python3 -c 'import json,sys; r = json.load(open(sys.argv[1]))
assert {a["name"]: a.get("value") for a in r["args"]} == {"TAG": "latest", "NAME": "given", "OTHER": None}
assert r["name"] == "out" and r["description"] == "what is shipped"' "$WORK/out"
ok "with the values given" $?
check "targets lists the stages" kiln build --call=targets .
prints "with their descriptions" '^base +the tools$'
prints "and the default" '^out \(default\) +what is shipped$'
check "targets answers in JSON" kiln build --call=targets,format=json .
python3 -c 'import json,sys; r = json.load(open(sys.argv[1]))
assert [t["name"] for t in r["targets"]] == ["base", "out"] and r["targets"][1]["default"]' "$WORK/out"
ok "that programs can read, too" $?
quietly kiln build --call=lint2 .; test $? -ne 0; ok "an unknown method is refused" $?
finish
