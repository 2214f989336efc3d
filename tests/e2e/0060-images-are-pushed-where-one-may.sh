# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
AUTH=127.0.0.1:$((21000 + $$ % 10000))
OTHER=127.0.0.1:$((11000 + $$ % 10000))
# Python's crypt makes the bcrypt hashes that htpasswd -B makes.
python3 -W ignore -c 'import crypt; print("ann:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' > "$WORK/htpasswd"
mkdir -p "$WORK/auth" "$WORK/other"
"$fixtures/registry" start "$AUTH" "$WORK/auth" "$WORK/htpasswd" || exit 1
"$fixtures/registry" start "$OTHER" "$WORK/other" || exit 1
stop() {
	"$fixtures/registry" stop "$AUTH" "$WORK/auth"
	"$fixtures/registry" stop "$OTHER" "$WORK/other"
}
trap stop EXIT

mkdir app && cd app || exit 1
printf 'FROM busybox\nRUN echo hello > /hello\nCOPY data /data\nLABEL color=blue\nCMD ["cat", "/hello"]\n' > Dockerfile
head -c 3000000 /dev/urandom > data
check "the image builds" kiln build -t "$OTHER/team/app:v1" .

check "it is pushed" kiln push "$OTHER/team/app:v1"
prints "layers first" '^#1 pushing layers.* done$'
prints "then the manifest, by digest" "^#1 pushing manifest for $OTHER/team/app:v1@sha256:[0-9a-f]{64}.* done$"
prints "and its digest is told" '^v1: digest: sha256:[0-9a-f]{64} size: [0-9]+$'
digest=$(sed 's/.*\(sha256:[0-9a-f]*\).*/\1/' "$WORK/out")
check "skopeo inspects it" skopeo inspect --tls-verify=false "docker://$OTHER/team/app:v1"
prints "under that digest" "\"Digest\": \"$digest\""
prints "with its label" '"color": "blue"'
check "skopeo copies it" skopeo copy -q --src-tls-verify=false "docker://$OTHER/team/app:v1" "oci:$WORK/layout:v1"
check "umoci unpacks it" umoci unpack --image "$WORK/layout:v1" "$WORK/bundle"
test "$(cat "$WORK/bundle/rootfs/hello")" = hello && cmp -s data "$WORK/bundle/rootfs/data"
ok "with the files it should have" $?
check "it is pushed again" kiln push "$OTHER/team/app:v1"
! grep -q '^#1 sha256:' "$WORK/err"; ok "and nothing is sent twice" $?
prints "under the same digest" "$digest"
check "another repository takes it" kiln build -t "$OTHER/team/copy:v1" --push .

prints "with the same digest" "pushing manifest for $OTHER/team/copy:v1@$digest"
check "quiet push" kiln push -q "$OTHER/team/app:v1"
test "$(cat "$WORK/out")" = "$OTHER/team/app:v1"; ok "prints the name only" $?
kiln tag "$OTHER/team/app:v1" "$OTHER/team/app:v2"
check "all tags are pushed" kiln push -a "$OTHER/team/app"
test "$(grep -c '^v[12]: digest: ' "$WORK/out")" = 2; ok "both of them" $?
check "push by digest" kiln build -o "type=registry,name=$OTHER/team/nameless,push-by-digest=true,compression=zstd" --metadata-file "$WORK/meta.json" .
digest=$(python3 -c "import json; print(json.load(open('$WORK/meta.json'))['containerimage.digest'])")
check "is found by its digest" skopeo inspect --raw --tls-verify=false "docker://$OTHER/team/nameless@$digest"
prints "its layers compressed as asked for" 'tar.zstd'
KILN_ROOT=$WORK/fresh check "a fresh store pulls it" kiln pull "$OTHER/team/nameless@$digest"

fails "an image that is not there is not pushed" 1 kiln push "$OTHER/team/nothing"
prints "and named" "no image named $OTHER/team/nothing:latest"
fails "nor one at a registry that is away" 1 kiln build -q -t 127.0.0.1:1/x --push .
prints "which is named" '127\.0\.0\.1:1'

kiln tag "$OTHER/team/app:v1" "$AUTH/app:v1"
fails "a registry that wants credentials gets no image without" 1 kiln push "$AUTH/app:v1"
prints "and one is told what to do" "kiln login $AUTH"
printf wrong > "$WORK/wrong" && printf 'secret\n' > "$WORK/right"
login() {
	kiln login -u ann --password-stdin "$AUTH" < "$1"
}
fails "a wrong password is refused" 1 login "$WORK/wrong"
test ! -e "$HOME/.docker/config.json"; ok "and not kept" $?
check "the right one is accepted" login "$WORK/right"
prints "in docker's words" '^Login Succeeded$'
prints "with a warning where it lies" "unencrypted in $HOME/.docker/config.json"
test "$(stat -c %a "$HOME/.docker/config.json")" = 600; ok "for its owner only" $?
check "then the push works" kiln push "$AUTH/app:v1"
check "skopeo reads the same credentials" skopeo inspect --tls-verify=false --authfile "$HOME/.docker/config.json" "docker://$AUTH/app:v1"
KILN_ROOT=$WORK/fresh check "and the image is pulled with them" kiln pull "$AUTH/app:v1"
check "logout" kiln logout "$AUTH"
prints "says so" "^Removing login credentials for $AUTH$"
fails "and takes effect" 1 kiln push "$AUTH/app:v1"
fails "a password needs a name" 2 kiln login --password-stdin "$AUTH"

mkdir "$WORK/bin"
cat > "$WORK/bin/docker-credential-test" <<EOF
#!/bin/sh
case \$1 in
store) cat > "$WORK/kept" ;;
get) grep -o '{.*}' "$WORK/kept" 2> /dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$WORK/kept" ;;
esac
EOF
chmod +x "$WORK/bin/docker-credential-test"
PATH=$WORK/bin:$PATH
printf '{"credsStore": "test", "other": [1]}' > "$HOME/.docker/config.json"
check "a credential helper keeps the password" login "$WORK/right"
grep -q '"Secret":"secret"' "$WORK/kept" && ! grep -q auth\" "$HOME/.docker/config.json"; ok "instead of the file" $?
grep -q '"other"' "$HOME/.docker/config.json"; ok "whose other content stays" $?
check "and gives it back for a push" kiln push "$AUTH/app:v1"
check "logout erases it there" kiln logout "$AUTH"
test ! -e "$WORK/kept"; ok "too" $?

stop
finish
