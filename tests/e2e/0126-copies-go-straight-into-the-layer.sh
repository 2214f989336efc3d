# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

dirs() { # how many layers have files
	ls -d "$KILN_ROOT"/layers/*/fs 2> /dev/null | wc -l
}
blobs() {
	find "$KILN_ROOT/blobs" -type f | wc -l
}
diff_ids() { # ARCHIVE
	tar -xOf "$1" index.json | python3 -c '
import json, subprocess, sys
def blob(archive, digest):
	return json.loads(subprocess.run(["tar", "-xOf", archive, "blobs/" + digest.replace(":", "/")],
		check=True, stdout=subprocess.PIPE).stdout)
index = json.load(sys.stdin)
manifest = blob(sys.argv[1], index["manifests"][0]["digest"])
print(*blob(sys.argv[1], manifest["config"]["digest"])["rootfs"]["diff_ids"])' "$1"
}
flip() { # FILE: another byte in its middle
	python3 - "$1" <<'END'
import os, sys
with open(sys.argv[1], "r+b") as f:
	f.seek(os.path.getsize(sys.argv[1]) // 2)
	old = f.read(1)
	f.seek(-1, 1)
	f.write(bytes([old[0] ^ 1]))
END
}

mkdir -p app/sub/deep && cd app || exit 1
head -c 3000000 /dev/urandom > big
seq 1000 > sub/text
cp sub/text sub/deep/text && chmod 4711 sub/deep/text
ln sub/text linked && ln -s sub/text symlink
touch -h -d @1000000000 big sub/text sub/deep/text symlink sub/deep sub
printf 'FROM scratch\nCOPY . /app\nCOPY sub /app/sub\nADD --chown=1:2 big /more/\n' > Dockerfile
printf 'Dockerfile\n*.tar\nout*\n' > .dockerignore

# --- a step that is only exported
check "a build of copies into an archive" kiln build -o type=oci,dest=../first.tar .
test "$(dirs)" = 0; ok "unpacks nothing" $?
check "is whole" kiln store verify
before=$(blobs)
check "a second archive" kiln build -o type=oci,dest=../again.tar .
cmp ../first.tar ../again.tar; ok "is the same" $?
test "$(blobs)" = "$before"; ok "and made of the same blobs" $?
for form in uncompressed zstd; do
	check "as $form" kiln build -o type=oci,compression=$form,dest=../$form.tar .
	test "$(diff_ids ../$form.tar)" = "$(diff_ids ../first.tar)"
	ok "it holds the same layers" $?
done
before=$(blobs)
check "once more as zstd" kiln build -o type=oci,compression=zstd,dest=../zstd2.tar .
test "$(blobs)" = "$before"; ok "nothing is compressed twice" $?
check "gzip in a hurry" kiln build -o type=oci,compression-level=fast,dest=../fast.tar .
test "$(diff_ids ../fast.tar)" = "$(diff_ids ../first.tar)"; ok "holds the same layers" $?
before=$(blobs)
check "once more" kiln build -o type=oci,compression-level=fast,dest=../fast2.tar .
cmp ../fast.tar ../fast2.tar; ok "gives the same archive" $?
test "$(blobs)" = "$before"; ok "of the same blobs" $?
check "an archive after it" kiln build -o type=oci,dest=../third.tar .
cmp ../first.tar ../third.tar; ok "is as before" $?
fails "zstd has no such level" 2 kiln build -o type=oci,compression=zstd,compression-level=fast,dest=../no.tar .
prints "and says so" "zstd has no compression level 'fast'"
fails "nor may a reproducible build use it" 2 kiln build --reproducible -o type=oci,compression-level=fast,dest=../no.tar .
prints "since its bytes depend on the processor" 'compression-level=fast .*processor'
test "$(dirs)" = 0; ok "and still nothing is unpacked" $?

# --- the same layers where files are needed
(
	export KILN_ROOT=$WORK/other
	kiln build -o out-local . &&
		kiln build -o type=oci,rewrite-timestamp=true,dest=../other-clamped.tar \
			--build-arg SOURCE_DATE_EPOCH=999999999 .
) > "$WORK/out" 2> "$WORK/err"
ok "another store has them as files first" $?
test "$(ls -d "$WORK"/other/layers/*/fs | wc -l)" = 3; ok "all of them" $?
check "clamped times" kiln build -o type=oci,rewrite-timestamp=true,dest=../clamped.tar \
	--build-arg SOURCE_DATE_EPOCH=999999999 .
test "$(diff_ids ../other-clamped.tar)" = "$(diff_ids ../clamped.tar)"
ok "give the same layers from both" $?

