# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Bases of two platforms that nothing has to run on.
for arch in amd64 arm64; do
	mkdir -p base && printf '%s\n' $arch > base/arch
	printf 'FROM scratch\nCOPY arch /arch\n' > base/Dockerfile
	quietly kiln build --platform linux/$arch -o "type=registry,name=$REGISTRY/mine/$arch" base
	ok "a base for $arch is pushed" $?
done
check "an index over both" kiln imagetools create -t "$REGISTRY/mine/base" "$REGISTRY/mine/amd64" "$REGISTRY/mine/arm64"
check "is shown" kiln imagetools inspect "$REGISTRY/mine/base"
prints "with its type" '^MediaType: application/vnd.oci.image.index.v1\+json$'
prints "its platforms" 'Platform: +linux/arm64$'
check "in a form of one's own" kiln imagetools inspect --format '{{.Name}} {{.Manifest.Digest}} {{range .Manifest.Manifests}}<{{.Platform.Architecture}}>{{end}}' "$REGISTRY/mine/base"
prints "as asked for" "^$REGISTRY/mine/base:latest sha256:[0-9a-f]{64} <amd64><arm64>\$"
check "with configs" kiln imagetools inspect --format '{{json .Image}}' "$REGISTRY/mine/base"
prints "of each" '"linux/arm64":\{.*"architecture":"arm64"'
check "one platform of it" kiln imagetools create --platform linux/arm64 --annotation a=b --annotation 'manifest-descriptor[linux/arm64]:c=d' \
	--metadata-file made.json -t "$REGISTRY/mine/part" "$REGISTRY/mine/base"
kiln imagetools inspect --raw "$REGISTRY/mine/part" > raw.json
python3 - <<'END'; ok "is put under a name, with annotations" $?
import hashlib, json
raw = open("raw.json", "rb").read()
index, made = json.loads(raw), json.load(open("made.json"))
assert [m["platform"]["architecture"] for m in index["manifests"]] == ["arm64"], index
assert index["annotations"] == {"a": "b"} and index["manifests"][0]["annotations"] == {"c": "d"}, index
assert made["containerimage.digest"] == "sha256:" + hashlib.sha256(raw).hexdigest()
assert made["containerimage.descriptor"]["size"] == len(raw) and made["image.name"].endswith("/mine/part")
json.dump(index["manifests"][0], open("descriptor.json", "w"))
END
check "a descriptor is a source" kiln imagetools create -f descriptor.json -t "$REGISTRY/mine/part:one"
fails "a platform that no source has" 1 kiln imagetools create --platform linux/s390x -t "$REGISTRY/mine/part" "$REGISTRY/mine/base"
prints "is told" 'no source has an image'
KILN_ROOT=$WORK/tags check "all tags are pulled" kiln pull -a -q --platform linux/arm64 "$REGISTRY/mine/part"
test "$(sort "$WORK/out" | xargs)" = "$REGISTRY/mine/part:latest $REGISTRY/mine/part:one"; ok "and named" $?
fails "one tag is not all" 2 kiln pull -a part:one
prints "which is told" "a tag cannot be used with --all-tags"
check "raw too" kiln buildx imagetools inspect --raw "$REGISTRY/mine/base"
prints "as it is" '"manifests": \['

mkdir app
printf 'FROM %s/mine/base\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH/\nLABEL arch=$TARGETARCH\n' "$REGISTRY" > app/Dockerfile
check "one build makes both" kiln build --platform linux/amd64,linux/arm64 -t "$REGISTRY/mine/app:v1" app
prints "and an index" 'exporting manifest list sha256:[0-9a-f]{64}'
list=$(sed -n 's/.*manifest list \(sha256:[0-9a-f]*\).*/\1/p' "$WORK/err")
check "which is pushed from the store" kiln push "$REGISTRY/mine/app:v1"
prints "as it was made" "^v1: digest: $list size: [0-9]+$"
for arch in amd64 arm64; do
	check "skopeo finds $arch in it" skopeo inspect --tls-verify=false --override-arch $arch "docker://$REGISTRY/mine/app:v1"
	prints "with its own arguments" "\"arch\": \"$arch\""
	check "and copies it" skopeo copy -q --src-tls-verify=false --override-arch $arch "docker://$REGISTRY/mine/app:v1" "oci:$WORK/$arch:v1"
	check "umoci unpacks it" umoci unpack --image "$WORK/$arch:v1" "$WORK/$arch.bundle"
	test "$(cat "$WORK/$arch.bundle/rootfs/arch")" = $arch && test -e "$WORK/$arch.bundle/rootfs/$arch/Dockerfile"
	ok "over its own base" $?
done
check "build --push gives the same" kiln build --platform linux/amd64,linux/arm64 -t "$REGISTRY/mine/again:v1" --push app
prints "index" "pushing manifest for $REGISTRY/mine/again:v1@$list"
check "an OCI archive holds both" kiln build --platform linux/amd64,linux/arm64 -o type=oci,dest=both.tar app
tar xOf both.tar index.json | grep -q "$list"; ok "under the same index" $?
check "the store is whole" kiln store verify

# A program of another machine: the first bytes decide.
machine=267
[ "$(uname -m)" != aarch64 ] || machine=76
printf "\\177ELF\\002\\001\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\$machine\\000\\001\\000\\000\\000" > app/alien
chmod +x app/alien
foreign=arm64
[ "$(uname -m)" != aarch64 ] || foreign=amd64
printf 'FROM scratch\nCOPY alien /alien\nRUN ["/alien"]\n' > app/Dockerfile
if ls /proc/sys/fs/binfmt_misc/qemu-* > /dev/null 2>&1; then
	skip "what foreign programs need is told" "an emulator is registered here"
elif [ -e /usr/lib/binfmt.d ] && ! unshare -m mount -t tmpfs none /usr/lib/binfmt.d 2> /dev/null; then
	skip "what foreign programs need is told" "an emulator may be installed here"
else
	# One that is installed is out of sight.
	fails "a foreign program does not run" 1 unshare -m sh -c \
		'[ ! -e /usr/lib/binfmt.d ] || mount -t tmpfs none /usr/lib/binfmt.d; exec "$0" "$@"' \
		"$KILN" build --platform linux/$foreign -o type=oci,dest=x.tar app
	prints "and what it needs is told" 'qemu-user-static'
fi

fails "an annotation of an index that there is not" 1 kiln build --annotation index:a=b -t one - <<< 'FROM busybox'
prints "is no silent loss" 'index annotations not supported for single platform export'
finish
