# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

check "an image builds" kiln build -t app - <<'END'
FROM busybox
RUN echo 'app:x:1000:1001::/home/app:/bin/sh' >> /etc/passwd
CMD ["echo", "the command"]
END
refused() { # MESSAGE ARGS...: status 125 and the message, nothing was run
	message=$1
	shift
	fails "run $*" 125 kiln run "$@"
	prints "  says: $message" "$message"
	test ! -s "$WORK/out"; ok "  and prints nothing else" $?
}
refused 'needs an image' --rm
refused 'unknown flag: --frobnicate' --frobnicate app
refused 'not found' nosuch:1
refused 'must be lowercase' App
refused "named volumes are not supported; give a path, as in ./data" -v data:/x app
refused "unknown option 'rx', expected ro or rw" -v /tmp:/x:rx app
refused "expected HOST-PATH:CONTAINER-PATH" -v /tmp app
refused "the path in the container is not absolute" -v /tmp:x app
refused "the working directory 'rel' is not an absolute path" -w rel app
refused 'Not a directory' -w /etc/passwd app
refused 'unable to find user nobodyhere' -u nobodyhere app
refused 'unable to find group nosuchgroup' -u root:nosuchgroup app
refused "invalid environment variable: '=x'" -e =x app
refused "invalid environment variable: ''" -e '' app
refused '"wlan" is not default, bridge, host or none' --network wlan app
refused 'a port of this machine must be named' -p 80 app
refused 'expected \[ADDRESS:\]HOSTPORT:CONTAINERPORT' -p x:y app
refused 'no such port' -p 70000:80 app
refused "unknown protocol 'sctp'" -p 8123:80/sctp app
refused "the process's ports are the host's already" --network host -p 8123:80 app
refused 'not a TTY' -i -t app < /dev/null

python3 -c '
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True); sys.stdin.read()' > "$WORK/busy" < <(sleep 20) &
holder=$!
while [ ! -s "$WORK/busy" ]; do sleep 0.05; done
refused 'Address already in use' -p "127.0.0.1:$(cat "$WORK/busy"):80" app
kill $holder

fails "a command that is nowhere" 127 kiln run app nosuchprogram
prints "is named" 'nosuchprogram.*not found'
fails "a directory as the command" 126 kiln run app /etc
fails "a status beyond a byte" 44 kiln run app sh -c 'exit 300'
fails "a shell whose child was killed" 143 kiln run app sh -c 'sh -c "kill \$\$"; exit $?'
check "the image's command runs" kiln run --rm --name any app
test "$(cat "$WORK/out")" = "the command"; ok "as it says" $?
check "an empty entrypoint clears it" kiln run --entrypoint '' app echo cleared
check "-u takes ids that nobody has" kiln run -u 4321:8765 app id
prints "as they are" 'uid=4321 gid=8765'
check "-u takes a name" kiln run -u app app sh -c 'id -u; echo $HOME'
test "$(cat "$WORK/out")" = "1000
/home/app"; ok "with its home" $?
check "-w makes the directory" kiln run -w /new/dir app pwd
prints "and begins there" '^/new/dir$'
FROM_HERE=here check "-e passes on and sets" kiln run -e FROM_HERE -e UNSET_HERE -e A=b=c -e EMPTY= app env
prints "from here" '^FROM_HERE=here$'
prints "with equals signs" '^A=b=c$'
prints "and nothing" '^EMPTY=$'
! grep -q UNSET_HERE "$WORK/out"; ok "but not what is not set" $?

echo content > file
check "-v mounts one file" kiln run -v ./file:/deep/in/file app cat /deep/in/file
prints "as it is" '^content$'
fails "read-only if told" 1 kiln run -v "$PWD/file:/f:ro" app sh -c 'echo x > /f'
test "$(cat file)" = content; ok "and it stays" $?
check "-v makes what is missing on the host" kiln run -v ./made/here:/x app touch /x/y
test -f made/here/y; ok "as a directory" $?

