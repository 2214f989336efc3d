# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
SAFE=127.0.0.1:$((21000 + $$ % 10000))
OPEN=127.0.0.1:$((11000 + $$ % 10000))
DEAD=127.0.0.1:1
mkdir -p "$WORK/safe" "$WORK/open" "$WORK/bin" "$WORK/app"
# Python's crypt makes the bcrypt hashes that htpasswd -B makes.
python3 -W ignore -c 'import crypt; print("ann:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' > "$WORK/htpasswd"
new_ca() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$WORK/$1.key" -out "$WORK/$1.pem"
}
quietly new_ca ca && quietly new_ca stranger || exit 1
printf 'subjectAltName=IP:127.0.0.1\n' > "$WORK/san"
openssl req -newkey rsa:2048 -nodes -subj /CN=registry -keyout "$WORK/server.key" -out "$WORK/server.csr" 2> /dev/null &&
	openssl x509 -req -in "$WORK/server.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial -days 2 \
		-extfile "$WORK/san" -out "$WORK/server.pem" 2> /dev/null || exit 1
"$fixtures/registry" start "$SAFE" "$WORK/safe" "$WORK/htpasswd" "$WORK/server.pem" "$WORK/server.key" || exit 1
"$fixtures/registry" start "$OPEN" "$WORK/open" || exit 1
stop() {
	"$fixtures/registry" stop "$SAFE" "$WORK/safe"
	"$fixtures/registry" stop "$OPEN" "$WORK/open"
}
trap stop EXIT

# Each use has a store of its own where it should begin with nothing.
fresh() {
	rm -rf "$WORK/fresh"
	KILN_ROOT=$WORK/fresh "$@"
}
configure() {
	printf '{"registries": {%s}}\n' "$1" > "$KILN_CONFIG"
}
login() {
	printf '%s' "$1" | kiln login -u ann --password-stdin "$SAFE"
}
copy() {
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "$@"
}
build() {
	printf "$1" > "$WORK/app/Dockerfile"
	shift
	kiln build "$@" "$WORK/app"
}

check "images are put where kiln shall find them" copy --dest-creds ann:secret "docker://$REGISTRY/library/busybox:latest" "docker://$SAFE/team/box:v1"
check "in the open registry too" copy "docker://$REGISTRY/library/busybox:latest" "docker://$OPEN/library/box:1.36-slim"

configure ''
fails "a certificate of an unknown authority is refused" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "saying which check failed" 'certificate does not verify: .*(self.signed|issuer)'
prints "and how to trust it" 'name the authority.s certificate as "ca"'
configure "\"$SAFE\": {\"ca\": \"stranger.pem\"}"
fails "nor does another authority help" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "to pass that check" 'certificate does not verify'
configure "\"$SAFE\": {\"ca\": \"nowhere.pem\"}"
fails "a file that is not there" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "is named" 'nowhere\.pem'

configure "\"$SAFE\": {\"ca\": \"ca.pem\"}"
fails "without credentials there is no image" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "which is said" "$SAFE/team/box:v1: access denied"
prints "with the way in" "kiln login $SAFE"
fails "a wrong password is refused" 1 login wrong
prints "as such" 'the user name or the password is wrong'
check "the right one is taken" login secret
check "and the image pulled" fresh kiln pull "$SAFE/team/box:v1"
check "and built from" build "FROM $SAFE/team/box:v1\nRUN echo built > /built\n" -t built
check "so that it runs" kiln run --rm built cat /built
prints "with what was built" '^built$'
configure "\"$SAFE\": {\"insecure\": true}"
check "insecure asks for no authority" fresh kiln pull "$SAFE/team/box:v1"
configure "\"$SAFE\": {\"ca\": \"ca.pem\"}"
printf '{"auths": {"%s": {"auth": "%s"}}}' "$SAFE" "$(printf ann:old | base64)" > "$HOME/.docker/config.json"
fails "a kept password that is no longer right" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "is refused" "registry $SAFE denies access"
prints "with what to do" "kiln login $SAFE"

