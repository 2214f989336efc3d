# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
cat > app/Dockerfile <<'END'
FROM busybox AS tools
RUN mkdir -p /a/b && echo one > /a/b/one && ln /a/b/one /a/hard && echo gone > /gone && chmod 1770 /a
FROM tools
RUN rm /gone && echo two > /a/b/two && rm -rf /bin/vi && mkdir -p /opaque && echo x > /opaque/x
RUN rm -rf /a/b && mkdir -m 700 /a/b && echo three > /a/b/three && rm -rf /opaque && mkdir -p /opaque/y
RUN rm -rf /home && echo file > /home && mkfifo /fifo && ln -s a/b/three /link
CMD ["cat", "/a/b/three"]
END
tree() { # the files of the last build's rootfs, with all that a tar says of them
	quietly kiln build --progress=plain "$@" -o type=tar,dest=tree.tar app &&
		tar tvf tree.tar --full-time > tree.txt
}
check "the image builds" kiln build -t plain app
tree
ok "and its tree is taken" $?
cp tree.txt want.txt

check "squashed" kiln build --squash -t squashed app
prints "as a step of its own" '^#[0-9]+ squashing layers$'
prints "without running a step again" '^#[0-9]+ CACHED$'
layers() {
	kiln inspect -f '{{range .RootFS.Layers}}{{.}} {{end}}' "$1"
}
test "$(layers squashed | wc -w)" = 2; ok "leaves one layer on the base image" $?
test "$(layers squashed | cut -d' ' -f1)" = "$(layers plain | cut -d' ' -f1)"; ok "which is the same" $?
tree --squash && diff want.txt tree.txt > out; ok "and the tree is the same, with times and links" $?
check "its history" kiln history --no-trunc squashed
prints "keeps the steps" '^<missing> .* RUN /bin/sh -c rm /gone .* 0B '
prints "and names what was done, with the size" '^sha256:[0-9a-f]+ .* squash 4 layers +[0-9]+B +kiln.squash.v0'
check "the unsquashed image is found as it was" kiln build -t again app
test "$(kiln images -q again)" = "$(kiln images -q plain)"; ok "the same" $?

check "from a stage on" kiln build --squash=tools -t upper app
test "$(layers upper | wc -w)" = 3; ok "leaves the stage's layers and one" $?
test "$(layers upper | cut -d' ' -f1,2)" = "$(layers plain | cut -d' ' -f1,2)"; ok "which are the same" $?
tree --squash=tools && diff want.txt tree.txt > out; ok "and the tree too" $?
check "the base image with it" kiln build --squash=scratch -t all app
test "$(layers all | wc -w)" = 1; ok "leaves a single layer" $?
tree --squash=scratch && diff want.txt tree.txt > out; ok "and the same tree" $?
check "it runs" kiln run --rm all
prints "as it should" '^three$'

if [ "$(id -u)" = 0 ]; then
	check "an archive" kiln build --squash=tools -o type=oci,dest=squashed.tar,name=x app
	check "is taken by skopeo" skopeo copy -q oci-archive:squashed.tar oci:layout:x
	check "and unpacked by umoci" umoci unpack --image layout:x bundle
	test ! -e bundle/rootfs/gone && test ! -e bundle/rootfs/bin/vi && test ! -e bundle/rootfs/opaque/x &&
		test -f bundle/rootfs/home && test "$(ls bundle/rootfs/a/b)" = three
	ok "without what was removed" $?
else
	skip "others unpack it" "needs root"
fi
check "several platforms" kiln build --squash --platform linux/amd64,linux/arm64 -o type=oci,dest=both.tar - <<'END'
FROM scratch
COPY <<EOF /one
EOF
COPY <<EOF /two
EOF
END
mkdir both && tar xf both.tar -C both
python3 - <<'END'; ok "are squashed each" $?
import glob, json
docs = [json.load(open(f)) for f in glob.glob("both/blobs/sha256/*") if open(f, "rb").read(1) == b"{"]
assert [len(d["layers"]) for d in docs if "layers" in d] == [1, 1]
END

fails "a stage that is none" 1 kiln build --squash=toolz app
prints "is named, with one that is" 'squash stage "toolz" could not be found \(did you mean tools\?\)'
printf 'FROM scratch AS other\nCOPY Dockerfile /\n' >> app/Dockerfile
fails "a stage that the target does not stand on" 1 kiln build --squash=tools app
prints "is no place to begin" 'not one that the target is built FROM'

finish
