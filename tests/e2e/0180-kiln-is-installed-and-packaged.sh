# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

check "version tells what the program is" kiln version
prints "by number and commit" '^kiln version [0-9]+\.[0-9]+\.[0-9]+(, build [0-9a-f]{7})?$'
prints "with its platform" '^ platform:  linux/[a-z0-9]+$'
prints "and its libraries" '^ libraries: libcrypto [0-9.]+, .*zstd [0-9.]+'
check "in one line as docker does" kiln --version
test "$(wc -l < out)" = 1; ok "indeed one" $?
check "by a template" kiln version --format '{{.Server.Version}} {{.Client.Os}}/{{.Client.Arch}}'
prints "as scripts ask docker" '^[0-9]+\.[0-9]+\.[0-9]+ linux/[a-z0-9]+$'
check "as JSON" kiln version --format json
python3 -c 'import json; d = json.load(open("out")); assert d["Client"]["Version"] == d["Server"]["Version"]'
ok "which parses" $?
fails "it takes no argument" 2 kiln version now
fails "a bad template is an error" 1 kiln version --format '{{'

build=$(dirname "$KILN")
check "it is installed" cmake --install "$build" --prefix "$WORK/usr"
check "and runs where it was put" env KILN_ROOT="$WORK/store" usr/bin/kiln images
test -s usr/share/doc/kiln/LICENSE && test -s usr/share/doc/kiln/docs/cli.md; ok "with its licence and docs" $?

if is_sanitized; then
	skip "a Debian package is made" "a sanitizer's build is not for others"
elif ! command -v dpkg-shlibdeps > /dev/null; then
	skip "a Debian package is made" "needs dpkg-shlibdeps (package dpkg-dev)"
else
	check "a Debian package is made" cpack --config "$build/CPackConfig.cmake" -G DEB -B "$WORK/package"
	dpkg-deb -f package/kiln_*.deb > control
	for package in libcurl4 libgit2 libarchive libexpat1 libnghttp2 libprotobuf-c libssl libc6 ca-certificates; do
		grep -q "^Depends:.*$package" control; ok "it depends on $package" $?
	done
	grep -q '^Recommends:.*passt.*uidmap' control; ok "it recommends what networks and ids need" $?
	check "it unpacks" dpkg-deb -x package/kiln_*.deb unpacked
	check "to a program that runs" unpacked/usr/bin/kiln version
fi
finish