cat > "$WORK/bin/docker-credential-team" <<EOF
#!/bin/sh
read -r server
echo "\$1 \$server" >> "$WORK/asked"
[ "\$1" = get ] && [ "\$server" = "$SAFE" ] && printf '{"ServerURL": "%s", "Username": "ann", "Secret": "secret"}\n' "\$server"
EOF
chmod +x "$WORK/bin/docker-credential-team"
PATH=$WORK/bin:$PATH
printf '{"credHelpers": {"%s": "team"}}' "$SAFE" > "$HOME/.docker/config.json"
check "a helper program gives the password" fresh kiln pull "$SAFE/team/box:v1"
grep -qx "get $SAFE" "$WORK/asked"; ok "when asked for this server" $?
: > "$WORK/asked"
check "another registry is pulled from" fresh kiln pull "$OPEN/library/box:1.36-slim"
! [ -s "$WORK/asked" ]; ok "without asking it" $?
printf '{"credHelpers": {"%s": "nobody"}}' "$SAFE" > "$HOME/.docker/config.json"
fails "a helper that is not installed" 1 fresh kiln pull "$SAFE/team/box:v1"
prints "is named" 'docker-credential-nobody'
rm "$HOME/.docker/config.json"

configure "\"docker.io\": {\"mirrors\": [\"http://$DEAD\", \"http://$OPEN\"]}"
check "a dead mirror passes on to the next" fresh kiln pull box:1.36-slim
configure "\"$OPEN\": {\"mirrors\": [\"http://$DEAD\", \"http://$REGISTRY\"]}"
check "and mirrors without the image to the origin" fresh kiln pull "$OPEN/library/box:1.36-slim"
check "while they are asked first" fresh kiln pull "$OPEN/library/python:3.8-slim-buster"
configure ''
fails "what the origin alone does not have" 1 fresh kiln pull "$OPEN/library/python:3.8-slim-buster"

digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/library/box:1.36-slim")
check "an image is pulled by its digest" fresh kiln pull "$OPEN/library/box@$digest"
check "and built from by it" build "FROM $OPEN/library/box@$digest\nRUN echo pinned > /pinned\n" --no-cache
check "with a tag as a remark" build "FROM $OPEN/library/box:gone@$digest\nRUN echo pinned > /pinned\n"
none=sha256:$(printf %064d 0)
fails "a digest that is not there" 1 fresh kiln pull "$OPEN/library/box@$none"
prints "is named" "box@$none: not found"

check "an index of two platforms is pushed" build 'FROM scratch\nCOPY Dockerfile /\n' --platform linux/arm64,linux/arm/v7 -t "$OPEN/library/arms:1" --push
fails "another platform is not in it" 1 fresh kiln pull --platform linux/amd64 "$OPEN/library/arms:1"
prints "and one is told which are" 'linux/arm64.*linux/arm/v7'
check "a platform of it is pulled" fresh kiln pull --platform linux/arm/v7 "$OPEN/library/arms:1"

fails "a tag that is not there" 1 fresh kiln pull "$OPEN/library/box:1.36-slm"
prints "is named" "library/box:1.36-slm: not found"
prints "with a near one" "did you mean $OPEN/library/box:1.36-slim\?"
fails "also in FROM" 1 build "FROM $OPEN/library/box:1.36-slmi\n"
prints "where the near one is told too" "did you mean $OPEN/library/box:1.36-slim\?"
fails "one unlike all others" 1 fresh kiln pull "$OPEN/library/box:windows"
! grep -q 'did you mean' "$WORK/err"; ok "is not guessed at" $?
fails "nor is a repository that is not there" 1 fresh kiln pull "$OPEN/library/bxo:1.36-slim"
! grep -q 'did you mean' "$WORK/err"; ok "whose tags nobody knows" $?

check "an image is here" kiln pull "$OPEN/library/box:1.36-slim"
"$fixtures/registry" stop "$OPEN" "$WORK/open"
check "with the registry gone it is built from" build "FROM $OPEN/library/box:1.36-slim\nRUN echo alone > /alone\n" -t alone
prints "with a warning that says so" "WARN: the registry cannot be reached; using the local $OPEN/library/box:1.36-slim@$digest"
fails "but not where it must be asked" 1 build "FROM $OPEN/library/box:1.36-slim\nRUN echo alone > /alone\n" --pull
prints "which is told with the reason" "$OPEN.*(refused|connect)"

stop
finish
