# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A path of more than 4095 bytes is made directory by directory, and everything that kiln does with a tree must do it
# so: here 30 directories with names of 200 bytes, made by a step, in a context, and in an archive.
mkdir app
python3 - app <<'END'
import io, os, sys, tarfile
part, depth = "d" * 200, 30
os.chdir(sys.argv[1])
with tarfile.open("deep.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo("/".join([part] * depth) + "/leaf")
    info.size = 5
    tar.addfile(info, io.BytesIO(b"leaf\n"))
    link = tarfile.TarInfo(info.name + "2")
    link.type, link.linkname = tarfile.LNKTYPE, info.name
    tar.addfile(link)
os.makedirs("context/made")
os.chdir("context/made")
for i in range(depth):
    os.mkdir(part)
    os.chdir(part)
open("leaf", "w").write("leaf\n")
END
cat > app/Dockerfile <<'END'
FROM busybox AS step
RUN n=$(printf %200s | tr ' ' d); for i in $(seq 30); do mkdir $n && cd -P $n; done; echo leaf > leaf; ln -s leaf link
RUN n=$(printf %200s | tr ' ' d); for i in $(seq 30); do cd -P $n; done; cat leaf link; ln leaf leaf2; mkfifo fifo
FROM busybox AS all
COPY --from=step /dddd* /step/
COPY context/made /context/
COPY context/ma?e/d* /wildcard/
ADD deep.tar /archive/
RUN n=$(printf %200s | tr ' ' d); for d in step context wildcard archive; do ( cd /$d; [ $d != wildcard ] || cd -P d*; \
    while cd -P $n 2> /dev/null; do :; done; cat leaf ) || exit 1; done
FROM all AS bound
RUN --mount=type=bind,source=context,target=/c n=$(printf %200s | tr ' ' d); cd /c/made; \
    while cd -P $n 2> /dev/null; do :; done; cat leaf
FROM scratch AS files
COPY --from=all /step /step
COPY --from=all /archive /archive
END
deep() { # how many files called leaf* there are
	python3 -c 'import os, sys; print(sum(f.startswith("leaf") for _, _, f, _ in os.fwalk(sys.argv[1]) for f in f))' "$1"
}
check "a step makes and reads them, COPY and ADD take them" kiln build -t deep --target all app
check "a bind mount of the context has them" kiln build -q -o type=none --target bound app
check "they are saved" kiln save -o deep.tar deep
check "and loaded elsewhere" on elsewhere kiln load -i deep.tar
check "and unpacked there" on elsewhere kiln run --rm deep sh -c \
	'n=$(printf %200s | tr " " d); cd /step; while cd -P $n 2> /dev/null; do :; done; grep leaf leaf leaf2'
check "files are exported" kiln build -q --target files -o type=local,dest=files app
[ "$(deep files)" -eq 4 ]
ok "all of them" $?
check "and replaced and removed" kiln build -q --target files -o type=local,dest=files,mode=delete app
check "as a tar too" kiln build -q --target files -o type=tar,dest=files.tar app
[ "$(python3 -c 'import tarfile; print(sum("/leaf" in n for n in tarfile.open("files.tar").getnames()))')" -eq 4 ]
ok "all of them" $?
check "nothing is damaged" kiln store verify
check "and nothing is left of it" sh -c '"$KILN" image prune -a -f && "$KILN" prune -a -f && [ -z "$(ls "$KILN_ROOT/layers" "$KILN_ROOT/tmp" | grep -v :)" ]'
printf 'FROM busybox\nRUN n=$(printf %%200s | tr " " d); for i in $(seq 170); do mkdir $n && cd -P $n; done\n' > app/Dockerfile
fails "there is a limit" 1 kiln build -q -o type=none app
prints "which is told" "bytes and 16[0-9] components: 32767 and 2048 are allowed"
at_end 'rm -rf app files'
finish