printf 'a\nb\n' | kiln run -i app wc -l > "$WORK/out"
test "$(cat "$WORK/out")" = 2; ok "-i passes standard input on" $?
printf 'a\n' | kiln run app wc -l > "$WORK/out"
test "$(cat "$WORK/out")" = 0; ok "without it there is none" $?
head -c 3000000 /dev/zero | kiln run -i app sh -c 'cat; echo err >&2' 2> "$WORK/err" | wc -c > "$WORK/out"
test "$(cat "$WORK/out") $(cat "$WORK/err")" = "3000000 err"; ok "streams are kept apart and whole" $?
kiln run app yes 2> "$WORK/err" | head -n 1 > "$WORK/out"
test "$(cat "$WORK/out")" = y; ok "a reader that leaves ends the process" $?

if command -v script > /dev/null; then
	script -qec "stty cols 77 rows 11; '$KILN' run -it app sh -c 'tty; stty size; exit 5'" /dev/null \
		> "$WORK/out" < /dev/null
	test $? = 5; ok "-t keeps the status" $?
	prints "gives a terminal" '/dev/pts/0'
	prints "of our size" '^11 77'
	mkfifo keys
	(sleep 2; printf '\003'; sleep 5) > keys &
	script -qec "'$KILN' run -it app sh -c 'trap \"echo caught; exit 9\" INT; while :; do sleep 0.1; done'" \
		/dev/null > "$WORK/out" < keys
	test $? = 9; ok "a Ctrl-C typed into it reaches the process" $?
	prints "which catches it" 'caught'
else
	skip "-t gives a terminal" "needs script(1)"
fi

check "--network none has only the loopback" kiln run --network none app sh -c 'ls /sys/class/net'
test "$(cat "$WORK/out")" = lo; ok "device" $?
check "--network host has the host's" kiln run --network host app sh -c 'cat /proc/net/dev'
sort "$WORK/out" | cut -d: -f1 > "$WORK/inside"
cut -d: -f1 /proc/net/dev | sort | cmp -s - "$WORK/inside"; ok "devices" $?
cat > server.py <<'END'
import socket
tcp = socket.create_server(("0.0.0.0", 8))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 7))
udp.settimeout(20)
tcp.settimeout(20)
peer, _ = tcp.accept()
peer.sendall(b"over tcp")
peer.close()
print(udp.recv(100).decode(), flush=True)
END
port=$((30000 + $$ % 2000))
timeout 60 "$KILN" run -p $port:7/udp -p 127.0.0.1:$port:8 -v ./server.py:/server.py \
	python:3.8-slim-buster python3 /server.py > "$WORK/out" 2> "$WORK/err" &
server=$!
python3 - $port > "$WORK/client" <<'END'
import socket, sys, time
port = int(sys.argv[1])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
text = b""
for _ in range(300):
    try:
        tcp = socket.create_connection(("127.0.0.1", port), 2)
        text = tcp.recv(100)
        if text:
            break
    except OSError:
        pass
    time.sleep(0.1)
print(text.decode())
for _ in range(20):
    udp.sendto(b"datagram", ("127.0.0.1", port))
    time.sleep(0.05)
END
wait $server
test "$(cat "$WORK/client")" = "over tcp"; ok "a published TCP port answers" $?
prints "a published UDP port receives" '^datagram'

timeout 20 env --default-signal=INT "$KILN" run app sleep 47 &
sleeper=$!
sleep 1
pkill -INT -P $sleeper
wait $sleeper
status=$?
echo "status $status" > "$WORK/out"
test $status = 130; ok "Ctrl-C ends a process that does not catch it with 130" $?
env --default-signal=INT "$KILN" run app sh -c 'sleep 47 & sleep 48' &
sleeper=$!
sleep 1
kill -KILL $sleeper
wait $sleeper 2> /dev/null
sleep 0.5
! pgrep -fx 'sleep 4[78]' > /dev/null; ok "kiln's death is the process's" $?
check "prune removes what it left" kiln prune -f
finish
