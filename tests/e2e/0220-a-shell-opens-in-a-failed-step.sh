# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

terminal="$(dirname "$0")/../fixtures/terminal.py"
on_terminal() { # on_terminal COMMAND... < SCRIPT: the terminal's lines go to $WORK/out
	python3 "$terminal" "$@" > "$WORK/raw" 2> "$WORK/err"
	result=$?
	tr -d '\r' < "$WORK/raw" > "$WORK/out"
	return $result
}

mkdir src && echo data > src/file
printf 'hunter2' > token
cat > Dockerfile <<'END'
FROM busybox
RUN echo 'ada:x:1234:1234::/home/ada:/bin/sh' >> /etc/passwd && mkdir -m 777 /work
ENV COLOR=blue
WORKDIR /work
USER ada
RUN --mount=type=bind,source=src,target=/src,rw --mount=type=cache,target=/cache,uid=1234 \
	--mount=type=secret,id=token,uid=1234 --mount=type=tmpfs,target=/t \
	echo left > half && echo cached > /cache/c && exit 7
END
on_terminal "$KILN" build --progress=plain --debug-shell --secret id=token,src=token -t app . <<'END'
see exit code 7. Open a shell
type y
see $
type echo "user=$(id -u) dir=$PWD color=$COLOR pid=$$"
see user=1234 dir=/work color=blue pid=1
type echo "half=$(cat half) cache=$(cat /cache/c) src=$(cat /src/file) secret=$(cat /run/secrets/token)"
see half=left cache=cached src=data secret=hunter2
type echo "tty=$(tty)"; ls -d /t
see tty=/dev/pts/0
see /t
type echo more > half; exit 3
END
test $? = 1; ok "a failed step offers a shell with all it had, and then the build fails" $?
prints "as it would have" 'process "/bin/sh -c echo left > half .* did not complete successfully: exit code: 7'
leaves_nothing "nothing is left of it"

on_terminal "$KILN" build --progress=plain --debug-shell --secret id=token,src=token . <<'END'
see Open a shell
type n
END
test $? = 1; ok "who says no has none" $?
! grep -q '/work \$' out; ok "indeed" $?

on_terminal "$KILN" build --debug-shell --secret id=token,src=token . <<'END'
see Open a shell
type y
see $
type echo "seen:$(cat half)"
see seen:left
see $
key 04
END
test $? = 1; ok "the live view makes room for it, and the end of the input ends it" $?
prints "with what the step printed kept" 'did not complete successfully: exit code: 7'

on_terminal sh -c 'trap : INT; stty -a | grep -q " echo " && "$0" build --debug-shell --secret id=token,src=token . ; stty -a | grep -q " echo " && echo terminal-as-before' "$KILN" <<'END'
see Open a shell
key 03
END
grep -q 'terminal-as-before' out; ok "Ctrl-C at the question is no, and the terminal is as before" $?

# A folder of its own: what the test writes beside must not change while it is copied.
mkdir two && cat > two/Dockerfile <<'END'
FROM busybox
RUN --mount=type=bind,rw,target=/src echo built > /src/object && ! true
END
on_terminal "$KILN" build --debug-shell two <<'END'
see Open a shell
type
see #
type echo "object=$(cat /src/object)"
see object=built
type exit
END
test $? = 1; ok "what was written to a bind mount is there" $?
test ! -e two/object; ok "and only there" $?
fails "without a terminal the build just fails" 1 kiln build --debug-shell two
prints "and says why no shell came" 'no shell: standard input or standard error is not a terminal'

check "an image is built" kiln build -t base - <<'END'
FROM busybox
ENV COLOR=red
WORKDIR /tmp
END
on_terminal "$KILN" debug shell base <<'END'
see #
type echo "dir=$PWD color=$COLOR"
see dir=/tmp color=red
type exit 5
END
test $? = 5; ok "debug shell opens an image, and its status is the shell's" $?
echo 'echo from a pipe: $COLOR' | quietly kiln debug shell base
prints "a script will do, too" 'from a pipe: red'

on_terminal "$KILN" debug shell 3 --progress=plain --secret id=token,src=token . < /dev/null
test $? = 1; ok "there is no step on a line without one" $?
prints "and it says so" 'no RUN step of this build matches "3"'
on_terminal "$KILN" debug shell 'RUN --mount*' --progress=plain --secret id=token,src=token . <<'END'
see $
type echo "user=$(id -u) src=$(cat /src/file) files=$(ls)"
see user=1234 src=data files=
type exit 9
END
test $? = 9; ok "debug shell opens a step that has not run" $?
! grep -q 'files=half' out; ok "before its command" $?
fails "which needs a terminal" 2 kiln debug shell 6 .
prints "and says so" 'is not a terminal'

finish
