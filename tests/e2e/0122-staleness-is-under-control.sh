# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

why() { # why NAME REGEX [OPTIONS]: it builds and says so
	name=$1 want=$2
	shift 2
	kiln build --explain -t test "$@" app > "$WORK/out" 2> "$WORK/err" &&
		sed -n '/^Why steps ran/,$p; /^Every step/p' "$WORK/err" | grep -Eq -- "$want"
	ok "$name" $?
}
not_why() { # the last build did not say this
	! sed -n '/^Why steps ran/,$p' "$WORK/err" | grep -Eq -- "$2"
	ok "$1" $?
}

mkdir app
cat > app/Dockerfile <<'X'
FROM busybox AS first
RUN cat /proc/sys/kernel/random/uuid > /id
FROM first AS second
RUN echo two > /two
RUN cat /id > /copy
X
why "a first build" 'RUN echo two .*no step like it'
why "a second" '^Every step was in the cache'
why "--no-cache" 'RUN echo two > /two: --no-cache asks' --no-cache
why "--no-cache-filter" 'RUN cat /proc.*: --no-cache-filter asks' --no-cache-filter=first
not_why "of one stage leaves others to their keys" 'echo two.*--no-cache'
why "--no-cache-step with a line" 'RUN echo two .*: --no-cache-step 4 asks' --no-cache-step 4
not_why "and nothing else" 'uuid'
why "--no-cache-step with a glob" 'RUN echo two .*: --no-cache-step RUN echo\* asks' --no-cache-step 'RUN echo*'
why "what it left is in the cache again" '^Every step'
fails "one that matches nothing is an error" 1 kiln build --no-cache-step 'RUN nothing*' app
prints "that names it" 'RUN nothing\*": no step of this build matches'
why "results are young" '^Every step' --cache-ttl 1h
sleep 1.1
why "old results are not used" 'uuid.*: its result is [0-9]+ s old' --cache-ttl '1s=RUN cat /proc*'
why "and what was made of them is not either" "RUN cat /id.*left other files|^Every" --cache-ttl 1h
check "the image runs" kiln run --rm test cmp /id /copy
fails "an age that is none is refused" 2 kiln build --cache-ttl soon app

echo one > secret
cat > app/Dockerfile <<'X'
FROM busybox
RUN --mount=type=secret,id=s cat /run/secrets/s > /copied
X
why "a secret" 'RUN' --secret id=s,src=secret
echo two > secret
why "does not count" '^Every step' --secret id=s,src=secret
why "unless told to" 'secret given with cachekey=hash' --secret id=s,src=secret,cachekey=hash
why "then its value is found again" '^Every step' --secret id=s,src=secret,cachekey=hash
echo three > secret
why "and another one is not" 'secret given with cachekey=hash has another value' --secret id=s,src=secret,cachekey=hash
! grep -rqa three "$KILN_ROOT/kiln.db" "$KILN_ROOT/kiln.db-wal" 2> /dev/null
ok "no value of it is in the database" $?

cat > app/Dockerfile <<'X'
FROM busybox
RUN --mount=target=/src cat /src/a /src/b > /both
X
echo one > app/a
echo one > app/b
why "a mount of the whole context" 'RUN'
echo two > app/b
why "names the file that changed" 'RUN .*: b changed$'

cat > app/Dockerfile <<'X'
FROM busybox
RUN --mount=type=cache,target=/c date >> /c/log; wc -l < /c/log > /lines
X
why "a cache mount" 'RUN'
why "outlives --no-cache" 'no-cache' --no-cache
check "it has both lines" kiln run --rm test cat /lines
prints "of two runs" '^2$'
why "--reset-mounts empties it" 'no-cache' --no-cache --reset-mounts
check "it has one line" kiln run --rm test cat /lines
prints "of one run" '^1$'

check "the graph as JSON" kiln debug graph app
prints "has the steps" '"name":"\[[^]]*2/2\] RUN'
check "the graph for dot" kiln debug graph --format dot app
prints "has the edges" 'v0 -> v1;'
fails "another format is refused" 2 kiln debug graph --format svg app
check "the key of a step" kiln debug key 'RUN*date*'
prints "names its inputs" '"name": "\[.*1/2\] FROM'
fails "an unknown step is an error" 1 kiln debug key 'RUN nothing'

# Every kind of difference has its words.
mkdir -p app/src && echo 1 > app/src/a
cat > app/Dockerfile <<'X'
FROM busybox
WORKDIR /w
COPY src /src
RUN --mount=type=bind,source=src,target=/m --mount=type=cache,target=/c echo 1 > /v
X
why "before any" 'RUN'
sed -i 's,^WORKDIR .*,WORKDIR /w2,' app/Dockerfile
why "a working directory" 'WORKDIR /w2: the path is "/w2", it was "/w"'
prints "of a command too" 'RUN .*: the working directory is "/w2", it was "/w"'
prints "and what followed it" "COPY src /src: it follows 'WORKDIR /w2' and not 'WORKDIR /w', which left other files"
sed -i 's,target=/m,target=/n,' app/Dockerfile
why "a mount elsewhere" 'RUN .*: the mount at /n is new; the mount at /m is gone$'
sed -i 's, --mount=type=cache.target=/c,,' app/Dockerfile
why "a mount less" 'RUN .*: the mount at /c is gone$'
why "a network" 'RUN .*: the network mode is none, it was default$' --network none
why "a host" 'RUN .*: the extra host is "a", it was nothing' --add-host a:127.0.0.1
why "a limit" 'RUN .*: the ulimit nofile is new' --ulimit nofile=100
sed -i 's,^COPY src,COPY --chown=1:2 src,' app/Dockerfile
why "an owner" 'COPY .*: the owner is 1:2, it was that of the files$'
sed -i 's,^COPY --chown=1:2 src,COPY --chmod=750 src,' app/Dockerfile
why "a mode" 'COPY .*: the mode is 0750, it was that of the files'
sed -i 's,^COPY --chmod=750 src,COPY --exclude=b src,' app/Dockerfile
why "an exclusion" 'COPY .*: what is excluded is "b", it was nothing'
sed -i 's,echo 1 ,echo 2 ,' app/Dockerfile
why "a command" 'RUN .*: the command is "echo 2 > /v", it was "echo 1 > /v"$'
echo 2 > app/src/a
why "a file, in a mount and in a copy" 'RUN .*left other files; src/a changed$'
finish
