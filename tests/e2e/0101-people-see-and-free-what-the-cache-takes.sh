# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app && cd app || exit 1
echo a > a
cat > Dockerfile <<'EOF'
FROM busybox
RUN --mount=type=cache,id=things,target=/c echo kept > /c/kept && dd if=/dev/zero of=/one bs=1M count=3
COPY a /a
EOF
check "an image builds" kiln build -t app .

check "du lists" kiln du
prints "its headings" '^ID +TYPE +SIZE +SHARED +CREATED +LAST USED +USES +DESCRIPTION$'
prints "the step with its size, which the image pins" '^[0-9]+\* +regular +3\.[0-9]+MB .*RUN --mount'
prints "the cache mount" '^mount:things +exec\.cachemount '
prints "what can be reclaimed" '^Reclaimable:'
prints "and the total" '^Total:.*[0-9]MB$'
check "du as JSON" kiln du --format json
python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert any("RUN" in r["Description"] and r["Size"] > 3 << 20 and not r["Reclaimable"] for r in rows)
assert any(r["Type"] == "exec.cachemount" for r in rows)' < "$WORK/out"
ok "is one object a line" $?
check "du filters by type" kiln du --filter type=exec.cachemount --format json
test "$(wc -l < "$WORK/out")" = 1; ok "leaving the others out" $?
check "du --verbose" kiln du --verbose
prints "tells the description" '^Description:.*COPY a /a$'
run=$(kiln du --format json | python3 -c 'import json, sys
print([r["ID"] for r in map(json.loads, sys.stdin) if "RUN" in r["Description"]][0])')
check "du --why" kiln du --why "$run"
prints "names the image" '^image docker.io/library/app:latest$'
prints "and the child" '^record [0-9]+: .*COPY a /a$'
fails "of an unknown record is an error" 1 kiln du --why 9999
fails "a bad filter is a usage error" 2 kiln du --filter nonsense

check "mounts ls" kiln mounts ls
prints "shows the step that made it" '^things .*RUN --mount=type=cache,id=things'
check "mounts inspect" kiln mounts inspect things
prints "shows its path" "\"Path\": \"$KILN_ROOT/mounts/"
fails "of an unknown id is an error" 1 kiln mounts inspect nothing
check "mounts reset" kiln mounts reset things
test -z "$(kiln mounts ls -q)"; ok "removes it" $?
fails "once" 1 kiln mounts reset things

check "a dry run of prune" kiln prune --all --dry-run
prints "tells what would go" '^Would delete build cache objects:$'
quietly kiln build -t app .
prints "and removes nothing" 'CACHED'
check "prune of what is old" kiln prune -f --filter until=24h
! grep -q '^Deleted' "$WORK/out"; ok "leaves what is new" $?
check "rmi" kiln rmi app busybox
check "prune to a size" kiln prune -f --keep-storage 3500kb
prints "frees some" '^Total reclaimed space: [0-9.]+[kM]B$'
kiln du > "$WORK/out"
test "$(kiln du --format json | wc -l)" -ge 1; ok "and keeps some" $?
check "prune" kiln prune -f
prints "names what went" '^Deleted build cache objects:$'
test -z "$(ls "$KILN_ROOT/layers")"; ok "and leaves nothing that nothing needs" $?

# A cap that was asked for.
printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}}, "gc": {"max-used-space": "12mb"}}\n' \
	"$REGISTRY" > "$KILN_CONFIG"
for i in 1 2 3 4; do
	printf 'FROM busybox\nRUN dd if=/dev/zero of=/f%s bs=1M count=4\n' $i > Dockerfile
	check "build $i of 4 under a cap" kiln build --output type=local,dest=out$i .
	size=$(du -sm "$KILN_ROOT/layers" | cut -f 1)
	test "$size" -le 12; ok "leaves no more than that" $?
done
printf 'FROM busybox\nRUN dd if=/dev/zero of=/f bs=1M count=30\nRUN true\n' > Dockerfile
fails "what cannot fit is an error" 1 kiln build .
prints "that says so" 'ERROR: .*the build cache would take .*; the limit is .*$'
prints "and what to do" 'max-used-space'
printf 'FROM busybox\nRUN echo fits\n' > Dockerfile
check "what fits builds after it" kiln build .
printf '{"gc": {"max-used-spce": "1GB"}}\n' > "$KILN_CONFIG"
fails "a wrong key is an error" 1 kiln build .
prints "that names the right one" 'did you mean "max-used-space"'
finish
