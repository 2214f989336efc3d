# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../e2e/lib.sh"

# DOCKERFILE (busybox, debian) by every way, with every use.
. "$(dirname "$0")/lib.sh"
if ! serve_s3 cache; then
	ok "an S3 server starts" 1
	finish
	exit 1
fi
make_context "${DOCKERFILE:=busybox}"
if [ $DOCKERFILE = debian ]; then
	[ -d "$FIXTURES/matrix-debs" ] ||
		"$(dirname "$0")/../fixtures/debs" "$FIXTURES/python.tar" "$FIXTURES/matrix-debs" libcap2-bin npm
	cp -r "$FIXTURES/matrix-debs" debs
	make_packages
fi
matrix_here
for way in ${WAYS:-$CACHES $IMAGES}; do
	matrix_travel $way
	for use in $USES; do
		matrix_use $use
	done
	rm -rf "$KILN_ROOT"
done
KILN_ROOT=$WORK/here
finish
