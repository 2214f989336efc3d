# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What BuildKit's steps find: / is 0755 and root's, whatever an archive, a base image's layers or a step said about it.
make_layers() {
	python3 - << 'END_PYTHON'
import tarfile, io
def entry(tar, name, kind, mode, uid, gid, data=b""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.size = kind, mode, uid, gid, len(data)
    tar.addfile(info, io.BytesIO(data))
with tarfile.open("ctx/dot.tar", "w") as tar:
    entry(tar, "./", tarfile.DIRTYPE, 0o711, 7, 8)
    entry(tar, "./from-archive", tarfile.REGTYPE, 0o644, 7, 8, b"x")
END_PYTHON
}
mkdir -p ctx/sub && echo f > ctx/f && echo g > ctx/sub/g && chmod 0777 ctx && chmod 0775 ctx/sub && make_layers
cat > Dockerfile << 'END_FILE'
FROM busybox AS steps
RUN echo '#!/bin/sh' > /bin/same && echo '[ "$(stat -c "%a %u %g" ${2:-/})" = "${1:-755 0 0}" ] || { stat ${2:-/}; exit 1; }' >> /bin/same && chmod 755 /bin/same
RUN same
WORKDIR /w
RUN same
COPY f /
RUN same
COPY --chown=5:6 --chmod=700 sub /
RUN same
ADD dot.tar /
RUN same
RUN chmod 0700 / && chown 9:9 /
RUN same
COPY --link f /linked
RUN same
RUN --mount=type=bind,target=/m same "755 0 0" /m
RUN --mount=type=bind,source=sub,target=/m same "775 0 0" /m
USER 5
RUN same

FROM scratch AS scratch
ADD dot.tar /
COPY --from=steps /bin /bin
RUN same

# A base image with an entry for / in a layer, as `tar c .` makes one.
FROM dot
RUN same
RUN same
COPY f /
RUN same
RUN --mount=type=bind,from=dot,target=/m same "755 0 0" /m
RUN --mount=type=bind,from=dot,rw,target=/m same "755 0 0" /m
RUN --mount=type=cache,from=dot,target=/m same "755 0 0" /m
END_FILE

make_base() { # an OCI layout with busybox and an entry for / of an odd mode and owner
	kiln build -q --target steps -o type=oci,dest=base.tar,compression=uncompressed -f Dockerfile ctx && mkdir base && tar -xf base.tar -C base && python3 - << 'END_PYTHON'
import hashlib, io, json, tarfile
def read(digest): return open("base/blobs/sha256/" + digest[7:], "rb").read()
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open("base/blobs/sha256/" + digest, "wb").write(data)
    return "sha256:" + digest
index = json.load(open("base/index.json"))
manifest = json.loads(read(index["manifests"][0]["digest"]))
config = json.loads(read(manifest["config"]["digest"]))
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    info = tarfile.TarInfo("./")
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, 0o700, 5, 6
    tar.addfile(info)
digest = put(out.getvalue())
manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(out.getvalue())})
config["rootfs"]["diff_ids"].append(digest)
config["history"].append({"created_by": "by hand"})
config["config"].pop("User", None)
data = json.dumps(config).encode()
manifest["config"].update(digest=put(data), size=len(data))
data = json.dumps(manifest).encode()
index["manifests"][0].update(digest=put(data), size=len(data))
json.dump(index, open("base/index.json", "w"))
END_PYTHON
}

roots() { # WHO COMMAND...
	who=$1
	shift
	check "$who: / is the same after every instruction" "$@" build -q --target steps -f Dockerfile ctx
	check "$who: and after an archive with an entry for /" "$@" build -q --target scratch -f Dockerfile ctx
	check "$who: and on a base with one" "$@" build -q --build-context dot=oci-layout://"$WORK/base" -t dot:v1 -f Dockerfile ctx
	check "$who: and in a container" "$@" run --rm --network none dot:v1 same
	check "$who: and such a layer is whole" "$@" store verify
}
chmod 755 "$WORK" "$HOME"
check "a base with an entry for / is made" make_base
roots root "$KILN"
if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null; then
	mkdir plain && chown $PLAIN_USER plain && chmod -R a+rX ctx base Dockerfile
	roots "with one id" setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups env KILN_ROOT="$WORK/plain" "$KILN"
else
	skip "with one id" "needs root to become a user, and user namespaces"
fi
finish
