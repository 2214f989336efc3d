# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

cat > Dockerfile <<'END'
FROM busybox
RUN printf 'red \033[31mink\033[0m and \200\377 and caf\303\251\n50%%\r100%%\nno end'
RUN sleep 0.3; echo done
END
check "plain" kiln build --progress=plain .
grep -aqF "$(printf 'red \033[31mink\033[0m and \200\377 and caf\303\251')" "$WORK/err"
ok "every byte of a log goes to a file" $?
grep -aqF "$(printf ' 50%%\r100%%')" "$WORK/err"; ok "redrawn lines too" $?
prints "an unfinished line is shown" '^#[0-9]+ [0-9.]+ no end$'
head -n 1 "$WORK/err" | grep -q '^#0 building with "default" instance'; ok "after a header" $?
awk '/^$/ || /^#[0-9]+ / {next} {bad = 1; print} END {exit bad}' "$WORK/err" > "$WORK/out"
ok "every line belongs to a step" $?
awk '$1 == "#0" || /^$/ {next} !($1 in seen) {n++; seen[$1] = 1; if ($1 != "#" n) exit 1}' "$WORK/err"
ok "steps are numbered as they appear" $?

check "none" kiln build --progress=none .
test ! -s "$WORK/err"; ok "prints nothing" $?
check "quiet" kiln build --progress=quiet --no-cache .
test ! -s "$WORK/err"; ok "prints nothing" $?
BUILDKIT_PROGRESS=quiet check "BUILDKIT_PROGRESS sets the mode" kiln build .
test ! -s "$WORK/err"; ok "for all builds" $?
BUILDKIT_PROGRESS=quiet check "unless told otherwise" kiln build --progress=plain .
test -s "$WORK/err"; ok "on the command line" $?
check "-q prints the image id" kiln build -q .
grep -Exq 'sha256:[0-9a-f]{64}' "$WORK/out" && test "$(wc -l < "$WORK/out")" = 1 && test ! -s "$WORK/err"
ok "and nothing else" $?
check "rawjson" kiln build --progress=rawjson --no-cache .
python3 - "$WORK/err" <<'END'
import base64, json, sys
seen, log = set(), b""
for line in open(sys.argv[1]):
    event = json.loads(line)
    seen |= set(event)
    for entry in event.get("logs", []):
        log += base64.b64decode(entry["data"])
assert {"vertexes", "logs", "statuses"} <= seen, seen
assert b"red \x1b[31mink" in log
END
ok "is one object per line, logs as they were" $?
cat > Dockerfile.cached <<'END'
FROM busybox AS base
RUN echo kept
FROM base
RUN sleep 0.1; echo new; false
END
quietly kiln build --target base -f Dockerfile.cached .
fails "of a failed build" 1 kiln build --progress=rawjson -f Dockerfile.cached .
grep -a '^{' "$WORK/err" > "$WORK/events"
python3 - "$WORK/events" <<'END'
# BuildKit's client knows a step by its digest: it exists once it has started, takes its latest name,
# and is over when its last interval is; what is said of a step that is not known is lost.
import json, sys
from datetime import datetime
steps, lost = {}, 0
for line in open(sys.argv[1]):
    event = json.loads(line)
    for v in event.get("vertexes", []):
        if "started" not in v:
            lost += "completed" in v
            continue
        steps[v["digest"]] = v
        assert set(v) <= {"digest", "inputs", "name", "started", "completed", "cached", "error"}, v
    for kind in "statuses", "logs", "warnings":
        for entry in event.get(kind, []):
            lost += entry["vertex"] not in steps
assert lost == 0, lost
date = lambda t: datetime.fromisoformat(t[:19])
states = {}
for v in steps.values():
    assert v["name"] and date(v["started"]) <= date(v["completed"]), v
    states[v["name"]] = "cached" if v.get("cached") else "error" if v.get("error") else "done"
named = lambda part: [state for name, state in states.items() if part in name]
assert named("echo kept") == ["cached"], states
assert named("echo new") == ["error"], states
assert named("load build definition") == ["done"], states
END
ok "tells BuildKit's readers all of every step" $?
cat > Dockerfile.two <<'END'
FROM busybox AS one
RUN for i in 1 2 3 4; do echo "one $i"; sleep 0.2; done
RUN echo "one 5"
FROM busybox AS two
RUN for i in 1 2 3 4; do echo "two $i"; sleep 0.2; done
FROM busybox
COPY --from=one /bin/true /one
COPY --from=two /bin/true /two
END
check "ordered" kiln build --progress=ordered --no-cache -f Dockerfile.two .
grep -o '\(one\|two\) [1-5]$' "$WORK/err" | tr '\n' ' ' > "$WORK/out"
is "has every step's block whole, in the graph's order" \
	"one 1 one 2 one 3 one 4 one 5 two 1 two 2 two 3 two 4 " "$(cat "$WORK/out")"
