# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# tests/data/failures lists what people do wrong most: "# what", "> a command", "| its Dockerfile", and
# "= the end of what it prints", whole. @WORK@ and @REGISTRY@ stand for this test's.
mkdir -p ctx/logs sub bad
echo read > ctx/readme && echo key > ctx/secret.key && touch ctx/Dockerfile.dev
printf '# what no image needs\n*.key\n' > ctx/.dockerignore
printf '#!/bin/bash\necho no\n' > ctx/bash.sh
printf '#!/bin/sh\r\necho no\r\n' > ctx/crlf.sh
chmod +x ctx/*.sh
printf 'FROM busybox\nCOPY a /\n' > bad/Dockerfile && printf 'fine\na[\n' > bad/.dockerignore
check "the base image is there" kiln pull busybox

# Prints what the failure in $what ends with, or checks it.
tell() {
	[ -n "$what" ] || return
	if [ -s dockerfile ]; then cp dockerfile ctx/Dockerfile; else rm -f ctx/Dockerfile; fi
	# The table's own words.
	quietly eval "kiln $command"
	status=$?
	[ "$status" -ne 0 ] && [ -s want ] && tail -n "$(wc -l < want)" err | sed "s|$WORK|@WORK@|g; s|$REGISTRY|@REGISTRY@|g" | diff want - > "$WORK/difference"
	ok "$what" $?
	sed 's/^/# /' "$WORK/difference"
}
what=
while IFS= read -r line; do
	case $line in
	'# '*) tell ;;
	esac
	case $line in
	'# '*) what=${line#??} && : > dockerfile && : > want ;;
	'> '*) command=${line#??} ;;
	'| '*) printf '%s\n' "${line#??}" >> dockerfile ;;
	'= '*) printf '%s\n' "${line#??}" >> want ;;
	esac
done < "$(dirname "$0")/../data/failures"
tell
[ "$(grep -c '^# ' "$(dirname "$0")/../data/failures")" -ge 40 ]; ok "they are forty, or more" $?
finish
