# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

if ! serve_s3 cache; then
	ok "an S3 server starts" 1
	finish
	exit 1
fi
s3="type=s3,bucket=cache,endpoint_url=$S3_URL"
fresh() { # a store that has nothing, and the base image
	KILN_ROOT=$WORK/store-$1
}
no_secret() {
	! grep -qF -e "$AWS_SECRET_ACCESS_KEY" -e hunter2 "$WORK/out" "$WORK/err"
	ok "and shows no secret" $?
}

mkdir app && cd app || exit 1
# More than one part of 16 MiB, and not compressible.
cat > Dockerfile <<'EOF'
FROM busybox AS big
RUN dd if=/dev/urandom of=/big bs=1M count=40 2> /dev/null && echo made > /small
FROM busybox
COPY --from=big /small /small
RUN echo one > /one && date +%s%N > /stamp
EOF

check "a build exports its cache" kiln build -t app --progress plain --cache-to "$s3,prefix=team/,name=app,mode=max" .
no_secret
s3_keys cache > "$WORK/out"
prints "the manifest has its name" '^team/manifests/app$'
prints "blobs have their digests" '^team/blobs/sha256:[0-9a-f]{64}$'
s3_keys cache | while read -r key; do
	s3_curl "cache/$key" -I | tr -d '\r' | sed -n "s|^Etag: \"[0-9a-f]*-\([0-9]*\)\"|$key \1|p"
done > "$WORK/out"
prints "a large one went up in parts" '^team/blobs/sha256:[0-9a-f]+ [3-9]$'
stamp=$(kiln run app cat /stamp)

fresh two
check "a fresh store" kiln build -t app --progress plain --cache-from "$s3,prefix=team/,name=app" .
test "$(cached)" = 3; ok "finds every step" $?
test -n "$stamp" && test "$(kiln run app cat /stamp)" = "$stamp"; ok "and has what the first one made" $?

check "what is there already" kiln build --progress plain --cache-to "$s3,prefix=team/,name=app,mode=max" \
	--cache-from "$s3,prefix=team/,name=app" .
! grep 'writing layer .*MB' "$WORK/err"; ok "is not sent again" $?

modified() { # when the large blob was written
	s3_curl "cache/$(s3_curl "cache?list-type=2&prefix=team%2Fblobs%2F" | grep -o '<Contents>.*' |
		sed 's|<Contents>|\n|g' | sed -n 's|.*<Key>\(.*\)</Key>.*<Size>4[0-9]\{7\}</Size>.*|\1|p')" -I |
		sed -n 's/^Last-Modified: //p'
}
first=$(modified)
sleep 1.1
quietly kiln build --cache-to "$s3,prefix=team/,name=app,mode=max" .
test -n "$first" && test "$first" = "$(modified)"; ok "a blob of today keeps its date" $?
quietly kiln build --cache-to "$s3,prefix=team/,name=app,mode=max,touch_refresh=0s" .
test "$first" != "$(modified)"; ok "an old one gets a new date" $?

check "several names" kiln build --cache-to "$s3,prefix=names/,name=a;b" .
test "$(s3_keys cache names/manifests/ | tr '\n' ' ')" = "names/manifests/a names/manifests/b "
ok "stand for one cache" $?
fresh names
check "the first that is there is read" kiln build --progress plain --cache-from "$s3,prefix=names/,name=absent;b" .
test "$(cached)" -ge 2; ok "and found" $?

host="type=s3,bucket=cache,endpoint_url=http://localhost:${S3_URL##*:},use_path_style=false,prefix=host/"
check "the bucket may stand in the host's name" kiln build --cache-to "$host" .
test -n "$(s3_keys cache host/manifests/buildkit)"; ok "and does" $?

# Credentials of a profile.
mkdir -p "$HOME/.aws"
printf '[ci]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" \
	> "$HOME/.aws/credentials"
fresh profile
check "a profile gives the credentials" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_PROFILE=ci "$KILN" build \
	--progress plain --cache-from "$s3,prefix=team/,name=app" .
test "$(cached)" = 3; ok "that let it in" $?

# --- what goes wrong: an import is a warning, an export an error unless it may fail ---