! grep -q '^#[0-9]* \.\.\.$' "$WORK/err"; ok "never left and opened again" $?
check "in groups" kiln build --progress=ordered,groups=github -f Dockerfile.two .
test "$(grep -c '^::group::#' "$WORK/err")" = "$(grep -c '^::endgroup::$' "$WORK/err")"
ok "which GitHub folds" $?
prints "each with its title" '^::group::#[0-9]+ \[one 2/3\] RUN for i'
fails "an unknown mode is wrong usage" 2 kiln build --progress=fancy .
prints "that names those there are" 'use auto, plain, ordered\[,groups=github\|gitlab\], tty, rawjson, quiet or none'
fails "tty wants a terminal" 2 kiln build --progress=tty .

kiln build . 2>&-; ok "a closed standard error does no harm" $?
kiln build -q . >&-; ok "nor a closed standard output" $?
kiln build . < /dev/null <&-; ok "nor a closed standard input" $?
(kiln build --progress=plain --no-cache . 2>&1; echo $? > status) | head -n 1 > "$WORK/out"
test "$(cat status)" = 0; ok "nor a reader that leaves" $?

if command -v script > /dev/null; then
	script -qec "'$KILN' build --no-cache --progress=plain ." /dev/null < /dev/null | tr -d '\r' > "$WORK/out"
	: > "$WORK/err"
	prints "a terminal is shown control bytes, not sent" 'red \\x1b\[31mink\\x1b\[0m and \\x80\\xff and café$'
	prints "and of a redrawn line the last" '^#[0-9]+ [0-9.]+ 100%$'
	for size in '20 5' '40 10' '80 24' '1 1' '300 80'; do
		set -- $size
		script -qec "stty cols $1 rows $2; TERM=xterm '$KILN' build --no-cache ." /dev/null > "$WORK/tty" < /dev/null
		ok "a terminal of $1 columns" $?
		[ "$1" -lt 20 ] || python3 - "$WORK/tty" "$1" <<'END'
import re, sys
for line in re.split(rb"[\r\n]+", open(sys.argv[1], "rb").read()):
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", line).decode("utf-8", "replace")
    assert len(text) <= int(sys.argv[2]), text
END
		ok "  has no line that is longer" $?
		grep -q FINISHED "$WORK/tty" || test "$1" -lt 30; ok "  ends with what was done" $?
	done
	cat > Dockerfile.fails <<'END'
FROM busybox
RUN for i in $(seq 30); do echo "line $i"; done; printf '\033[35mpurple\033[0m \033[2J'; false
END
	BUILDKIT_COLORS=error=green:run=pink script -qec \
		"TERM=xterm '$KILN' build --no-cache -f Dockerfile.fails ." /dev/null > "$WORK/tty" < /dev/null
	grep -aq 'line 1.$' "$WORK/tty" && grep -aq 'line 30.$' "$WORK/tty"
	ok "a failed step leaves its whole log" $?
	grep -aqF "$(printf '\033[35mpurple\033[0m \\x1b[2J')" "$WORK/tty"; ok "in its colours, and no more" $?
	grep -aq "$(printf '^\r.*\033\[32m => ERROR')" "$WORK/tty"; ok "BUILDKIT_COLORS sets the view's" $?
	grep -aq '^WARNING: BUILDKIT_COLORS: "pink" is neither' "$WORK/tty"; ok "and is told what it got wrong" $?
	NO_COLOR=1 script -qec "TERM=xterm '$KILN' build ." /dev/null > "$WORK/tty" < /dev/null
	! grep -q "$(printf '\033')\[3[0-9]m" "$WORK/tty"; ok "NO_COLOR leaves colours out" $?
	TERM=dumb script -qec "'$KILN' build ." /dev/null > "$WORK/tty" < /dev/null
	grep -q '^#1 ' "$WORK/tty"; ok "a dumb terminal gets plain lines" $?
else
	skip "the live view fits its terminal" "needs script(1)"
fi

# Sixty megabytes at once: all of it is shown, in bounded memory, however slow the reader.
cat > Dockerfile <<'END'
FROM busybox
RUN yes 'a line of the log of a step that says the same over and over' | head -n 1000000; echo the end; exit 3
END
cat > measure <<'END'
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stderr=subprocess.STDOUT)
with open("status", "w") as f:
    f.write("%d %d" % (status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
END
python3 measure "$KILN" build --progress=plain . | (sleep 2; cat) > "$WORK/out"
read -r status peak < status
test "$status" = 1; ok "a step that prints a lot fails as it should" $?
test "$(grep -ac 'over and over$' "$WORK/out")" -ge 1000000; ok "its log is whole" $?
grep -aq '^[0-9.]* the end$' "$WORK/out"; ok "to its last line" $?
is_sanitized || test "$peak" -lt 100000
ok "a slow reader does not cost memory" $?
BUILDKIT_STEP_LOG_MAX_SIZE=2097152 BUILDKIT_STEP_LOG_MAX_SPEED=204800 quietly kiln build --progress=plain .
test "$(wc -c < "$WORK/err")" -lt 6000000; ok "a limit can be set" $?
prints "and is told" '\[output clipped, log limit 200KiB/s reached\]$'
finish
