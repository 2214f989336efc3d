# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A layer that came from a cache is damaged, as a blob or as files; verify finds it, and the next build has it again
# for whatever follows.
mkdir app
printf 'FROM busybox\nRUN mkdir /d && echo 1 > /d/f && head -c 100000 /dev/urandom > /r\nRUN rm -r /d && mkdir /d && echo 2 > /d/g\n' > app/Dockerfile
check "a cache is written" on writer kiln build -o type=none --cache-to "type=local,dest=$WORK/cache,mode=max" app
build() {
	kiln build -t "$REGISTRY/mended-$$:1" --cache-from "type=local,src=$WORK/cache" app
}
spoil() { # blob or dir
	case $1 in
	blob) find "$KILN_ROOT/blobs" -type f -size +50k -size -200k -exec sh -c 'printf x | dd of="$1" bs=1 seek=5000 conv=notrunc 2> /dev/null' - {} \; ;;
	dir) find "$KILN_ROOT/layers" -name r -exec sh -c 'echo x >> "$1"' - {} \; ;;
	esac
}
for damage in blob dir; do
	for use in "run --rm $REGISTRY/mended-$$:1 cat /d/g" "save -o $WORK/saved.tar $REGISTRY/mended-$$:1" "push $REGISTRY/mended-$$:1"; do
		KILN_ROOT=$WORK/store-$damage-${use%% *}
		check "an image comes from it" build
		quietly kiln run --rm "$REGISTRY/mended-$$:1" true
		spoil $damage
		fails "a damaged $damage is found" 1 kiln store verify
		check "the next build mends it" build
		check "for ${use%% *}" kiln $use
	done
done
finish
