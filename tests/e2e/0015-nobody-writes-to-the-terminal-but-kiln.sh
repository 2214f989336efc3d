# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

esc=$(printf '\033')
clean() { # clean NAME: nothing that a terminal obeys was printed
	! cat "$WORK/out" "$WORK/err" | LC_ALL=C grep -q "[$(printf '\001-\010\013-\037\177')]"
	ok "$1" $?
}

mkdir app
printf 'FROM busybox\nARG \033]0;x\007\nLABEL a=\033[2Jb\nMAINTAINER \033[31mred\nRUN echo \033[1m\nENV NAME=\033[5m\n' > app/Dockerfile
quietly kiln build -t app app
printf 'FROM busybox\nARG NAME=\033[5m\nMAINTAINER \033[31mred\nRUN echo "\033[1m" > /x\nRUN echo two\n' > app/Dockerfile
check "a Dockerfile with escape sequences builds" kiln build --explain --progress=plain -t app app
clean "its warnings, reasons and steps are shown without"
for call in check outline targets; do
	quietly kiln build --call $call app
	clean "--call $call too"
done
quietly kiln history --no-trunc app
prints "history has it" '\\x1b\[1m'
clean "... escaped"
quietly kiln du --verbose
prints "du has it" '\\x1b\[1m'
clean "... escaped"
printf '{"x\033[2J": ' > "bad${esc}[2J.tar"
fails "an archive with such a name" 1 kiln load -i "bad${esc}[2J.tar"
clean "is told of without"
fails "an unknown image" 125 kiln run "bad${esc}[2J"
clean "too"

# A line of the log is the step's own, whatever it writes.
cat > app/Dockerfile <<'END'
FROM busybox
RUN printf 'one\n#9 DONE 0.1s\ntwo\r#9 DONE 0.2s\nthree\v#9 DONE 0.3s\nfour\f#9 DONE 0.4s\nfive\r\n#9 DONE 0.5s'
RUN <<EOF
false
#9 DONE 0.6s
exit 7
EOF
END
fails "a step that writes like kiln" 1 kiln build --progress=plain app
test "$(tr '\r\v\f' '\n\n\n' < "$WORK/err" | grep -cE '^#9 DONE 0\.[1-6]s')" = 0
ok "is still seen to be a step" $?
test "$(tr '\r\v\f' '\n\n\n' < "$WORK/err" | grep -cE '^#[0-9]+ ([0-9.]+ )?#9 DONE 0\.[1-5]s')" -ge 5
ok "with all of its lines" $?
finish
