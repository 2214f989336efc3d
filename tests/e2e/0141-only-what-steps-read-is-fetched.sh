# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

OPEN=127.0.0.1:$((21000 + $$ % 10000))
serve_registry "$OPEN" "$WORK/open" || exit 1
CACHE=type=registry,ref=$OPEN/team/cache:main
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$REGISTRY/library/busybox:latest" "docker://$OPEN/base/box:1" || exit 1

forget() {
	: > "$WORK/open/log"
}
fetched() { # how many blobs of a repository
	grep -cE "\"GET /v2/$1/blobs/" "$WORK/open/log"
}
ran() { # was the step of this name run?
	number=$(sed -nE "s/^#([0-9]+) \[[^]]*\] $1.*/\1/p" "$WORK/err" | head -n 1)
	[ -n "$number" ] && grep -qE "^#$number DONE" "$WORK/err"
}

# Two stages: one compiles, the other takes the result.
mkdir -p app/src
printf 'int answer = 42;\n' > app/src/a.c
printf 'deps\n' > app/deps
cat > app/Dockerfile <<END
FROM $OPEN/base/box:1 AS build
COPY deps /
RUN head -c 400000 /dev/urandom > /toolchain
RUN --mount=type=bind,source=src,target=/src grep -v '^//' /src/a.c > /out
FROM $OPEN/base/box:1
RUN head -c 500000 /dev/urandom > /packages
COPY --from=build /out /app
RUN head -c 600000 /dev/urandom > /more && cat /app > /copy
END
check "a first runner builds and exports" on one kiln build -t "$OPEN/team/app:1" --push --cache-to "$CACHE,mode=max" app

# A comment: the compiler runs, what it leaves is the same.
checkout() { # NAME: somebody else's working tree of the same content, plus a comment
	mkdir -p "$1"
	cp -r app/. "$1"
	printf '// %s\n' "$1" >> "$1/src/a.c"
	find "$1" -exec touch -d '2010-10-10 10:10' {} +
}
checkout two-copy
forget
check "a second runner, with a comment" on two kiln build -t "$OPEN/team/app:2" --push --cache-from "$CACHE" two-copy
ran "RUN --mount=type=bind"; ok "runs the compiler" $?
[ "$(cached)" -eq 5 ]; ok "and nothing else" $?
[ "$(fetched team/cache)" -eq 3 ]; ok "for which it fetches the graph and the two layers below it" $?
[ "$(fetched base/box)" -le 2 ]; ok "and the base" $?
[ "$(grep -cE '"(PUT|PATCH) /v2/[^ ]*/blobs/uploads' "$WORK/open/log")" -eq 0 ]; ok "and sends no byte of a layer" $?
[ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/team/app:1")" = "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/team/app:2")" ]
ok "the image is the one that the first runner pushed" $?

# Another last step reads the whole image, but not what the other stage is made of.
cp -r app last
sed -i 's/cat .app > .copy/cat \/app \/app > \/copy/' last/Dockerfile
forget
check "another last step" on three kiln build -o type=none --cache-from "$CACHE" last
[ "$(cached)" -eq 5 ]; ok "runs alone" $?
[ "$(fetched team/cache)" -eq 3 ]; ok "on the layers below it, the other stage stays where it is" $?

# mode=min has no other stage.
check "a cache of mode=min" on one kiln build -o type=none --cache-to "type=registry,ref=$OPEN/team/min:1" app
count() {
	skopeo inspect --raw --tls-verify=false "docker://$OPEN/$1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["layers"]))'
}
[ "$(count team/min:1)" -eq 4 ]; ok "has the layers of the image" $?
[ "$(count team/cache:main)" -eq 7 ]; ok "that of mode=max all" $?
check "with it" on four kiln build -o type=none --cache-from "$OPEN/team/min:1" app
[ "$(cached)" -eq 3 ] && ! ran "RUN head -c 400000"; ok "the image's steps are found, and no other is needed" $?
check "a comment" on five kiln build -o type=none --cache-from "$OPEN/team/min:1" two-copy
ran "RUN head -c 400000" && ran "RUN --mount=type=bind"; ok "runs the other stage" $?
[ "$(cached)" -eq 3 ]; ok "and finds by content what is made of it" $?

# A step that runs again is read by the ones above: layers that are fetched are verified.
blob_of() { # BYTES: the layer of about that size
	skopeo inspect --raw --tls-verify=false "docker://$OPEN/team/cache:main" | python3 -c '
import json, sys
print(next(l["digest"][7:] for l in json.load(sys.stdin)["layers"] if abs(l["size"] - int(sys.argv[1])) < 50000))' "$1"
}
file_of() {
	find "$WORK/open/data" -path "*/blobs/sha256/??/$(blob_of "$1")/data"
}
gone=$(file_of 600000) bad=$(file_of 500000)
cp "$gone" "$WORK/gone" && cp "$bad" "$WORK/bad"
rm "$gone"
check "a blob that has gone" on six kiln build -t gone --cache-from "$CACHE" app
prints "is a warning" "WARN(ING)?: the cached layer sha256:[0-9a-f]* is not available, its step runs again: .*not found"
ran "RUN head -c 600000" && ! ran "RUN head -c 500000"; ok "its step runs" $?
check "and the image is whole" on six kiln run --rm gone cat /copy
prints "with the content" '^int answer = 42;$'
cp "$WORK/gone" "$gone"
head -c "$(stat -c %s "$bad")" /dev/zero > "$bad"
check "one that is not what it should be" on seven kiln build -t bad --cache-from "$CACHE" last
prints "is a warning too" 'WARN: the cached layer sha256:[0-9a-f]* is not available, its step runs again: .*wrong bytes'
ran "RUN head -c 500000"; ok "its step runs" $?
cp "$WORK/bad" "$bad"
check "what another store found stays" on three kiln build -o type=none last
[ "$(cached)" -eq 6 ]; ok "found" $?
quietly on four kiln pull "$OPEN/base/box:1"
stop_registry "$OPEN" "$WORK/open"
check "layers that were found and never fetched, without their registry" on four kiln build -o "type=local,dest=image" app
ran "RUN head -c 500000" && ran "RUN head -c 600000"; ok "are made again" $?
[ -s image/copy ]; ok "in the same build" $?

finish
