# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

build=$(dirname "$KILN")
check "it is installed" cmake --install "$build" --prefix "$WORK/usr"
pages=usr/share/man/man1
missing=0
for command in $(kiln __man --list); do
	[ -s $pages/kiln-$command.1.gz ] || missing=$((missing + 1))
done
test $missing = 0 && test -s $pages/kiln.1.gz; ok "with a page for each command" $?
gunzip $pages/*.gz

kiln build --help | sed -n 's/^ .\{5\}\(--[a-z-]*\).*/\1/p' > options
sed 's/\\//g' $pages/kiln-build.1 > page
missing=0
while read -r option; do
	grep -q -- "fB$option" page || missing=$((missing + 1))
done < options
test -s options && test $missing = 0; ok "which has every option" $?
for title in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" ENVIRONMENT FILES EXAMPLES "SEE ALSO"; do
	grep -qE "^\.SH \"?$title\"?$" page; ok "and a section $title" $?
done
grep -q 'KILN_ROOT' page && grep -q 'kiln build -t app' page; ok "with the text of docs/cli.md" $?
sed 's/\\//g' $pages/kiln-imagetools.1 | grep -q 'fB--prefer-index'; ok "options of subcommands are there" $?

if command -v mandoc > /dev/null; then
	check "mandoc has nothing against them" mandoc -Tlint -Wwarning $pages/*.1
else
	skip "mandoc has nothing against them" "it is not installed"
fi
if command -v man > /dev/null && command -v groff > /dev/null; then
	for page in $pages/*.1; do
		LC_ALL=C.UTF-8 man -l --warnings=all "$page" > text 2>> warnings
	done
	test ! -s warnings; ok "nor has man" $?
	grep -q kiln text; ok "which shows them" $?
	check "whatis finds their names" lexgrog $pages/kiln.1 $pages/kiln-build.1
else
	skip "nor has man" "it is not installed"
fi
for file in bash-completion/completions/kiln zsh/vendor-completions/_kiln fish/vendor_completions.d/kiln.fish; do
	test -s usr/share/$file; ok "completions are installed: $file" $?
done
finish
