# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

if ! command -v ssh-agent > /dev/null || ! command -v ssh-add > /dev/null; then
	skip "steps use ssh agents" "needs ssh-agent (package openssh-client)"
	finish
	exit 0
fi
for key in one two; do
	ssh-keygen -q -t ed25519 -N '' -C "key-$key" -f $key
done
ssh-keygen -q -t ed25519 -N 'a passphrase' -C locked -f locked
chmod 644 two # what ssh-add itself would refuse
eval "$(ssh-agent -a "$WORK/agent")" > /dev/null
at_end 'kill $SSH_AGENT_PID 2> /dev/null'
ssh-add -q one

# A step needs a client: this machine's, with its libraries.
mkdir -p client
cp "$(command -v ssh-add)" one.pub client/
for library in $(ldd "$(command -v ssh-add)" | grep -o '/[^ ]*'); do
	mkdir -p "client/root$(dirname "$library")" && cp "$library" "client/root$library"
done
cat > client/Dockerfile <<'END'
FROM busybox
COPY root /
COPY ssh-add /bin/
RUN echo ada:x:1234:1234::/:/bin/sh >> /etc/passwd
END
check "an image with a client is built" kiln build -t client client

cat > Dockerfile <<'END'
FROM client
RUN --mount=type=ssh ssh-add -l
RUN --mount=type=ssh stat -c 'socket:%F %a %u:%g' $SSH_AUTH_SOCK
RUN --mount=type=ssh ! ssh-add -D && ! ssh-add -x < /dev/null && echo "still:$(ssh-add -l | wc -l)"
RUN --mount=type=ssh,mode=0660,gid=1234,target=/agent ls /agent
USER ada
RUN --mount=type=ssh,uid=1234 echo "user:$(id -u)" && ssh-add -l | sed 's/^/user sees /'
RUN --mount=type=ssh ! ssh-add -l 2> /dev/null && echo "not for others"
END
check "steps use the caller's agent" kiln build --ssh default -t used .
prints "with its keys" '^#[0-9]+ [0-9.]+ 256 SHA256:.* key-one '
prints "by a socket for their user alone" 'socket:socket 600 0:0'
prints "whose keys they cannot take away" 'still:1'
prints "users get one of their own" 'user sees 256 SHA256:.* key-one'
prints "where the mount says so" 'not for others'
check "the agent still has its key" sh -c 'ssh-add -l | grep -q key-one'

cat > Dockerfile <<'END'
FROM client
RUN --mount=type=ssh,id=deploy ssh-add -l
END
check "key files are an agent, too" kiln build --no-cache --ssh deploy=one,two .
prints "with the first" 'key-one '
prints "and the second" 'key-two '
check "and a socket by its path is" kiln build --no-cache --ssh "deploy=$WORK/agent" .
prints "with what it holds" 'key-one '
sleep 0.2
fails "the agent for the files is gone" 1 pgrep -f "ssh-agent -a /proc"

fails "a key with a passphrase is refused" 1 kiln build --ssh deploy=locked .
prints "by its name" "use the ssh key 'locked'"
fails "so is a key that does not exist" 2 kiln build --ssh deploy=none .
SSH_AUTH_SOCK="" fails "and an agent that does not exist" 2 kiln build --ssh default .
prints "with what to do" 'SSH_AUTH_SOCK'
fails "a step can tell which agent it lacks" 1 kiln build --no-cache --ssh default - <<'END'
FROM client
RUN --mount=type=ssh,id=other,required true
END
prints "by its id" 'no SSH key "other" forwarded from the client'

finish