# --- what needs files gets them, once
check "an output of files" kiln build -o out .
diff -r out/app/sub sub && cmp out/more/big big; ok "has them" $?
test "$(stat -c '%a %h' out/app/sub/deep/text)" = "4711 1"; ok "as they are" $?
test "$(dirs)" = 3; ok "and the layers are unpacked" $?
ls -di "$KILN_ROOT"/layers/*/fs > "$WORK/inodes"
printf 'FROM scratch AS files\nCOPY . /app\nFROM busybox\nCOPY --from=files /app/sub /sub\nRUN cat /sub/text > /text\n' > Dockerfile
check "a step that reads such a layer" kiln build -t app .
while read -r inode dir; do test "$(stat -c %i "$dir")" = "$inode" || echo "$dir"; done < "$WORK/inodes" > "$WORK/out"
test ! -s "$WORK/out"; ok "unpacks nothing anew" $?
echo 'app:x:7:8::/:/bin/sh' > sub/passwd
printf 'FROM busybox\nCOPY sub/passwd /etc/\nCOPY --chown=app:8 big /big\nCMD ["stat", "-c", "%%u:%%g", "/big"]\n' > Dockerfile
check "an owner is looked up in a file that was copied" kiln build -t copies .
check "the image runs" kiln run --rm copies
test "$(cat "$WORK/out")" = 7:8; ok "with its files" $?
check "is whole" kiln store verify

# --- the same layer twice in one image
printf 'FROM scratch\nCOPY --link big /big\nCOPY --link sub /sub\nCOPY --link big /big\n' > Dockerfile
check "a copy that comes twice" kiln build -o type=oci,dest=../twice.tar .
test "$(diff_ids ../twice.tar | wc -w)" = 3; ok "is there twice" $?

# --- archives and files written by steps
tar -cf ../archive.tar sub linked big
mv ../archive.tar archive.tgz
printf 'FROM scratch\nADD archive.tgz /\nWORKDIR /place\nCOPY <<END /place/doc\nhello\nEND\n' > Dockerfile
before=$(dirs)
check "an archive, a folder and a document" kiln build -o type=oci,dest=../mixed.tar .
test "$(dirs)" = $((before + 1)); ok "go straight into their layers, but for the document itself" $?
check "and out as files" kiln build -o out3 .
cmp out3/sub/text sub/text && test "$(cat out3/place/doc)" = hello; ok "with their bytes" $?
rm -r out3 archive.tgz

# --- damage
printf 'FROM scratch\nCOPY big /damaged\n' > Dockerfile
find "$KILN_ROOT/blobs" -type f | sort > "$WORK/before"
check "a layer" kiln build -o type=oci,dest=../whole.tar .
find "$KILN_ROOT/blobs" -type f -size +1M | sort | comm -13 "$WORK/before" - > "$WORK/new"
flip "$(head -n 1 "$WORK/new")"
check "whose blob is damaged" kiln build -o type=oci,dest=../mended.tar .
prints "is found" '^WARNING: blob sha256:[0-9a-f]+ in the store is damaged'
test "$(diff_ids ../whole.tar)" = "$(diff_ids ../mended.tar)"; ok "and made again, the same" $?
flip "$(head -n 1 "$WORK/new")"
check "found too where its files are wanted" kiln build -o out4 .
cmp out4/damaged big; ok "which are right" $?
check "the store is whole after it" kiln store verify

# Of an image in the store, the blob may be all there is of a layer.
printf 'FROM scratch\nCOPY big /lost\n' > Dockerfile
printf 'FROM lost\nCOPY --from=busybox / /\nRUN cmp /lost /lost\n' > Dockerfile.on
find "$KILN_ROOT/blobs" -type f | sort > "$WORK/before"
check "an image" kiln build -t lost .
find "$KILN_ROOT/blobs" -type f -size +1M | sort | comm -13 "$WORK/before" - > "$WORK/new"
rm "$(head -n 1 "$WORK/new")"
check "whose layer's blob was removed" kiln build -t lost .
prints "is found to lack it" '^WARNING: blob sha256:[0-9a-f]+ in the store is damaged'
check "and has it again" kiln save lost -o ../lost.tar
rm "$(head -n 1 "$WORK/new")"
fails "without it, a build on top" 1 kiln build -f Dockerfile.on .
prints "says what helps" '^build or load the image again$'
check "which is so" kiln build -t lost .
flip "$(head -n 1 "$WORK/new")"
fails "with another byte in it, too, a build on top" 1 kiln build -f Dockerfile.on .
prints "says what helps" '^build, load or pull the image again$'
check "which makes the layer anew" kiln build -t lost .
check "as it was" kiln build -f Dockerfile.on .
check "the store is whole after that" kiln store verify
flip "$(head -n 1 "$WORK/new")"
check "an image with a damaged layer is saved" kiln save lost -o ../lost.tar
prints "since the layer has its files, of which it is made again" '^WARNING: blob sha256:[0-9a-f]+ in the store is damaged'
check "after which the store is whole" kiln store verify

# --- killed in the middle
printf 'FROM scratch\nCOPY . /all\n' > Dockerfile
head -c 150000000 /dev/urandom > huge
for wait in 0.1 0.3 0.6; do
	echo $wait >> sub/text
	kiln build -o type=oci,dest=../killed.tar . > "$WORK/out" 2> "$WORK/err" &
	build=$!
	sleep $wait
	pkill -KILL -P $build 2> /dev/null
	kill -KILL $build 2> /dev/null
	wait $build 2> /dev/null
	check "after a kill the store is whole" kiln store verify
done
sleep 0.2
check "and the build completes" kiln build -o type=oci,dest=../killed.tar .
kiln rmi -f $(kiln images -q | sort -u) > /dev/null
check "then everything goes" kiln prune -a -f
find "$KILN_ROOT/layers" "$KILN_ROOT/blobs" "$KILN_ROOT/tmp" -mindepth 1 ! -path "$KILN_ROOT/blobs/*" > "$WORK/out"
find "$KILN_ROOT/blobs" -type f >> "$WORK/out"
test ! -s "$WORK/out"; ok "and nothing is left without a row" $?
finish
