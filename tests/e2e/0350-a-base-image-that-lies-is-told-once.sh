# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A base image whose config says of a layer what it is not: the build says that, whatever it was to make, and not what
# it lacks since.
mkdir layer ctx
echo x > layer/x && echo base > ctx/f
python3 - <<'END'
import hashlib, io, json, os, tarfile
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open("base/blobs/sha256/" + digest, "wb").write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
os.makedirs("base/blobs/sha256")
oci = "application/vnd.oci.image."
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as t:
    t.add("layer/x", "x")
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
manifest = json.dumps({"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
                       "config": dict(put(config), mediaType=oci + "config.v1+json"),
                       "layers": [dict(put(tar.getvalue()), mediaType=oci + "layer.v1.tar")]}).encode()
index = {"schemaVersion": 2, "manifests": [dict(put(manifest), mediaType=oci + "manifest.v1+json",
         annotations={"org.opencontainers.image.ref.name": "1"})]}
json.dump(index, open("base/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open("base/oci-layout", "w"))
END

# lies WHAT DOCKERFILE OPTION...
lies() {
	what=$1
	printf 'FROM base\n%s\n' "$2" > ctx/Dockerfile
	shift 2
	fails "a base image that lies fails a build $what" 1 kiln build --progress=plain --build-context "base=oci-layout://$WORK/base:1" "$@" ctx
	grep '^ERROR' err > error
	grep -q "is not what the image's config promises: expected diff ID sha256:0000" error && ! grep -q "has neither" err
	ok "which says so" $?
}
lies "that copies" "COPY f /"
lies "that runs a step" "RUN true"
lies "of files" "COPY f /" -o type=local,dest=files
lies "of an archive" "COPY f /" -o type=oci,dest=image.tar
lies "that adds no file, when it is sent" "LABEL a=b" -o type=oci,dest=image.tar
lies "that adds no file, when files are wanted" "LABEL a=b" -o type=local,dest=files
check "the store is whole" kiln store verify
finish
