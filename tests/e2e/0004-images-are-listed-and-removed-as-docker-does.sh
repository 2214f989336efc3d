# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

build() { # NAME TEXT: an image with a file
	printf 'FROM busybox\nRUN echo %s > /file\n' "$2" | quietly kiln build -t "$1" -
}
listed() { # the names of `kiln images`, in order
	kiln images | awk 'NR > 1 {print $1 ":" $2}' | xargs
}
check "an empty store lists nothing" kiln images
test "$(cat "$WORK/out")" = 'REPOSITORY   TAG       IMAGE ID   CREATED   SIZE'; ok "but docker's headings" $?

echo FROM busybox | quietly kiln build -t same -
test "$(kiln images --format json same | grep -o '"Size":"[^"]*"')" = "$(kiln images --format json busybox | grep -o '"Size":"[^"]*"')"
ok "an image that adds nothing has its base's size" $?
kiln rmi same > /dev/null
build old 1 && sleep 1.1 && build new 2
test "$(listed)" = "new:latest old:latest busybox:latest"; ok "the newest comes first, then the base" $?
kiln images > "$WORK/out"
test "$(cut -c1-10 "$WORK/out" | head -n 1)" = "REPOSITORY"; ok "columns line up" $?
prints "an age is in words" '^new +latest +[0-9a-f]{12} +([0-9]+ seconds? ago|Less than a second ago) +[0-9.]+MB$'
prints "years too" '^busybox +latest +[0-9a-f]{12} +[0-9]+ (months|years) ago +[0-9.]+MB$'
check "-q lists ids" kiln images -q
test "$(grep -Ec '^[0-9a-f]{12}$' "$WORK/out")" = 3; ok "of twelve digits" $?
check "--no-trunc lists whole ids" kiln images --no-trunc -q
test "$(grep -Ec '^sha256:[0-9a-f]{64}$' "$WORK/out")" = 3; ok "with their algorithm" $?
check "a name selects" kiln images old
test "$(wc -l < "$WORK/out")" = 2; ok "its images" $?
check "an unknown one" kiln images unknown
test "$(wc -l < "$WORK/out")" = 1; ok "selects none" $?

full=$(kiln images --no-trunc -q new) short=$(kiln images -q new)
for name in two three other/name; do
	kiln tag new $name
done
test "$(kiln images -q new)" = "$(kiln images -q other/name)"; ok "names of one image show one id" $?
fails "an id with several names is not removed" 1 kiln rmi "$short"
prints "and told how it would be" 'remove it by name, or use --force'
check "two of them go" kiln rmi two three
test "$(cat "$WORK/out")" = "Untagged: two:latest
Untagged: three:latest"; ok "and only they" $?
check "the third goes" kiln rmi new
test "$(cat "$WORK/out")" = "Untagged: new:latest"; ok "and only it" $?
check "the image still runs" kiln run other/name cat /file
test "$(cat "$WORK/out")" = 2; ok "as it was" $?
check "an id with one name" kiln rmi "${full%????}"
test "$(cat "$WORK/out")" = "Untagged: other/name:latest
Deleted: $full"; ok "takes the name and the image" $?
fails "then it is unknown" 1 kiln rmi "$full"
prints "and named" "^ERROR: no such image: $full$"

kiln tag old a && kiln tag old b
check "force removes an id with all its names" kiln rmi -f "$(kiln images -q old)"
test "$(grep -c '^Untagged: ' "$WORK/out") $(grep -c '^Deleted: sha256:' "$WORK/out")" = "3 1"
ok "each of which is told" $?
build again 3
fails "of several, the unknown fails" 1 kiln rmi nosuch again:no again
prints "and is named" '^ERROR: no such image: nosuch$'
prints "so is an unknown tag" '^ERROR: no such image: again:no$'
prints "the others go" '^Untagged: again:latest$'

build moved 4 && first=$(kiln images -q moved) && build moved 5
test "$(kiln images -q moved)" != "$first"; ok "a new build takes the name" $?
kiln images | grep -Eq "^<none> +<none> +$first "; ok "and leaves the old image without one" $?
check "which goes by id" kiln rmi "$first"
test "$(cat "$WORK/out")" = "$(grep -E '^Deleted: sha256:[0-9a-f]{64}$' "$WORK/out")"; ok "with one line" $?
fails "a tag needs an image" 1 kiln tag nosuch x
prints "that exists" '^ERROR: no such image: nosuch$'
kiln tag moved busybox
test "$(kiln images -q busybox)" = "$(kiln images -q moved)"; ok "tag moves a name that is taken" $?

kiln rmi -f $(kiln images -q | sort -u) > /dev/null
check "everything goes" kiln prune -a -f
test -z "$(listed)"; ok "no image is listed" $?
find "$KILN_ROOT/layers" "$KILN_ROOT/blobs" "$KILN_ROOT/tmp" -mindepth 1 ! -type d > "$WORK/out"
find "$KILN_ROOT/layers" -mindepth 1 >> "$WORK/out"
test ! -s "$WORK/out"; ok "no file of a layer or a blob is left" $?
check "the store is whole" kiln store verify
kiln images > /dev/full 2> "$WORK/err"
test $? = 1; ok "a list that cannot be written is an error" $?
prints "that says so" 'standard output: No space left'
finish
