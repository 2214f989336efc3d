# SPDX-License-Identifier: Apache-2.0
# What --call and --check answer, compared once with BuildKit's subrequests on the same files.
. "$(dirname "$0")/lib.sh"

mkdir app && cd app || exit 1
file() { # file LINE...: the Dockerfile
	printf '%s\n' "$@" > Dockerfile
}

file 'FROM $X AS bad' 'RUN --mount=type=nonsense x' '# one is the first' 'FROM nosuch.invalid/image AS one' \
	'FROM --platform=a/b/c/d one'
check "targets are listed whatever their bases are" kiln build --call=targets .
printf '%s\n' 'TARGET    DESCRIPTION' 'bad       ' 'one       is the first' '(default) ' | cmp -s - "$WORK/out"
ok "all of them" $?
check "as JSON, too" kiln build --call=targets,format=json .
prints "with what FROM says" '"base": "\$X"'

file 'ARG A=1' 'ARG B=${A}2' 'ARG UNUSED=5' 'ARG IMG=busybox' 'ARG SELF=$A' 'ARG SELF=$SELF$IMG' '# TAG doc' \
	'ARG TAG=$B' 'ARG BUILDPLATFORM' 'FROM --platform=$BUILDPLATFORM $IMG AS one' 'ARG TARGETARCH' 'ARG LOCAL=$B' \
	'RUN --mount=type=cache,target=/c --mount=type=secret,id=s1 true' 'FROM one' 'ARG TAG' 'ARG SELF'
check "outline follows global arguments into their defaults" kiln build --call=outline .
awk '/^BUILD ARG/ {on = 1; next} /^$/ {on = 0} on {print $1, $2}' "$WORK/out" > "$WORK/args"
printf '%s\n' 'A 1' 'B 12' 'IMG busybox' 'SELF 1busybox' 'TAG 12' 'BUILDPLATFORM ' 'LOCAL ' > "$WORK/want"
cmp -s "$WORK/want" "$WORK/args"; ok "and shows platform arguments that are declared again" $?
check "outline answers in JSON" kiln build --call=outline,format=json .
python3 -c 'import json, sys; r = json.load(open(sys.argv[1]))
assert sorted(r) == ["args", "secrets", "sources"], sorted(r)' "$WORK/out"
ok "without the list of caches that BuildKit never fills" $?

: > Dockerfile
fails "an empty file is no good" 1 kiln build --check .
prints "which is told" 'the Dockerfile cannot be empty'
fails "in JSON" 1 kiln build --call=check,format=json .
python3 -c 'import json, sys; r = json.load(open(sys.argv[1]))
assert r["buildError"]["message"] == "the Dockerfile cannot be empty" and r["warnings"] == []' "$WORK/out"
ok "when that is asked for" $?
finish
