# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

cat > Dockerfile <<'END'
FROM busybox
RUN echo 'ada:x:1234:1234::/home/ada:/bin/sh' >> /etc/passwd && mkdir /empty
ENV COLOR=blue EMPTY=
WORKDIR /work
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo from cmd; pwd; echo $COLOR"]
END
check "an image to run builds" kiln build -t app .

begin() { # begin ARGUMENT...: kiln in the background, as $process; waits until "ready" is printed
	"$KILN" "$@" > "$WORK/out" 2> "$WORK/err" &
	process=$!
	for _ in $(seq 100); do grep -q ready "$WORK/out" && break; sleep 0.05; done
}

is "entrypoint and command run in the image's directory and environment" \
	"from cmd /work blue " "$(output kiln run --rm app)"
is "arguments replace the command" "hello " "$(output kiln run app 'echo hello')"
is "--entrypoint replaces the entrypoint and drops the command" \
	"one two " "$(output kiln run --entrypoint echo app one two)"
is "-e adds and replaces variables" "red 1 " \
	"$(output kiln run -e COLOR=red -e N=1 app 'echo $COLOR $N')"
is "HOME is the user's, also where it is given as nothing" "/home/ada  /home/ada  /x " \
	"$(output kiln run -u ada app 'echo $HOME') $(output kiln run -u ada -e HOME= app 'echo $HOME') $(
		output kiln run -u ada -e HOME=/x app 'echo $HOME')"
is "-e NAME passes ours on" "mine " "$(OURS=mine output kiln run -e OURS app 'echo $OURS')"
is "-w changes the directory and makes it" "/new/dir " "$(output kiln run -w /new/dir app pwd)"
is "-u takes a name" "1234 /home/ada " "$(output kiln run -u ada app 'echo $(id -u) $HOME')"
is "-u takes numbers" "77 88 " "$(output kiln run -u 77:88 app 'echo $(id -u) $(id -g)')"
is "--hostname is the host name" "box " "$(output kiln run --hostname box app hostname)"
is "--network=none leaves only loopback" "lo " \
	"$(output kiln run --network none app 'ls /sys/class/net')"

mkdir data
echo content > data/file
is "-v shows a directory" "content " "$(output kiln run -v "$PWD/data:/data" app 'cat /data/file')"
check "and writes to it" kiln run -v ./data:/data app 'echo new > /data/made'
is "which the host sees" "new" "$(cat data/made)"
fails "unless it is read-only" 1 kiln run -v "$PWD/data:/data:ro" app 'echo x > /data/no'
fails "a named volume is refused" 125 kiln run -v name:/data app true
prints "by name" "named volumes"

check "changes are made" kiln run app 'echo x > /empty/file'
is "and thrown away" "" "$(output kiln run app 'ls /empty')"

is "-i passes standard input on" "typed " "$(echo typed | output kiln run -i app cat)"
is "without it there is none" "" "$(echo typed | output kiln run app cat)"
is "-t gives a terminal" "/dev/pts/0" "$(kiln run -t app tty < /dev/null | tr -d '\r\n')"
fails "-i -t wants one of ours" 125 kiln run -it app tty < /dev/null
prints "and says so" "the input device is not a TTY"

fails "the process's status is ours" 42 kiln run app 'exit 42'
fails "a signal is 128 and its number" 137 kiln run app 'sh -c "kill -9 \$\$"; exit $?'
fails "a program that is not there is 127" 127 kiln run --entrypoint nosuch app
prints "with the reason" 'exec: "nosuch": executable file not found in \$PATH'
fails "one that is no program is 126" 126 kiln run --entrypoint /etc/passwd app
fails "an unknown user is our failure" 125 kiln run -u nobodyhere app true
prints "with the reason" "unable to find user nobodyhere"
fails "so is an image that is nowhere" 125 kiln run no/such/image
fails "and a bad port" 125 kiln run -p 1:2:3:4 app true

begin run app 'trap "echo stopped; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
kill -TERM $process
wait $process
test $? = 5; ok "signals go to the process" $?
prints "which may answer them" "stopped"

is "a process is the first of its container" "1 " "$(output kiln run app 'echo $$')"
is "--init puts one before it" "kiln-init " "$(output kiln run --init app '[ $$ != 1 ] && cat /proc/1/comm')"
is "which reaps what others leave" "0 " \
	"$(output kiln run --init app '(sleep 0.1 &); sleep 0.6; grep -h ^State: /proc/[0-9]*/status | grep -c Z')"
fails "ends as the process ends" 42 kiln run --init app 'exit 42'
fails "or with its signal" 143 kiln run --init app 'kill -TERM $$'
is "has no rights that the container lacks" "00000000a80425fb 2 " \
	"$(output kiln run --init app 'grep -E "^(CapPrm|Seccomp):" /proc/1/status | cut -f2')"
is "nor anything open" "" "$(output kiln run --init app 'ls /proc/1/fd')"
begin run --init app 'trap "echo stopped; exit 6" TERM; echo ready; while :; do sleep 0.1; done'
kill -TERM $process
wait $process
test $? = 6; ok "and passes signals on" $?
is "also on a terminal" "/dev/pts/0" "$(kiln run --init -t app tty < /dev/null | tr -d '\r\n')"
fails "where programs that are not there are told, too" 127 kiln run --init --entrypoint nosuch app

begin run app "echo ready; sleep 10$$ & sleep 20$$"
kill -KILL $process
wait $process 2> /dev/null
for _ in $(seq 100); do pgrep -f "sleep [12]0$$" > /dev/null || break; sleep 0.05; done
! pgrep -f "sleep [12]0$$" > /dev/null; ok "nothing runs on when kiln is killed" $?
rm -rf "$KILN_ROOT"/tmp/* # what a killed kiln leaves is collected later

finish
