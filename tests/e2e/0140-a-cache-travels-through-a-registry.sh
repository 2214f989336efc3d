# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

SAFE=127.0.0.1:$((21000 + $$ % 10000))
python3 -W ignore -c 'import crypt; print("ann:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' > "$WORK/htpasswd"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$WORK/key.pem" -out "$WORK/ca.pem" 2> /dev/null || exit 1
serve_registry "$SAFE" "$WORK/safe" "$WORK/htpasswd" "$WORK/ca.pem" "$WORK/key.pem" || exit 1
printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}, "%s": {"ca": "ca.pem"}}}\n' "$REGISTRY" "$SAFE" > "$KILN_CONFIG"
printf secret | kiln login -u ann --password-stdin "$SAFE" > /dev/null 2>&1 || exit 1
CACHE=type=registry,ref=$SAFE/team/cache:main
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-creds ann:secret \
	"docker://$REGISTRY/library/busybox:latest" "docker://$SAFE/base/box:1" || exit 1

# What the registry was asked for since the last call of `forget`.
forget() {
	: > "$WORK/safe/log"
}
asked() { # METHOD PATTERN: how often
	grep -cE "\"$1 [^\"]*$2" "$WORK/safe/log"
}

mkdir app
echo 'one' > app/a.txt
echo 'two' > app/b.txt
cat > app/Dockerfile <<END
FROM $SAFE/base/box:1 AS build
WORKDIR /src
COPY a.txt .
RUN head -c 300000 /dev/urandom > /noise && cp a.txt /out
FROM $SAFE/base/box:1
RUN head -c 200000 /dev/urandom > /base-noise
COPY --from=build /out /app
COPY b.txt /
RUN cat /app /b.txt > /both
END

forget
check "a first runner builds and exports" on one kiln build -t "$SAFE/team/app:v1" --push --cache-to "$CACHE,mode=max" app
prints "in a step of its own" '^#[0-9]+ exporting cache to registry$'
prints "which prepares" '^#[0-9]+ preparing build cache for export.* done$'
prints "tells of each layer how much went out" '^#[0-9]+ writing layer sha256:[0-9a-f]{64} .*B / .*B.* done$'
prints "of the config" '^#[0-9]+ writing config sha256:[0-9a-f]{64}'
prints "and of the manifest" '^#[0-9]+ writing cache image manifest sha256:[0-9a-f]{64}.* done$'
one=$(skopeo inspect --tls-verify=false --creds ann:secret --format '{{.Digest}}' "docker://$SAFE/team/app:v1")
check "the cache is an image manifest like any other" skopeo inspect --raw --tls-verify=false --creds ann:secret "docker://$SAFE/team/cache:main"
cp "$WORK/out" manifest.json
python3 - <<'END'
import json
m = json.load(open("manifest.json"))
assert m["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
assert m["config"]["mediaType"] == "application/vnd.kiln.cache.config.v1+json"
assert m["layers"][0]["mediaType"] == "application/vnd.kiln.cache.graph.v1+zstd"
ids = [l["annotations"]["containerd.io/uncompressed"] for l in m["layers"][1:]]
assert len(ids) == 7 and ids == sorted(ids), ids
END
ok "with the graph and the layers of all steps, but not of the base" $?

# Another machine: an empty store, another checkout of the same content.
mkdir elsewhere && cp app/* elsewhere && touch -d '2001-01-01' elsewhere/*
forget
check "a second runner imports it" on two kiln build -t "$SAFE/team/other:v1" --push --cache-from "$CACHE" elsewhere
prints "in a step of its own" "^#[0-9]+ importing cache manifest from $SAFE/team/cache:main\$"
[ "$(cached)" -eq 7 ]; ok "and finds all steps" $?
[ "$(asked GET team/cache/blobs/)" -eq 1 ]; ok "having fetched the graph alone" $?
[ "$(asked POST 'team/other/blobs/uploads/\?mount=')" -eq 5 ]; ok "what is pushed is taken over within the registry" $?
[ "$(asked 'PUT' '/blobs/uploads/')" -le 1 ] && [ "$(asked PATCH '')" -eq 0 ]; ok "not a byte of a layer moves" $?
two=$(skopeo inspect --tls-verify=false --creds ann:secret --format '{{.Digest}}' "docker://$SAFE/team/other:v1")
[ -n "$one" ] && [ "$one" = "$two" ]; ok "and the image is the same" $?

forget
check "without the flag it finds them in its own store now" on two kiln build -o type=none elsewhere
[ "$(cached)" -eq 7 ] && [ "$(asked GET '')" -eq 0 ]; ok "and asks nobody" $?

check "an image for the local store has all its bytes" on three kiln build -t mine --cache-from "$CACHE" elsewhere
[ "$(cached)" -eq 7 ]; ok "from the cache" $?
check "and runs" on three kiln run --rm mine cat /both
prints "with the content" '^two$'

forget
check "exporting again" on two kiln build -o type=none --cache-from "$CACHE" --cache-to "$CACHE,mode=max" elsewhere
[ "$(asked PUT '')" -eq 0 ] && [ "$(asked PATCH '')" -eq 0 ]; ok "writes nothing where everything is there" $?
forget
check "to another repository" on two kiln build -o type=none --cache-to "type=registry,ref=$SAFE/team/cache2:main,mode=max" elsewhere
[ "$(asked PUT 'blobs/uploads')" -eq 2 ] && [ "$(asked GET '/blobs/')" -eq 0 ]
ok "takes layers over within the registry, though this machine never had them" $?
check "which serves a third machine" on four kiln build -o type=none --cache-from "$SAFE/team/cache2:main" elsewhere
[ "$(cached)" -eq 7 ]; ok "as well" $?

mkdir open
printf 'FROM busybox\nRUN echo x > /x\n' > open/Dockerfile
cp "$KILN_CONFIG" trusted
printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}}}\n' "$REGISTRY" > "$KILN_CONFIG"
fails "a registry whose certificate nobody vouches for" 1 on six kiln build -o type=none --cache-to "type=registry,ref=$SAFE/team/open:1" open
prints "is not written to" 'certificate does not verify'
check "with registry.insecure=true" on six kiln build -o type=none --cache-to "type=registry,ref=$SAFE/team/open:1,registry.insecure=true" open
check "it is, and read" on seven kiln build -t open --cache-from "type=registry,ref=$SAFE/team/open:1,registry.insecure=true" open
[ "$(cached)" -eq 1 ]; ok "where it was written" $?
check "layers come that way too" on seven kiln run --rm open cat /x
cp trusted "$KILN_CONFIG"

rm "$HOME/.docker/config.json"
check "without credentials a cache is not read" on five kiln build -o type=none --cache-from "$CACHE" open
prints "which is a warning" "WARN: the cache $SAFE/team/cache:main is not used: .*(denied|denies)"
fails "nor can it be written" 1 on five kiln build -o type=none --cache-to "$CACHE" open
prints "which fails the build" "export the cache to $SAFE/team/cache:main: .*(denied|denies)"
check "unless that is to be ignored" on five kiln build -o type=none --cache-to "$CACHE,ignore-error=true" open
prints "with a warning" "WARN: the cache was not exported to $SAFE/team/cache:main"
fails "a build that fails at once" 1 on five kiln build -o type=none --cache-from "$CACHE" --target nothing open
prints "does not wait for its cache" 'target stage "?nothing"? could not be found|nothing'

finish
