# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
cd app || exit 1
echo 'the page' > page.txt
mkdir -p tree/deep
echo x > tree/deep/file && ln -s deep/file tree/link && chmod 4750 tree/deep/file
cat > Dockerfile <<'END'
FROM python:3.8-slim-buster
WORKDIR /app
COPY page.txt page.txt
RUN mkdir -p /data/a /data/b/c && echo one > /data/a/one && ln /data/a/one /data/hard && chown 1000:50 /data/a/one && \
	chmod 1777 /data/a && rm -rf /usr/share/doc && mkfifo /data/fifo && rm /etc/hostname; true
COPY --chown=7:8 tree /tree
RUN rm /tree/link && mkdir /tree/link && echo new > /tree/link/file && rm -rf /data/b && mkdir /data/b
CMD ["python3", "-c", "print(open('page.txt').read(), end='')"]
END
check "an image with all kinds of changes builds" kiln build -t python-docker .

# Name, type, mode, owner, size, link target and sum of all files below the current directory.
cat > list.py <<'END'
import hashlib, os, stat
skip = {"proc", "sys", "dev", "etc/resolv.conf", "etc/hosts", "etc/hostname", "list.py"}
for folder, folders, files in os.walk("."):
    folders[:] = [f for f in folders if os.path.normpath(os.path.join(folder, f)) not in skip]
    for name in folders + files:
        path = os.path.normpath(os.path.join(folder, name))
        if path in skip:
            continue
        st = os.lstat(path)
        what = ""
        if stat.S_ISREG(st.st_mode):
            what = hashlib.sha256(open(path, "rb").read()).hexdigest()
        elif stat.S_ISLNK(st.st_mode):
            what = os.readlink(path)
        print("%s %o %d:%d %d %d %s" % (path, st.st_mode, st.st_uid, st.st_gid, st.st_nlink if
              stat.S_ISREG(st.st_mode) else 0, int(st.st_mtime), what))
END
check "its tree is listed from inside" kiln run --rm -w / -v ./list.py:/list.py:ro python-docker \
	python3 -B list.py
sort "$WORK/out" > "$WORK/inside"
test "$(wc -l < "$WORK/inside")" -gt 1000; ok "whole" $?

check "save writes it" kiln save python-docker -o saved.tar
kiln save python-docker > again.tar
cmp -s saved.tar again.tar; ok "the same bytes each time, to stdout too" $?
if command -v skopeo > /dev/null && command -v umoci > /dev/null && [ "$(id -u)" = 0 ]; then
	check "skopeo takes it" skopeo copy --insecure-policy -q docker-archive:saved.tar oci:out:x
	check "umoci unpacks it" umoci unpack --image out:x bundle
	(cd bundle/rootfs && python3 -B "$WORK/app/list.py") | sort > "$WORK/outside"
	diff "$WORK/inside" "$WORK/outside" > "$WORK/out"
	ok "and the tree is the one that the container saw" $?
	skopeo inspect --config --raw oci:out:x > "$WORK/config" 2> /dev/null
	python3 - "$WORK/config" <<'END'
import json, sys
c = json.load(open(sys.argv[1]))["config"]
assert c["WorkingDir"] == "/app" and c["Cmd"][0] == "python3", c
END
	ok "with the config that was written" $?
else
	skip "the image is the same elsewhere" "needs skopeo, umoci and root"
fi

export KILN_ROOT=$WORK/other
check "a new store loads it" kiln load -i saved.tar
prints "and says what" '^Loaded image: python-docker:latest$'
check "it runs there" kiln run --rm python-docker
test "$(cat "$WORK/out")" = "the page"; ok "as it did" $?
check "its tree is listed" kiln run --rm -w / -v ./list.py:/list.py:ro python-docker python3 -B list.py
sort "$WORK/out" | diff "$WORK/inside" - > "$WORK/err"; ok "and is the same" $?
test "$(kiln images -q --no-trunc)" = "$(KILN_ROOT=$WORK/store kiln images -q --no-trunc python-docker)"
ok "under the same id" $?
check "it loads from standard input" kiln load < saved.tar
head -c 2000000 saved.tar > torn.tar
export KILN_ROOT=$WORK/third
fails "a torn archive is refused" 1 kiln load -i torn.tar
test -z "$(kiln images -q)"; ok "and leaves no image" $?
check "the store is whole" kiln store verify
export KILN_ROOT=$WORK/store
finish
