# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

manifest() { # DIR [TAG]: the digest of a cache in a layout
	python3 - "$@" <<'END'
import json, sys
tag = sys.argv[2] if len(sys.argv) > 2 else "latest"
for m in json.load(open(sys.argv[1] + "/index.json"))["manifests"]:
    if m["annotations"]["org.opencontainers.image.ref.name"] == tag:
        print(m["digest"])
END
}

mkdir app
echo one > app/a.txt
cat > app/Dockerfile <<'END'
FROM busybox AS build
COPY a.txt /
RUN tr a-z A-Z < /a.txt > /out
FROM busybox
COPY --from=build /out /app
RUN head -c 100000 /dev/urandom > /noise
END

check "a cache is written to a directory" on one kiln build -t app --cache-to "type=local,dest=$WORK/cache,mode=max" app
prints "in a step of its own" '^#[0-9]+ exporting cache to local$'
check "which is an OCI layout" skopeo inspect --raw "oci:$WORK/cache"
check "another store imports it" on two kiln build -t app --cache-from "type=local,src=$WORK/cache" app
[ "$(cached)" -eq 4 ]; ok "and finds all steps" $?
[ "$(on one kiln images -q --no-trunc)" = "$(on two kiln images -q --no-trunc)" ]; ok "of which comes the same image" $?
first=$(manifest cache)
check "by digest, relative to where one stands" on three kiln build -o type=none --cache-from "type=local,src=cache,digest=$first" app
[ "$(cached)" -eq 4 ]; ok "too" $?
check "exporting the same again" on two kiln build -o type=none --cache-to "type=local,dest=$WORK/cache,mode=max" app
[ "$(manifest cache)" = "$first" ]; ok "gives the same bytes, from another store" $?

before=$(ls cache/blobs/sha256 | wc -l)
echo two > app/a.txt
check "the cache of another state" on one kiln build -t app --cache-to "type=local,dest=$WORK/cache,mode=max" app
[ "$(ls cache/blobs/sha256 | wc -l)" -gt "$before" ]; ok "adds to the blobs that are there" $?
check "under another tag" on one kiln build -o type=none --cache-to "type=local,dest=$WORK/cache,tag=side" app
[ -n "$(manifest cache side)" ] && [ -n "$(manifest cache)" ]; ok "it stands beside the first" $?
check "with reset=true" on one kiln build -o type=none --cache-to "type=local,dest=$WORK/cache,mode=max,reset=true" app
[ "$(ls cache/blobs/sha256 | wc -l)" -le "$before" ] && [ -z "$(manifest cache side)" ]; ok "nothing else stays" $?
check "and the cache is whole" on four kiln build -t app --cache-from "type=local,src=$WORK/cache" app
[ "$(cached)" -eq 4 ]; ok "in it" $?
check "compressed as asked for" on one kiln build -o type=none --cache-to "type=local,dest=$WORK/zstd,compression=zstd,compression-level=10" app
grep -q 'tar+zstd' zstd/blobs/sha256/"$(manifest zstd | cut -d: -f2)"; ok "by zstd" $?
check "or not at all" on one kiln build -o type=none --cache-to "type=local,dest=$WORK/plain,compression=uncompressed" app
check "it serves" on five kiln build -t app --cache-from "type=local,src=$WORK/plain" app
[ "$(cached)" -eq 2 ]; ok "as well" $?
check "several at once" on five kiln build -o type=none --cache-from "type=local,src=$WORK/nothing" --cache-from "type=local,src=$WORK/cache" \
	--cache-to "type=local,dest=$WORK/a" --cache-to "type=local,dest=$WORK/b,mode=max" app
prints "tell of the one that is not there" "WARN: the cache $WORK/nothing:latest is not used: there is no directory"
[ -s a/index.json ] && [ -s b/index.json ]; ok "and both are written" $?

# Inline: in the config of the image.
check "an image takes its cache along" on one kiln build -t "$REGISTRY/cached/app:1" --push --cache-to type=inline app
check "for all" on six kiln build -t "$REGISTRY/cached/app:2" --push --cache-from "$REGISTRY/cached/app:1" --build-arg BUILDKIT_INLINE_CACHE=1 app
[ "$(cached)" -eq 2 ]; ok "who name the image" $?
digest() {
	skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/cached/app:$1"
}
[ "$(digest 1)" = "$(digest 2)" ]; ok "and take it along again, with the same bytes" $?
printf 'FROM %s/cached/app:1\nRUN echo on > /top\n' "$REGISTRY" > Dockerfile
check "an image on top" on one kiln build -t "$REGISTRY/cached/app:3" --push -f Dockerfile app
! skopeo inspect --config --raw --tls-verify=false "docker://$REGISTRY/cached/app:3" | grep -q kiln.cache; ok "does not inherit it" $?
check "an image without one" on seven kiln build -o type=none --cache-from "$REGISTRY/cached/app:3" app
prints "is told of" "WARN: the cache $REGISTRY/cached/app:3 is not used: the image has no inline cache"
printf 'FROM scratch AS base\nCOPY a.txt /\nFROM scratch\nARG TARGETARCH\nCOPY --from=base /a.txt /$TARGETARCH\n' > app/Dockerfile
check "an image for two platforms" on one kiln build --platform linux/amd64,linux/arm64 -t "$REGISTRY/cached/two:1" --push --cache-to type=inline app
check "serves both" on eight kiln build --platform linux/amd64,linux/arm64 -o type=none --cache-from "$REGISTRY/cached/two:1" app
grep -q 'amd64.*COPY --from=base' "$WORK/err" && grep -q 'arm64.*COPY --from=base' "$WORK/err" && [ "$(cached)" -ge 2 ]; ok "from one name" $?

fails "an unknown type" 2 kiln build --cache-to type=floppy app
prints "is told with those that there are" 'local'
fails "a missing place" 2 kiln build --cache-to type=local app
prints "too" 'dest is required'

finish
