# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

flip() { # FILE OFFSET: another byte there
	old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	printf "\\$(printf %o $(((old + 1) % 256)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}
step_layer() { # FILE: the newest layer that has it
	ls -d "$KILN_ROOT"/layers/*/fs/"$1" | sort -V | tail -n 1 | sed 's,/fs/.*,,'
}
mkdir app && cd app || exit 1
echo a > a
cat > Dockerfile <<'EOF'
FROM busybox
RUN echo one > /one
RUN echo two > /two
COPY a /a
EOF
built() { # NAME: the build succeeds, and its image is right
	check "$1" kiln build -t app --output type=local,dest=out --output type=image,name=app .
	cp "$WORK/out" "$WORK/out.build" && cp "$WORK/err" "$WORK/err.build"
	test "$(cat out/one out/two out/a | xargs)" = "one two $(cat a)"
	ok "to the right image" $?
	cp "$WORK/out.build" "$WORK/out" && cp "$WORK/err.build" "$WORK/err"
}
built "an image builds"

flip "$(step_layer one)/index" 120
echo b > a
built "with a damaged index of a lower layer it builds"
prints "with a warning" '^WARNING: layer [0-9]+ in the store is damaged'
check "and is whole after it" kiln store verify

flip "$(step_layer two)/fs/two" 0
check "with a damaged file of a layer, read only for an archive, it builds" \
	kiln build --output type=oci,dest=image.tar,compression=zstd .
prints "with a warning" '^WARNING: layer [0-9]+ in the store is damaged'
prints "and the step runs again" '^#[0-9]+ \[.*3/4\] RUN echo two'
built "to the right image"
check "and is whole after it" kiln store verify

flip "$(step_layer a)/index" 4
fails "verify finds a damaged index" 1 kiln store verify
prints "and names the layer" '^damaged: layer [0-9]+: '
built "and it builds again"
check "and is whole after it" kiln store verify

rm -r "$(step_layer two)/fs"
fails "verify finds a layer that is gone" 1 kiln store verify
built "and it builds again"

flip "$(step_layer bin)/fs/bin/busybox" 100000
fails "verify finds a damaged base image" 1 kiln store verify
echo c > a
built "and it is unpacked again"
check "and whole" kiln store verify

for blob in "$KILN_ROOT"/blobs/sha256/*/*; do
	flip "$blob" 10
done
fails "verify finds damaged blobs" 1 kiln store verify
built "and they are pulled and made again"
check "and whole" kiln store verify

check "a truncated blob" find "$KILN_ROOT/blobs/sha256" -type f -size +100k -exec truncate -s 1000 {} +
check "is pulled again for" kiln save -o image.tar app
tar -xOf image.tar manifest.json > "$WORK/out"; ok "a whole archive" $?
for blob in $(find "$KILN_ROOT/blobs/sha256" -type f -size +100k); do
	flip "$blob" 1000
done
check "one with other bytes is pulled again, too" kiln save -o image.tar app
prints "with a warning" '^WARNING: blob sha256:[0-9a-f]{64} in the store is damaged'
kiln tag app "$REGISTRY/damaged-app"
for blob in $(find "$KILN_ROOT/blobs/sha256" -type f -size +100k); do
	flip "$blob" 1000
done
check "and for a push" kiln push "$REGISTRY/damaged-app"

python3 - "$KILN_ROOT/kiln.db" <<'EOF'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE record SET checksum = checksum + 1")
db.commit()
EOF
fails "verify finds changed records" 1 kiln store verify
prints "and names them" '^damaged: cache record [0-9]+: its checksum is wrong$'
built "and the steps run again"

# Removed by hand: a build that needs it makes or fetches it again, others do not look.
removed() { # NAME FILE PART: of the layer that has the file, that part
	layer=$(step_layer "$2")
	rm -r "${layer:?}$3"
	check "with $1 gone, a build that needs nothing of it" kiln build .
	test "$(cached)" = 4; ok "finds everything" $?
	echo "RUN cat /one /two && echo $RANDOM" | cat Dockerfile - > Dockerfile.more
	check "and a step that reads it runs" kiln build -f Dockerfile.more .
	prints "with a warning" '^WARNING: layer [0-9]+ in the store is damaged'
	check "after which the store is whole" kiln store verify
}
removed "the files of a layer" one /fs
removed "a layer" one ""
removed "a base image's files" bin /fs
removed "a base image" bin ""
layer=$(step_layer one)
rm -r "${layer:?}"
fails "with a layer gone, its image does not run" 125 kiln run --rm app true
prints "and what helps is told" "^build(,| or) load .*again\$"
built "which it is"

# A COPY alone is kept as a blob, of which compressed ones are made when it leaves.
advice="^'kiln store verify' forgets what is damaged; then build"
damaged() { # COMPRESSED: a new image named own, and one byte of its layer's blob is another
	head -c 300000 /dev/urandom > big
	printf 'FROM scratch\nCOPY big /\n' | kiln build -q -t own -t "$REGISTRY/own" -f - . > own.id
	[ -z "$1" ] || kiln save -o own.tar own
	[ -z "$1" ] || printf 'FROM own\n' | kiln build -q -f - --output type=oci,dest=own.tar . > own.id
	for blob in $(find "$KILN_ROOT/blobs/sha256" -type f -size +200k -size -400k -newer big); do
		flip "$blob" 1000
	done
}
damaged ''
fails "a damaged blob is not pushed" 1 kiln push "$REGISTRY/own"
prints "its layer is named" '^ERROR: .*layer [0-9]+ is damaged: its blob sha256:[0-9a-f]{64} is no longer'
prints "and what to do" "$advice"
printf 'FROM scratch\nCOPY big /\n' > own.df
check "nor does it get into a cache: it is made again" kiln build -f own.df -t "$REGISTRY/own" --cache-to type=local,dest=cache .
prints "with a warning" '^WARNING: (layer|blob) .* in the store is damaged'
check "after which the store is whole" kiln store verify
check "and pushed" kiln push "$REGISTRY/own"
damaged compressed
fails "a damaged compressed blob is not pushed either" 1 kiln push "$REGISTRY/own"
prints "it is named" '^ERROR: .*layer [0-9]+: its blob sha256:[0-9a-f]{64} in the store is damaged'
prints "and what to do" "$advice"
check "a build makes it again" kiln build -q -f own.df -t "$REGISTRY/own" --output type=oci,dest=own.tar .
kiln store verify > /dev/null 2>&1
check "and it is pushed" kiln push "$REGISTRY/own"
finish
