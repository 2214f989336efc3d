# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

check "a store without builds has none" kiln builds ls
is "but the headings" "BUILD ID   NAME      STATUS    CREATED AT   DURATION" "$(cat "$WORK/out")"
fails "nor a last one" 1 kiln builds logs
prints "and says so" 'no build is recorded in this store'

mkdir app
cat > app/Dockerfile <<'END'
FROM busybox AS base
ARG WHO=nobody
RUN echo "hello $WHO"; printf 'red \033[31mink\033[0m'
FROM base AS bad
RUN echo about to fail; exit 3
FROM base
END
check "a build" kiln build --build-arg WHO=you -t remembered --target base app
kiln build --target bad -q app > /dev/null 2>&1
is "are listed, the last one first" "app (bad) Error app (base) Completed " \
	"$(output kiln builds ls --format '{{.Name}} {{.Status}}')"
is "by docker's name too" "app (bad) Error app (base) Completed " \
	"$(output kiln buildx history ls --format '{{.Name}} {{.Status}}')"
is "by status" "app (bad) " "$(output kiln builds ls --filter status=error --format '{{.Name}}')"
is "or by duration" "" "$(output kiln builds ls --filter 'duration>1h' --format '{{.Name}}')"
fails "a filter that is none is refused" 1 kiln builds ls --filter size=3
prints "with those there are" 'use ref, name or status'
check "as JSON" kiln builds ls --format json
python3 - "$WORK/out" <<'END'
import json, re, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == 2 and re.fullmatch("default/default/[a-z0-9]{25}", rows[0]["ref"]), rows
assert rows[1]["total_steps"] == rows[1]["completed_steps"] > 3, rows[1]
assert rows[1]["created_at"] < rows[1]["completed_at"], rows[1]
END
ok "with docker's keys" $?

check "logs of the last" kiln builds logs
prints "are those of the build" '^#[0-9]+ [0-9.]+ about to fail$'
prints "to its end" '^#[0-9]+ ERROR: process "/bin/sh -c echo about to fail; exit 3" did not complete successfully: exit code: 3$'
check "of the one before it" kiln builds logs ^1
grep -aqF "$(printf 'red \033[31mink\033[0m')" "$WORK/out"; ok "byte for byte" $?
check "as rawjson" kiln builds logs --progress rawjson ^1
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$WORK/out"; ok "as it was told then" $?
check "inspect" kiln builds inspect ^1
prints "says what was built" '^Target: +base$'
prints "of what" '^WHO +you$'
prints "and into what" '^Image: +docker.io/library/remembered:latest$'
is "fields can be asked for" "completed " "$(output kiln builds inspect ^1 --format '{{.Status}}')"
check "trace" kiln builds trace ^1
python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["traceEvents"]) > 3' "$WORK/out"
ok "is for a browser's viewer" $?

ref=$(kiln builds ls -q | head -n 1)
check "one is removed" kiln builds rm "$ref"
fails "and gone" 1 kiln builds inspect "$ref"
prints "which is said" "no record of a build $ref"
check "all are" kiln builds rm --all
is "and gone" "" "$(output kiln builds ls -q)"
KILN_HISTORY=off check "nothing is recorded" kiln build app
is "where that is asked for" "" "$(output kiln builds ls -q)"

for i in $(seq 52); do kiln build -q --target base app > /dev/null; done
is "fifty are kept" 50 "$(kiln builds ls -q | wc -l)"
touch -d '3 days ago' "$KILN_ROOT"/history/*.json
quietly kiln build --target base app
is "and two days" 1 "$(kiln builds ls -q | wc -l)"

kiln build --secret id=x,src=/etc/hostname 'https://user:hunter2@127.0.0.1:9/r.git' > /dev/null 2>&1
! grep -raq hunter2 "$KILN_ROOT/history"; ok "no password of a URL is kept" $?
is "a record is its owner's" 600 "$(stat -c %a "$KILN_ROOT"/history/*.json | sort -u)"
check "the store is whole" kiln store verify
finish
