# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
printf 'FROM busybox\nRUN env | sort > /e\n' > app/Dockerfile
mkdir -p "$HOME/.docker"
printf '{"proxies": {"default": {"httpProxy": "http://127.0.0.1:3128", "noProxy": "*.test.example"}}}' > "$HOME/.docker/config.json"

check "a build with proxies in docker's configuration" kiln build -o files app
grep -qx 'http_proxy=http://127.0.0.1:3128' files/e && grep -qx 'HTTP_PROXY=http://127.0.0.1:3128' files/e && grep -qx 'NO_PROXY=\*.test.example' files/e
ok "gives them to its steps" $?
check "an image of it" kiln build -t proxied app
check "is shown" kiln inspect proxied
! grep -qi proxy= "$WORK/out"; ok "without them" $?
check "one that the user names" kiln build --no-cache --build-arg http_proxy=http://127.0.0.1:1 -o files app
grep -qx 'HTTP_PROXY=http://127.0.0.1:1' files/e && grep -qx 'no_proxy=\*.test.example' files/e
ok "counts, and the others stay" $?
printf '{' > "$HOME/.docker/config.json"
fails "a file that is no JSON" 2 kiln build app
prints "is named" '.docker/config.json'
rm "$HOME/.docker/config.json"

for option in '--provenance false' '--sbom false' '--provenance=false' '--sbom=false'; do
	check "attestations are turned off by $option" kiln build -q -o type=cacheonly $option app
done
fails "a word that is none" 2 kiln build --provenance max app
prints "is told" 'invalid value max'
fails "SBOMs cannot be turned on" 2 kiln build --sbom true app
prints "which is said" 'attestations of type sbom are not supported'

check "several platforms are asked for, of which there is one" kiln build --build-arg BUILDKIT_MULTI_PLATFORM=1 -o split app
test -f "$(echo split/linux_*/e)"; ok "so that it has a folder of its own" $?
check "in an archive" kiln build --build-arg BUILDKIT_MULTI_PLATFORM=true -o type=oci,dest=a.tar app
tar -xOf a.tar index.json | grep -q 'image.index.v1+json.*image.index.v1+json'; ok "it has an index" $?
fails "a value that is none" 2 kiln build --build-arg BUILDKIT_MULTI_PLATFORM=maybe app
prints "is named" 'BUILDKIT_MULTI_PLATFORM'

check "an output that is not stored" kiln build -o type=image,name=gone,store=false,dangling-name-prefix=x app
prints "says what had no effect" 'dangling-name-prefix has no effect'
check "is in no list" kiln images -q gone
! [ -s "$WORK/out" ]; ok "of images" $?

finish
