# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

check "ten kills at random moments leave a store that opens, is whole and builds" \
	"$here/../../scripts/soak" 10 "$KILN"
finish
