# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

check "help" kiln help
prints "lists the commands" '^  build +Build an image'
cp "$WORK/out" "$WORK/all"
missing=
for command in $(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$WORK/all"); do
	quietly kiln help "$command" && cp "$WORK/out" "$WORK/helped" && quietly kiln "$command" --help &&
		cmp -s "$WORK/out" "$WORK/helped" && grep -q "^Usage: kiln $command" "$WORK/out" || missing="$missing $command"
done
[ -z "$missing" ]; ok "every one of them explains itself:${missing:- all}" $?
fails "help on a command that is none" 2 kiln help nope
prints "says so" "^kiln: 'nope' is not a kiln command"

check "the image builds" kiln buildx build -t app - <<< 'FROM scratch'
check "image ls" kiln image ls -q
[ "$(cat "$WORK/out")" = "$(kiln images -q)" ]; ok "lists what images lists" $?
check "image inspect" kiln image inspect app
check "image rm" kiln image rm app
check "image prune" kiln image prune -f
check "builder prune" kiln builder prune -f
for words in "buildx images" "image du" "builder ls"; do
	# shellcheck disable=SC2086
	fails "$words means something else there" 2 kiln $words
	prints "and is not taken for another command" "^kiln: '$words' is not a kiln command"
done
fails "a group alone" 2 kiln image
finish
