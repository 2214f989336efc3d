. "$(dirname "$0")/lib.sh"

check "ten kills at random moments leave a store that opens, is whole and builds" \
	"$(dirname "$0")/../../scripts/soak" 10 "$KILN"
mkdir -p "$KILN_ROOT/tmp"
finish
