. "$(dirname "$0")/lib.sh"

# hits NAME STEP [OPTIONS] and misses NAME STEP REASON [OPTIONS]: what --explain says of a step.
hits() {
	name=$1 step=$2
	shift 2
	kiln build --explain -t test "$@" app > "$WORK/out" 2> "$WORK/err" &&
		! sed -n '/^Why steps ran/,$p' "$WORK/err" | grep -q -- "] $step"
	ok "$name" $?
}
misses() {
	name=$1 step=$2 why=$3
	shift 3
	kiln build --explain -t test "$@" app > "$WORK/out" 2> "$WORK/err" &&
		sed -n '/^Why steps ran/,$p' "$WORK/err" | grep -Eq -- "$step.*$why"
	ok "$name" $?
}
owner() { # owner NAME UID:GID FILE: who owns it in the image
	check "$1" kiln run --rm test stat -c %u:%g "$3"
	prints "  that is $2" "^$2\$"
}

mkdir app
echo data > app/f
cat > app/Dockerfile <<'X'
FROM busybox AS base
ARG before uid=1500 gid=1600 after
RUN echo "staff:x:$gid:" > /etc/group; printf '%s\napp:x:%s:1::/:\n%s\n' "$before" "$uid" "$after" > /etc/passwd
FROM base
COPY --link --chown=app:staff f /linked
COPY --chown=app:staff f /plain
X
misses "a first build runs all" 'COPY --link' 'no step like it'
owner "the linked file has the owner" 1500:1600 /linked
owner "and so has the other" 1500:1600 /plain
hits "an equal build finds it" COPY
hits "another user after it does not count for a linked copy" 'COPY --link' \
	--build-arg after=after:x:7:7::/:
grep -q 'COPY --chown' "$WORK/err"
ok "it does for a copy into the root file system" $?
owner "the files are the same" 1500:1600 /linked
hits "another user before it does not either" 'COPY --link' --build-arg before=before:x:7:7::/:
hits "nor does it when it is not there any more" 'COPY --link'
misses "its user id counts" 'COPY --link' 'owner app:staff changed' --build-arg uid=1501
owner "and shows" 1501:1600 /linked
misses "its group id as well" 'COPY --link' 'owner app:staff changed' --build-arg gid=1601
owner "and shows" 1500:1601 /linked
hits "going back finds the first result" COPY
echo other > app/f
misses "the file counts too" 'COPY --link' 'f changed'
owner "with its owner" 1500:1600 /linked

printf 'FROM busybox\nCOPY --link --chown=nobody f /\n' > app/Dockerfile
check "a user alone" kiln build -t test app
owner "brings the primary group" 65534:65534 /f
printf 'FROM busybox\nCOPY --link --chown=ghost f /\n' > app/Dockerfile
fails "a user that is not there is an error" 1 kiln build app
prints "that names it" "look up user 'ghost': not in /etc/passwd$"
printf 'FROM scratch\nCOPY --link --chown=nobody f /\n' > app/Dockerfile
fails "and so is any user of an empty image" 1 kiln build app
prints "that names the file" "look up user 'nobody': .*etc/passwd"
printf 'FROM scratch\nCOPY --link --chown=root:root f /\n' > app/Dockerfile
check "but root is one" kiln build app
finish