wrong="$s3,prefix=team/,name=app,access_key_id=$AWS_ACCESS_KEY_ID,secret_access_key=hunter2"
fresh wrong
check "a wrong secret does not stop a build that imports" kiln build --progress plain --cache-from "$wrong" .
prints "which says so" "WARN.*the cache s3://cache/team/manifests/app is not used: .*SignatureDoesNotMatch.*secret.*is wrong"
no_secret
fails "it fails one that exports" 1 kiln build --progress plain --cache-to "$wrong" .
prints "which says so" "ERROR.*denies access to bucket 'cache'"
prints "and what to do" "check the access key '$AWS_ACCESS_KEY_ID' and its secret"
no_secret
check "unless it may fail" kiln build --progress plain --cache-to "$wrong,ignore-error=true" .
prints "which is a warning" "WARN.*the cache was not exported to s3://cache/team/manifests/app"
no_secret
fails "a bad attribute is told" 1 kiln build --cache-to "$wrong,upload_parallelism=many" .
no_secret
fails "without credentials nothing is exported" 1 env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$KILN" build \
	--cache-to "$s3,name=app" .
prints "and what is missing is said" "set AWS_ACCESS_KEY_ID"
fresh anonymous
check "they are not needed to ask" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$KILN" build --progress plain \
	--cache-from "$s3,prefix=team/,name=app" .
prints "though this server wants them" "WARN.*asked anonymously"

missing="type=s3,bucket=absent,endpoint_url=$S3_URL"
fresh missing
check "a missing bucket does not stop an import" kiln build --progress plain --cache-from "$missing" .
prints "which says so" "WARN.*s3://absent/manifests/buildkit is not used"
fails "it fails an export" 1 kiln build --cache-to "$missing" .
prints "which says so" "there is no bucket 'absent' at $S3_URL"

down="type=s3,bucket=cache,endpoint_url=http://127.0.0.1:1"
fresh down
check "nor does a server that is down" kiln build --progress plain --cache-from "$down" .
prints "which says so" "WARN.*s3://cache/manifests/buildkit is not used: .*Connection refused"
fails "it fails an export" 1 kiln build --cache-to "$down" .
prints "which says so" "127.0.0.1:1.*Connection refused"
check "unless that may fail" kiln build --cache-to "$down,ignore-error=true" .

# --- bytes that are not what they should be ---

s3_keys cache team/blobs/ | while read -r key; do
	s3_curl "cache/$key" -o "$WORK/blob"
	printf 'x' | dd of="$WORK/blob" bs=1 seek=40 conv=notrunc 2> /dev/null
	s3_curl "cache/$key" -T "$WORK/blob"
done
fresh damaged
check "a damaged cache does not stop a build" kiln build -t app --progress plain --cache-from "$s3,prefix=team/,name=app" .
prints "which says so" "WARN"
test "$(kiln run app cat /one)" = one; ok "and makes the image itself" $?
printf '{"schemaVersion": 2' > "$WORK/blob"
s3_curl cache/team/manifests/app -T "$WORK/blob"
fresh torn
check "neither does a torn manifest" kiln build --progress plain --cache-from "$s3,prefix=team/,name=app" .
prints "which says so" "WARN.*s3://cache/team/manifests/app is not used"

# --- looking and removing ---

KILN_ROOT=$WORK/store
check "cache ls" kiln cache ls "$s3,prefix=names/,name=a"
prints "lists the steps" '^[0-9a-f]{12} +regular +[0-9.]+k?B .*RUN echo one'
prints "and the total" '^Total:.*B$'
check "cache ls --format json" kiln cache ls --format json "$s3,prefix=names/,name=a"
python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert any("RUN echo one" in r["Description"] and r["Keys"] and r["Layers"][0]["Digest"] for r in rows)' < "$WORK/out"
ok "is an object a line" $?
check "cache inspect" kiln cache inspect "$s3,prefix=names/,name=a"
python3 -c 'import json, sys
doc = json.load(sys.stdin)
assert doc["Kind"] == "cache" and doc["Size"] > 0 and doc["Contents"] and doc["Layers"]' < "$WORK/out"
ok "is one object" $?
blobs=$(s3_keys cache names/blobs/ | wc -l)
check "cache rm" kiln cache rm "$s3,prefix=names/,name=a"
test "$(s3_keys cache names/ | wc -l)" = $((blobs + 1)); ok "leaves the blobs that another name has" $?
check "cache rm of that" kiln cache rm "$s3,prefix=names/,name=b"
test -z "$(s3_keys cache names/)"; ok "leaves nothing" $?
fails "once" 1 kiln cache rm "$s3,prefix=names/,name=b"
fails "a torn one stays" 1 kiln cache rm "$s3,prefix=team/,name=app"
check "unless it is forced" kiln cache rm --force "$s3,prefix=team/,name=app"
test -z "$(s3_keys cache team/manifests/)"; ok "to go" $?
fails "what is not there is told" 1 kiln cache ls "$s3,name=absent"
fails "a bad REF is a usage error" 2 kiln cache ls type=nonsense

KILN_ROOT=$WORK/store
finish
