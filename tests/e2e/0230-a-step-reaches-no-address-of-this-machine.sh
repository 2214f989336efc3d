# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# On a machine of its own in network namespaces, with a second address and one that comes while a step runs.
# What frames and raw headers do is in 0213.
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
name="a step reaches no address of this machine"
if ! command -v pasta > /dev/null || [ ! -w /dev/net/tun ]; then
	skip "$name" "needs pasta (package passt) and /dev/net/tun"
	finish
	exit 0
elif ! timeout 30 "$fixtures/network_lab" true > out 2> err; then
	skip "$name" "needs root and network namespaces"
	finish
	exit 0
fi

mkdir context
# All at once; those that nobody answers get half a second.
cat > context/send.py <<'END'
import asyncio, socket, sys

async def send(address, device):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    datagram = socket.socket(family, socket.SOCK_DGRAM)
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.setblocking(False)
    try:
        datagram.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        datagram.sendto(address.encode(), (address, 7777))
        connected = asyncio.get_event_loop().sock_connect(stream, (address, 7777))
        await asyncio.wait_for(connected, 10 if address in OUTSIDE else 0.5)
    except (OSError, asyncio.TimeoutError) as error:
        print(address, repr(error))

OUTSIDE = ("198.51.100.4", "2001:db8::1")
async def send_all():
    await asyncio.gather(*(send(a, d) for a in sys.argv[1:] for d in (b"", b"eth0\0")))
asyncio.get_event_loop().run_until_complete(send_all())
END
cat > context/Dockerfile <<'END'
FROM python:3.8-slim-buster
COPY send.py /
END
cat > Dockerfile <<'END'
FROM tools
RUN python3 /send.py 198.51.100.4 2001:db8::1 127.0.0.1 192.0.2.2 172.31.7.1 2001:db8::2 fd77::1 && echo waiting
RUN until timeout 1 python3 -c 'import socket; socket.create_connection(("198.51.100.4", 7778))'; do sleep 0.05; done 2> /dev/null && \
	python3 /send.py 172.31.9.1 fd79::1
END

build_late() { # in the lab, which gets addresses once the step before has ended
	(
		until grep -qE '^#[0-9]+ [0-9.]+ waiting' build.log; do sleep 0.05; done
		ip addr add 172.31.9.1/24 dev d0
		ip addr add fd79::1/64 dev d0
		exec nsenter -t "$OUTSIDE" -n python3 "$LISTEN" 7778
	) > /dev/null 2>&1 &
	late=$!
	timeout 60 "$@" build --no-cache --progress plain - < Dockerfile > build.log 2>&1
	status=$?
	kill $late
	return $status
}
export -f build_late
export LISTEN=$fixtures/listen_all.py

judge() { # DESCRIBED COMMAND...: with kiln as the command
	described=$1
	shift
	check "$described: an image is there" "$@" build -t tools context
	rm -f here there && : > build.log
	quietly timeout 90 "$fixtures/network_lab" bash -c 'mount --bind tun /dev/net/tun; build_late "$@"' - "$@"
	ok "$described: a step sends to all of them" $?
	cp build.log err && cp there out
	grep -q '^udp 198.51.100.4' there && grep -q '^udp 2001:db8::1' there &&
		grep -q '^tcp 198.51.100.4' there && grep -q '^tcp 2001:db8::1' there
	ok "$described: it reaches the network" $?
	cp here out
	[ "$(cat here)" = ready ]
	ok "$described: nothing reaches this machine" $?
}

mknod tun c 10 200 2> err && chmod 666 tun
judge "root" "$KILN"
if as_plain_user unshare -Ur true 2> /dev/null; then
	chmod 755 "$WORK" && mkdir one ranges && chown $PLAIN_USER one ranges
	judge "one id" setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups env KILN_ROOT="$WORK/one" "$KILN"
	if grant_subordinate_ids; then
		judge "subordinate ids" setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups \
			env KILN_ROOT="$WORK/ranges" "$KILN"
	else
		skip "subordinate ids: nothing reaches this machine" "needs newuidmap (package uidmap)"
	fi
else
	skip "one id: nothing reaches this machine" "the kernel forbids user namespaces"
fi
finish
