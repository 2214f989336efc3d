# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# ran: the numbers of the steps that ran in the last build, or nothing. Names are "[2/5] RUN ...".
ran() {
	awk 'match($0, /^#[0-9]+ \[[^]]*[0-9]+\/[0-9]+\]/) {n = substr($0, 1, RLENGTH)
			sub(/\/[0-9]+\]$/, "", n); sub(/.*[^0-9]/, "", n); step[$1] = n}
		$2 == "CACHED" {delete step[$1]} END {for (i in step) print step[i]}' "$WORK/err" |
		sort -n | uniq | xargs
}
build() { # build NAME EXPECTED [OPTIONS]: exactly these steps run
	name=$1 want=$2
	shift 2
	check "$name: it builds" kiln build --progress=plain --tag test "$@" app
	[ "$(ran)" = "$want" ]
	ok "$name: runs '$want'" $?
}
id() {
	kiln images --no-trunc --quiet test
}

mkdir -p app/src
cat > app/cc <<'X'
#!/bin/sh
grep -v '^//' "$1" > "$2"
X
printf '// one\nint main;\n' > app/src/a.c
cat > app/Dockerfile <<'X'
FROM busybox
COPY --chmod=755 cc /bin/cc
RUN --mount=type=bind,source=src,target=/src cc /src/a.c /app
RUN rev /app > /app.stripped
RUN cat /app.stripped > /last
X
build "the first build" "1 2 3 4 5"
first=$(id)
build "a second one" ""
sleep 1.1 # a layer made now has other times than one made before
printf '// two\nint main;\n' > app/src/a.c
build "a changed comment reruns the compiler only" "3"
[ "$(id)" = "$first" ]; ok "and the image is the same, byte for byte" $?
build "and the build after that nothing" ""
printf 'int main();\n' > app/src/a.c
build "changed code reruns what follows" "3 4 5"
[ "$(id)" != "$first" ]; ok "and gives another image" $?
check "which holds the new code" kiln run --rm test cat /last
prints "reversed" '^;\(\)niam tni$|^;\)\(niam tni$'
printf '// two\nint main;\n' > app/src/a.c
build "going back finds all of it" ""
[ "$(id)" = "$first" ]; ok "and the first image" $?
build "without the cache all runs" "2 3 4 5" --no-cache
[ "$(id)" = "$first" ]; ok "and the layers are the same ones" $?

# A COPY of changed sources that stay in the rootfs.
cat > app/Dockerfile <<'X'
FROM busybox
COPY src /src
RUN grep -v '^//' /src/a.c > /app
RUN rev /app > /app.stripped
X
build "sources that stay" "2 3 4"
printf '// three\nint main;\n' > app/src/a.c
build "sources that stay and change rerun all that follows" "2 3 4"
check "the image has the new ones" kiln run --rm test cat /src/a.c
prints "with the comment" '^// three$'

# A COPY whose file a later RUN deletes.
cat > app/Dockerfile <<'X'
FROM busybox
COPY src /src
RUN grep -v '^//' /src/a.c > /app && rm -r /src
RUN rev /app > /app.stripped
X
build "sources that are deleted" "3 4"
before=$(id)
printf '// four\nint main;\n' > app/src/a.c
build "sources that are deleted again and change" "2 3"
[ "$(id)" != "$before" ]; ok "the image holds the new layers" $?
check "save it" kiln save -o "$WORK/image.tar" test
mkdir "$WORK/image" && tar -xf "$WORK/image.tar" -C "$WORK/image"
find "$WORK/image" -type f -exec sh -c 'zcat -f "$1" | grep -aq "// four"' - {} \; -print | grep -q .
ok "the copied file is in one of them" $?
check "what is built on them is right" kiln run --rm test cat /app.stripped
prints "and of the same sources" '^;niam tni$'

# An equal layer under a different parent.
cat > app/Dockerfile <<'X'
FROM busybox
ARG base=one
RUN echo $base > /base
RUN echo same > /same
RUN cat /base /same > /both
X
build "one parent" "2 3 4"
build "another parent under an equal layer reruns what follows" "2 3 4" --build-arg base=two
check "what follows saw the new parent" kiln run --rm test cat /both
prints "and not the old one" '^two$'
build "the first parent is found again" "" --build-arg base=one
check "what followed it as well" kiln run --rm test cat /both
prints "of the first" '^one$'

# A step that ran again, for another target, must not leave an older result above it believed.
cat > app/Dockerfile <<'X'
FROM busybox AS a
RUN cat /proc/sys/kernel/random/uuid > /id
FROM a AS b
RUN cp /id /b
FROM a AS c
RUN cp /id /c
FROM b
COPY --from=c /c /c
X
check "two stages on one" kiln build -t test app
check "they agree" kiln run --rm test cmp /b /c
check "one is built on a new run" kiln build --no-cache-filter=a --target b -t other app
check "both are built again" kiln build -t test app
check "they still agree" kiln run --rm test cmp /b /c
finish
