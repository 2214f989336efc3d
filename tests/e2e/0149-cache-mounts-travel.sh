# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fresh() { # a store that has nothing
	KILN_ROOT=$WORK/store-$1
}
cache=$WORK/cache
from="type=local,src=$cache" to="type=local,dest=$cache,mode=max"
mkdir app && cd app || exit 1

# What package managers keep: many small files under their digests, hard links, symlinks, owners, modes.
cat > Dockerfile <<'EOF'
FROM busybox
ARG AGAIN=0
RUN --mount=type=cache,id=tools,target=/c --mount=type=cache,id=other,target=/o <<'END'
[ ! -e /c/index ] || exit 0
for i in $(seq 500); do
	name=$(echo $i | sha256sum | cut -c 1-64)
	dir=/c/$(echo $name | cut -c 1-2)
	mkdir -p $dir
	echo $name $i > $dir/$name
done
ln $dir/$name /c/hard
ln -s ${dir#/c/}/$name /c/soft
chown 1000:1001 /c/hard
chmod 640 /c/hard
echo other > /o/file
echo made > /c/index
echo the tools were made
END
RUN --mount=type=cache,id=tools,target=/c find /c -exec stat -c '%n %F %a %u %g %s %h %Y %N' {} + | sort > /tree.$AGAIN && \
	find /c -type f -exec sha256sum {} + | sort >> /tree.$AGAIN && sha256sum < /tree.$AGAIN
EOF
tree() {
	sed -nE 's/^#[0-9]+ [0-9.]+ ([0-9a-f]{64})  -$/\1/p' "$WORK/err"
}

check "a build exports its cache mounts" kiln build --progress plain --cache-to "$to,mounts=tools,other" .
first=$(tree)
test -n "$first"; ok "with a step that looked at them" $?
check "which cache ls shows" kiln cache ls "$from"
prints "by their ids" '^[0-9a-f]{12} +exec\.cachemount +[0-9.]+k?B +tools$'
prints "all of them" ' other$'
check "and cache inspect" kiln cache inspect "$from"
python3 -c 'import json, sys
mounts = {r["ID"]: r for r in json.load(sys.stdin)["Contents"] if r["Type"] == "exec.cachemount"}
assert sorted(mounts) == ["other", "tools"] and mounts["tools"]["Size"] > 1000' < "$WORK/out"
ok "as JSON" $?
blobs=$(ls "$cache/blobs/sha256" | wc -l)

fresh two
check "a fresh store where the steps run again" kiln build --progress plain --build-arg AGAIN=1 --cache-from "$from" .
! grep -q 'the tools were made' "$WORK/err"; ok "gets the mounts" $?
test "$(tree)" = "$first"; ok "the same to modes, owners, links and times" $?
check "mounts ls" kiln mounts ls
prints "knows who wanted it" '^tools .*RUN --mount=type=cache,id=tools'
check "what did not change" kiln build --cache-to "$to,mounts=tools,other" --cache-from "$from" .
kiln cache inspect "$from" | grep -A1 -B3 '"tools"' > "$WORK/out"
test "$(ls "$cache/blobs/sha256" | wc -l)" -le $((blobs + 4)); ok "is not written again" $?

fresh three
check "a build that finds every step" kiln build --progress plain --cache-from "$from" --cache-to "$to,mounts=tools,other" .
test "$(kiln mounts ls -q | wc -l)" = 0; ok "fetches no mount" $?
kiln cache ls "$from" > "$WORK/out"
prints "and leaves them in the cache" ' tools$'

fresh four
check "only the mounts that were asked for come" kiln build --progress plain --build-arg AGAIN=2 \
	--cache-from "$from,mounts=other" .
prints "and the others do not" 'the tools were made'
echo mine > "$(kiln mounts inspect tools | sed -n 's/.*"Path": "\(.*\)",*/\1/p')/mine"
check "what is here" kiln build --progress plain --build-arg AGAIN=3 --cache-from "$from" .
test -e "$(kiln mounts inspect tools | sed -n 's/.*"Path": "\(.*\)",*/\1/p')/mine"; ok "is never overwritten" $?
check "unless it is reset first" kiln build --progress plain --build-arg AGAIN=4 --reset-mounts=tools --cache-from "$from" .
test "$(tree)" = "$first"; ok "then it is as the cache has it" $?
check "a mount that is nowhere" kiln build --progress plain --cache-to "$to,mounts=tools,absent" --cache-from "$from" .
prints "is a warning" "WARN.*there is no cache mount 'absent' to export"

# Whenever it is killed: the mount is empty or whole.
rest=0
for i in 0 1 2 3 4 5 6 7; do
	KILN_ROOT=$WORK/store-killed
	"$KILN" build --build-arg AGAIN=5$i --cache-from "$from" . > /dev/null 2>&1 &
	pid=$!
	sleep "0.$((i * 2 + 1))"
	kill -KILL $pid 2> /dev/null
	wait $pid 2> /dev/null
	for dir in "$KILN_ROOT"/mounts/*/; do
		[ -e "$dir/index" ] && [ "$(find "$dir" -type f | wc -l)" -ge 502 ] && continue
		[ ! -e "$dir/index" ] || rest=1
	done
	kiln mounts reset tools > /dev/null 2>&1
done
test $rest = 0; ok "a build that is killed leaves no half of a mount" $?
check "and the next one" kiln build --progress plain --build-arg AGAIN=6 --cache-from "$from" .
test "$(tree)" = "$first"; ok "has the whole" $?
kiln prune -f > /dev/null

# A damaged one.
for blob in "$cache"/blobs/sha256/*; do
	[ "$(stat -c %s "$blob")" -lt 2000 ] || printf 'x' | dd of="$blob" bs=1 seek=1000 conv=notrunc 2> /dev/null
done
fresh damaged
check "a damaged mount does not stop a build" kiln build --progress plain --build-arg AGAIN=7 --cache-from "$from" .
prints "which says so" "WARN.*cache mount 'tools' was not restored from"
prints "and starts with an empty one" 'the tools were made'

# Through a registry, and gone from there.
registry=$REGISTRY/mounts-$$/app:cache
KILN_ROOT=$WORK/store
check "mounts go to a registry" kiln build --cache-to "type=registry,ref=$registry,mode=max,mounts=tools" .
fresh registry
check "and come from there" kiln build --progress plain --build-arg AGAIN=8 --cache-from "$registry" .
test "$(tree)" = "$first"; ok "the same" $?
check "cache ls of a reference" kiln cache ls "$registry"
prints "shows them" ' tools$'
check "cache rm" kiln cache rm "$registry"
fails "removes it" 1 kiln cache ls "$registry"
prints "which says so" 'not found'
quietly kiln push -q "$REGISTRY/library/busybox" 2> /dev/null
fails "an image is no cache" 1 kiln cache rm "$REGISTRY/library/busybox"
prints "that would be removed" 'this is not a cache that kiln wrote'
check "a directory's goes too" kiln cache rm "$from"
test -z "$(ls "$cache/blobs/sha256")"; ok "with its blobs" $?

KILN_ROOT=$WORK/store
finish
