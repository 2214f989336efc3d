# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir www app
echo hello > www/f.txt
touch -d '2001-02-03 04:05:06 UTC' www/f.txt
echo index > www/index.html
echo spaced > 'www/a b.txt'
tar -czf www/x.tgz -C www f.txt
serve_http www
URL=http://127.0.0.1:$HTTP_PORT

build() { # build DOCKERFILE-TEXT: into the folder `tree`
	rm -rf tree
	printf '%b\n' "$1" > app/Dockerfile
	quietly kiln build -o tree app
}
requests() { # how often a path was answered with a status
	grep -c "^GET $1 $2\$" http.log
}

build "FROM scratch\nADD $URL/f.txt /"; ok "ADD takes a URL" $?
cmp -s www/f.txt tree/f.txt; ok "its bytes arrive under the last part of its path" $?
test "$(stat -c %a tree/f.txt)" = 600; ok "private to root" $?
test "$(stat -c %Y tree/f.txt)" = 981173106; ok "with the server's time" $?
build "FROM scratch\nADD $URL/f.txt /"
prints "a second build finds the step" '^#[0-9]+ CACHED$'
test "$(requests /f.txt 200)" = 1 && test "$(requests /f.txt 304)" = 1
ok "after one question without a body" $?
echo changed > www/f.txt
build "FROM scratch\nADD $URL/f.txt /" && cmp -s www/f.txt tree/f.txt
ok "a file that changed is fetched again" $?
build "FROM scratch\nADD --chmod=644 $URL/f.txt /sub/g"
test "$(stat -c %a tree/sub/g)" = 644; ok "it takes a mode and another name" $?
build "FROM scratch\nADD $URL/?q=1 /"; test -s tree/__unnamed__; ok "a URL without a name gives one" $?
build "FROM scratch\nADD $URL/a%20b.txt /"; cmp -s 'www/a b.txt' 'tree/a b.txt'
ok "escapes in a URL are read in the name" $?
build "FROM scratch\nADD $URL/redirect/f.txt /" && cmp -s www/f.txt tree/f.txt
ok "redirects are followed" $?
build "FROM scratch\nADD $URL/x.tgz /"; cmp -s www/x.tgz tree/x.tgz
ok "an archive by URL stays one" $?
build "FROM scratch\nADD --unpack=true $URL/x.tgz /"; cmp -s <(echo hello) tree/f.txt
ok "unless it is to be unpacked" $?

sum=$(sha256sum www/index.html | cut -d ' ' -f 1)
build "FROM scratch\nADD --checksum=sha256:$sum $URL/index.html /"; ok "a checksum that fits is fine" $?
before=$(wc -l < http.log)
build "FROM scratch\nADD --checksum=sha256:$sum $URL/index.html /" && cmp -s www/index.html tree/index.html
ok "it builds again" $?
test "$(wc -l < http.log)" = "$before"; ok "without asking the server" $?
build "FROM scratch\nADD --checksum=sha256:${sum%??}00 $URL/index.html /"; test $? -eq 1
ok "one that does not fit ends the build" $?
prints "and names both" "digest mismatch sha256:$sum: sha256:${sum%??}00"

build "FROM scratch\nADD $URL/status/404/x /"; test $? -eq 1; ok "404 is an error" $?
prints "that says so" "GET $URL/status/404/x: invalid response status 404"
build "FROM scratch\nADD $URL/status/401/x /"
prints "401 says how to give a token" "secret id=HTTP_AUTH_TOKEN_127.0.0.1:$HTTP_PORT"
build "FROM scratch\nADD http://127.0.0.1:1/x /"; prints "a refused connection is named" 'Connection refused'
build "FROM scratch\nADD https://127.0.0.1:$HTTP_PORT/x /"; prints "so is a failed handshake" 'TLS handshake'
build "FROM scratch\nADD http://nosuch.invalid/x /"; prints "and an unknown host" 'unknown host'
finish
