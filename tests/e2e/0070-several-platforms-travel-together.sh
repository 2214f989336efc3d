# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

host=$(uname -m | sed "s/x86_64/amd64/; s/aarch64/arm64/")
other=arm64
[ "$host" != arm64 ] || other=amd64
cat > Dockerfile <<'END'
FROM scratch
ARG TARGETARCH
COPY <<EOF /f
$TARGETARCH
EOF
LABEL arch=$TARGETARCH
END
check "an image for several platforms builds" kiln build --platform linux/amd64,linux/arm64,linux/arm/v7 -t app:v1 .
check "it is listed as a tree" kiln images --tree
prints "with its platforms" '^├─ linux/amd64 +[0-9a-f]{12} '
prints "to the last" '^└─ linux/arm/v7 +[0-9a-f]{12} '
check "inspect takes a platform" kiln inspect --platform linux/$other -f '{{.Architecture}} {{index .Config.Labels "arch"}}' app:v1
prints "and shows that one" "^$other $other$"
check "history does" kiln history --platform linux/$other app:v1
prints "as well" "LABEL arch=$other"
fails "a platform that there is not" 1 kiln inspect --platform linux/s390x app:v1
prints "is told, with those that there are" 'linux/amd64, linux/arm64, linux/arm/v7'

check "save writes all" kiln save -o all.tar app:v1
for arch in amd64 arm64; do
	check "skopeo finds $arch in it" skopeo inspect --override-arch $arch oci-archive:all.tar
	prints "with its label" "\"arch\": \"$arch\""
done
check "or one" kiln save --platform linux/$other -o one.tar app:v1
check "which docker would load" skopeo inspect docker-archive:one.tar
prints "as it is" "\"Architecture\": \"$other\""
fails "or none" 1 kiln save --platform linux/s390x -o none.tar app:v1
test ! -e none.tar; ok "and leaves no file" $?

check "one is pushed" sh -c '"$KILN" tag app:v1 "$1" && "$KILN" push --platform linux/'$other' "$1"' sh "$REGISTRY/several/app:one"
skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/several/app:one" > "$WORK/out"
prints "without an index" 'image.manifest.v1\+json'
kiln tag app:v1 "$REGISTRY/several/app:all"
check "or all" kiln push "$REGISTRY/several/app:all"
index=$(sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' "$WORK/out")

export KILN_ROOT=$WORK/second
check "another store loads all" kiln load -i all.tar
prints "under one name" '^Loaded image: app:v1$'
test "$(kiln images --tree | grep -c linux/)" = 3; ok "with every platform" $?
kiln tag app:v1 "$REGISTRY/several/app:again"
check "and pushes it" kiln push "$REGISTRY/several/app:again"
prints "as it was" "digest: $index"
kiln save -o again.tar app:v1 "$REGISTRY/several/app:again"
test "$(tar tf again.tar | grep -c sha256/.)" = "$(tar tf all.tar | grep -c sha256/.)"; ok "and saves it again" $?
fails "one of them cannot be removed" 1 kiln rmi --platform linux/$other app:v1
prints "and why is told" 'its index needs all of them'
check "an image for one" kiln build -t single .
fails "is not removed as one for another" 1 kiln rmi --platform linux/$other single
prints "as it is not there" "linux/$host"
check "but as what it is" kiln rmi --platform linux/$host single
check "rmi" kiln rmi app:v1 "$REGISTRY/several/app:again"
check "and prune" kiln prune -a -f
test "$(find "$KILN_ROOT/blobs" -type f | wc -l)" = 0; ok "remove all of it" $?
check "the store is whole" kiln store verify

export KILN_ROOT=$WORK/third
check "another platform of the archive loads" kiln load --platform linux/$other -i all.tar
test "$(kiln inspect -f '{{.Architecture}}' app:v1)" = $other; ok "where it is asked for" $?
check "a part of it loads" kiln load -i one.tar

# What buildx writes beside an image: an index with an attestation of it.
export KILN_ROOT=$WORK/fourth
quietly kiln build -o type=oci,tar=false,dest=layout,name=attested .
python3 - <<'END'
import hashlib, json
def put(kind, document):
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    open("layout/blobs/sha256/" + digest, "wb").write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}.v1+json", "digest": "sha256:" + digest, "size": len(data)}
top = json.load(open("layout/index.json"))
image = top["manifests"][0]
config = put("config", {"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
attestation = put("manifest", {"schemaVersion": 2, "config": config, "layers": []})
attestation["platform"] = {"architecture": "unknown", "os": "unknown"}
attestation["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
index = put("index", {"schemaVersion": 2, "manifests": [image, attestation]})
top["manifests"] = [{**index, "annotations": image["annotations"]}]
json.dump(top, open("layout/index.json", "w"))
END
check "an image with an attestation loads" kiln load -i layout
check "it is listed as a tree, too" kiln images --tree
prints "with its platform" "^└─ linux/$host +[0-9a-f]{12} "
test "$(wc -l < "$WORK/out")" = 3; ok "and nothing else" $?
fails "it is not removed for another platform" 1 kiln rmi --platform linux/$other attested
check "but for its own, its attestation with it" kiln rmi --platform linux/$host attested
quietly kiln prune -a -f
test "$(find "$KILN_ROOT/blobs" -type f | wc -l)" = 0; ok "and nothing is left of either" $?
export KILN_ROOT=$WORK/store
finish
