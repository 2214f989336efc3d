# SPDX-License-Identifier: Apache-2.0
# The surroundings of a RUN against those recorded from BuildKit: tests/fixtures/surroundings.
. "$(dirname "$0")/lib.sh"

FILES=$(cd "$(dirname "$0")/../fixtures/surroundings" && pwd)
cp -r "$FILES" app && chmod -R a+rX app
# Machines have different things to mask.
here() {
	while read -r kind path rest; do
		case $kind in mount | masked) [ -e "$path" ] || case $path in /proc/* | /sys/*) continue ;; esac ;; esac
		echo "$kind $path $rest"
	done
}
# surroundings NAME ALLOWED COMMAND...: the build prints what BuildKit printed, but for what a line of one
# of the files allows.
surroundings() {
	name=$1 allowed=$2
	shift 2
	check "$name" "$@" build --no-cache --progress=plain app
	here < app/buildkit.txt | LC_ALL=C sort > "$WORK/want"
	sed -nE 's/^#[0-9]+ [0-9.]+ //p' "$WORK/err" | here | LC_ALL=C sort > "$WORK/got"
	cat $allowed | grep -v '^#' > "$WORK/patterns"
	diff "$WORK/want" "$WORK/got" | grep '^[<>]' | grep -vE -f "$WORK/patterns" > "$WORK/out"
	: > "$WORK/err"
	test ! -s "$WORK/out" -a "$(wc -l < "$WORK/got")" -gt 80
	ok "and a step finds there what BuildKit gives it" $?
}
surroundings "root builds" app/differences "$KILN"

if [ "$(id -u)" = 0 ] && chown -R $PLAIN_USER:$PLAIN_USER "$WORK" && chmod 755 "$WORK" &&
	as_plain_user unshare -Ur true 2> /dev/null; then
	surroundings "a user with one id builds" "app/differences app/differences-rootless app/differences-one-id" plain
	if grant_subordinate_ids; then
		surroundings "a user with subordinate ids builds" "app/differences app/differences-rootless" \
			as_plain_user env KILN_ROOT="$WORK/ranges" "$KILN"
	else
		skip "a user with subordinate ids builds" "needs newuidmap"
	fi
else
	skip "users build" "needs root to become another user, and user namespaces"
fi
finish
