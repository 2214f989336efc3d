# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Steps whose layers hold more than added files travel as those do. The full matrix is tests/matrix/run.
USES="run step copy tar oci push"
. "$(dirname "$0")/../matrix/lib.sh"
if ! serve_s3 cache; then
	ok "an S3 server starts" 1
	finish
	exit 1
fi
make_context busybox
matrix_here
matrix_travel local-max
matrix_use run step
matrix_travel registry-min
matrix_use copy push
matrix_travel inline
matrix_use tar
matrix_travel s3-max
matrix_use oci
matrix_travel load
matrix_use step
KILN_ROOT=$WORK/here
finish
