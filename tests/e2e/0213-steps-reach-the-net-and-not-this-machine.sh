# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
printf 'FROM busybox\nRUN --network=none ls /sys/class/net\n' > Dockerfile
check "a step without a network has its loopback only" kiln build .
prints "and nothing else" '^#[0-9]+ [0-9.]+ lo$'

mkdir -p bin && for tool in sh cat; do ln -s "$(command -v $tool)" bin/$tool; done
cat > Dockerfile <<'END'
FROM busybox
RUN true
RUN true && true
END
PATH=$WORK/bin check "without pasta steps share this machine's network" "$KILN" build --no-cache .
prints "and a notice says so" 'steps share this machine.s network: pasta \(package passt\) is not installed'
test "$(grep -c 'steps share this machine' err)" = 1; ok "once" $?

if ! command -v pasta > /dev/null || [ ! -w /dev/net/tun ] || ! ip route show default | grep -q default; then
	skip "steps have a network of their own" "needs pasta (package passt), /dev/net/tun and a default route"
	finish
	exit 0
fi

# One service on the loopback, one on the machine's address.
mkdir www && echo "the host's" > www/page
address=$(ip -4 route get 192.0.2.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p')
gateway=$(ip -4 route show default | sed -n 's/.* via \([0-9.]*\).*/\1/p' | head -n 1)
link_local=$(ip -6 -o addr show scope link | sed -n 's/.* inet6 \([0-9a-f:]*\).*/\1/p' | head -n 1)
for host in 127.0.0.1 ::1 "$address"; do
	python3 -u -m http.server --bind "$host" --directory www 0 > server.$host 2>&1 &
	servers="${servers:-} $!"
	for _ in $(seq 50); do grep -q 'port [1-9]' server.$host && break; sleep 0.1; done
done
at_end 'kill $servers 2> /dev/null'
port() {
	sed -n 's/.* port \([0-9]*\).*/\1/p' "server.$1"
}
lo=$(port 127.0.0.1) lo6=$(port ::1) public=$(port "$address")
get() { # get HOST:PORT: a command for a shell with python3
	printf "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://%s/page\", timeout=3).read().decode())'" "$1"
}
sh -c "$(get "127.0.0.1:$lo")" | grep -q "the host's"; ok "the host has a service on its loopback" $?
check "an image with python and package managers is there" kiln build -t tools - <<'END'
FROM python:3.8-slim-buster
RUN true
END

for target in "127.0.0.1:$lo" "127.0.0.2:$lo" "localhost:$lo" "$gateway:$lo" "$address:$lo" "169.254.1.1:$lo" \
	"10.0.2.2:$lo" "[::1]:$lo6" "[::ffff:127.0.0.1]:$lo" ${link_local:+"[$link_local]:$lo6"}; do
	fails "a step does not reach it by ${target%:*}" 1 kiln build --no-cache - <<END
FROM tools
RUN $(get "$target")
END
	! grep -q "the host's" err; ok "indeed not" $?
done
# By other means than asking for it: 127.0.0.1 through the interface, frames and headers of its own.
python3 "$fixtures/listen_all.py" 27213 127.0.0.1 ::1 > arrived &
servers="$servers $!"
for _ in $(seq 50); do grep -q ready arrived && break; sleep 0.1; done
mkdir attack && cp "$fixtures/reach_host.py" attack
cat > attack/Dockerfile <<'END'
FROM python:3.8-slim-buster
COPY reach_host.py /
RUN python3 /reach_host.py 27213 127.0.0.1 ::1 | grep -c tried
END
check "a step sends to the loopback by every socket there is" timeout 60 "$KILN" build attack
prints "by datagrams, connections, raw headers and frames" '^#[0-9]+ [0-9.]+ [4-6][0-9]$'
if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null && mknod tun c 10 200 2> err; then
	chmod 666 tun && chmod 755 "$WORK" && mkdir user && chown $PLAIN_USER user
	KILN_ROOT=$WORK/user/store check "and so does a user's" unshare -m sh -c \
		'mount --bind tun /dev/net/tun && exec timeout 60 setpriv --reuid $0 --regid $0 --clear-groups "$KILN" build attack' $PLAIN_USER
	rm -rf tun user
fi
[ "$(cat arrived)" = ready ]; ok "and nothing arrives" $?

fails "nor does a container" 1 kiln run tools sh -c "$(get "127.0.0.1:$lo")"

check "a step on the host's network does" kiln build --no-cache --allow network.host --network host - <<END
FROM tools
RUN $(get "127.0.0.1:$lo")
END
prints "as it was allowed to" "the host's"
check "host-gateway is this machine" kiln build --no-cache --add-host here:host-gateway - <<END
FROM tools
RUN $(get "here:$public") && ! $(get "here:$lo") && ! $(get "127.0.0.1:$lo")
END
prints "with what it serves to others" "the host's"
check "for containers, too" kiln run --add-host here:host-gateway tools sh -c "$(get "here:$public")"
fails "an address has to be one" 2 kiln build --add-host here:nowhere .
prints "or host-gateway" 'is not HOST:IP or HOST:host-gateway'

# A user who may open /dev/net/tun: here with one of his own, for him alone.
if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null &&
	mknod tun c 10 200 2> err; then
	chmod 666 tun && chmod 755 "$WORK" && mkdir user && chown $PLAIN_USER user
	cat > user/Dockerfile <<END
FROM python:3.8-slim-buster
RUN ls /sys/class/net /proc/sys/net/ipv4/conf | tr '\\n' ' '; ! $(get "127.0.0.1:$lo") && ! $(get "$gateway:$lo") && ! $(get "[::1]:$lo6")
END
	KILN_ROOT=$WORK/user/store check "a user's step has a network of its own" unshare -m sh -c \
		'mount --bind tun /dev/net/tun && exec setpriv --reuid $0 --regid $0 --clear-groups "$KILN" build user' $PLAIN_USER
	prints "with an interface" ' eth0 .*lo '
	! grep -q "share this machine" err; ok "and not the machine's" $?
	! grep -q "the host's" err; ok "nor what is on its loopback" $?
else
	skip "a user's step has a network of its own" "needs root to become a user, and user namespaces"
fi

# A resolver on the loopback, as systemd-resolved is: the step asks another address.
if [ "$(id -u)" = 0 ]; then
	python3 "$fixtures/dns_server.py" 127.0.0.53 > dns &
	servers="$servers $!"
	for _ in $(seq 50); do grep -q ready dns && break; sleep 0.1; done
fi
if grep -qs ready dns; then
	echo 'nameserver 127.0.0.53' > resolv.conf
	printf 'FROM busybox\nRUN cat /etc/resolv.conf && nslookup somewhere.example\n' > Dockerfile
	check "a step asks a resolver of the host's loopback" unshare -m sh -c \
		'mount --bind resolv.conf "$(readlink -f /etc/resolv.conf)" && exec "$KILN" build --no-cache .'
	prints "by an address of its own" '^#[0-9]+ [0-9.]+ nameserver 169\.254\.1\.1$'
	prints "and gets its answers" 'Address( 1)?: 192\.0\.2\.53'
else
	skip "a step asks a resolver of the host's loopback" "needs root and a free 127.0.0.53"
fi

# Package managers, where this machine's own reach what they are configured for.
if timeout 60 pip download -q --no-deps -d pip six > /dev/null 2>&1; then
	check "pip works in a step" timeout 300 "$KILN" build --no-cache - <<'END'
FROM tools
RUN pip download --no-deps -d /tmp six
END
else
	skip "pip works in a step" "pip of this machine reaches no package index"
fi
if [ "$(id -u)" = 0 ] && mkdir -p apt/partial && timeout 120 apt-get update -q -o Dir::State::Lists="$WORK/apt" -o APT::Update::Error-Mode=any > /dev/null 2>&1; then
	for file in /etc/apt/apt.conf.d/*; do
		cat "$file"
	done 2> /dev/null | grep -E '^Acquire::' > apt.conf
	check "apt works in a step" timeout 300 "$KILN" build --no-cache --secret id=apt,src=apt.conf - <<'END'
FROM tools
RUN --mount=type=secret,id=apt,target=/etc/apt/apt.conf.d/99host,mode=0644 \
	apt-get update -q -o APT::Update::Error-Mode=any && apt-get download -q hello
END
else
	skip "apt works in a step" "apt of this machine reaches no archive"
fi
npm=$(command -v npm > /dev/null && npm root -g 2> /dev/null)/npm
if [ -d "$npm" ] && timeout 60 npm view --silent is-odd version > /dev/null 2>&1; then
	touch npmrc && cat "$HOME/.npmrc" /root/.npmrc > npmrc 2> /dev/null
	mkdir node && cp "$(command -v node)" node/
	for library in $(ldd node/node | grep -o '/[^ ]*'); do
		mkdir -p "node/lib$(dirname "$library")" && cp "$library" "node/lib$library"
	done
	check "npm works in a step" timeout 300 "$KILN" build --no-cache --secret id=npmrc,src=npmrc \
		--secret "id=ca,src=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" \
		--build-context "npm=$npm" --build-context node=node - <<'END'
FROM tools
COPY --from=node lib /host
ENV NODE_EXTRA_CA_CERTS=/run/secrets/ca
RUN --mount=from=npm,target=/npm --mount=from=node,target=/node --mount=type=secret,id=npmrc,target=/root/.npmrc \
	--mount=type=secret,id=ca \
	$(find /host -name 'ld-linux*' | head -n 1) --library-path $(find /host -name 'libc.so*' -printf '%h' -quit) \
	/node/node /npm/bin/npm-cli.js view is-odd version
END
else
	skip "npm works in a step" "npm of this machine reaches no registry"
fi
finish
