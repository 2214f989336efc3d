# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

build=$(dirname "$KILN")
check "it is installed" cmake --install "$build" --prefix "$WORK/usr"
grep -q 'GNU C Library' usr/share/doc/kiln/THIRD-PARTY-LICENSES
ok "with the licences of what is linked into it" $?
for part in gcc-12-base libmsgpack-dev libxxhash-dev common-licenses/LGPL-2.1; do
	grep -q "^======== .*$part ========" usr/share/doc/kiln/THIRD-PARTY-LICENSES; ok "$part" $?
done

if is_sanitized; then
	skip "a tarball is made" "a sanitizer's build is not for others"
elif ! command -v patchelf > /dev/null; then
	skip "a tarball is made" "needs patchelf"
else
	check "a tarball is made" "$(dirname "$0")/../../scripts/tarball" "$build" "$WORK"
	mkdir elsewhere
	check "it unpacks" tar -C elsewhere --strip-components=1 -xzf "$(cat out)"
	# Whatever it loads but the C library lies beside it.
	LD_DEBUG=files elsewhere/bin/kiln pull library/busybox > out 2> trace
	ok "it runs there, and pulls" $?
	sed -n 's/.*calling init: //p' trace | grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux[a-z0-9-]*)\.so\.[0-9]+$' |
		sort -u > loaded
	grep -q "$WORK/elsewhere/bin/../lib/kiln/libcurl.so.4" loaded; ok "with its own libcurl" $?
	test "$(grep -vc "$WORK/elsewhere/bin/../lib/kiln/" loaded)" = 0; ok "and none of the machine's libraries" $?
	mkdir -p ctx
	printf 'FROM busybox\nRUN echo hello > /greeting\n' > ctx/Dockerfile
	check "it builds" elsewhere/bin/kiln build -q -t t ctx
	grep -q '^======== libcurl4 ========' elsewhere/share/doc/kiln/LIBRARIES-LICENSES
	ok "the libraries' licences travel along" $?
fi
finish
