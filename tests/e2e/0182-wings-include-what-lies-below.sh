# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
# The include rules are a table (docs/architecture.md); what is not in it is refused.
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p checkout/scripts
cp "$top/scripts/check-includes" checkout/scripts/
for folder in base store solver frontend engine cmd; do
	cp -r "$top/$folder" checkout/
done
check "what is here keeps the rules" checkout/scripts/check-includes

# planted FILE HEADER: FILE, which is new, includes HEADER.
planted() {
	printf '#include "%s"\n' "$2" > "checkout/$1"
	quietly checkout/scripts/check-includes
	status=$?
	rm "checkout/$1"
	return $status
}
refused() {
	planted "$1" "$2"
	test $? -eq 1 && grep -qxF "$1: ${1%/*} may not include $2" out; ok "${1%/*} may not include $2" $?
}
refused base/new.c store/store.h
refused solver/new.c store/store.h
refused frontend/new.c engine/engine.h
refused frontend/dockerfile/new.c frontend/frontend.h
refused engine/stream/new.c store/store.h
refused engine/http/new.h engine/engine.h
refused engine/git/new.c engine/exec/op_exec.h
refused engine/sandbox/helper/new.c base/fs.h
refused engine/layer/new.c engine/oci/oci.h
refused cmd/cli/new.c cmd/progress/display.h
planted engine/exec/new.c engine/sandbox/sandbox.h; ok "a wing includes one below it" $?
planted engine/sandbox/helper/new.c engine/sandbox/wire.h; ok "and a header that is named" $?

cp "$top"/scripts/*-signatures checkout/scripts/
check "no function takes too many parameters, but for those of a list" checkout/scripts/check-signatures
printf 'static int f(int a, int b, int c, int d,\n\t     int e, int f, int (*g)(int, int), int h)\n{\n' > checkout/base/new.c
fails "eight are refused" 1 checkout/scripts/check-signatures
prints "by name" '^base/new.c: f takes more than seven parameters$'
rm checkout/base/new.c
printf '/* Does it.\n */\nint plain_f(int a,\n\t\tstruct error **err);\n' > checkout/base/new.h
fails "one that can fail must be looked at" 1 checkout/scripts/check-signatures
prints "by name, too" '^base/new.h: plain_f can fail and is not _must_check_$'
rm checkout/base/new.h
echo 'base/alloc.c xmalloc' >> checkout/scripts/long-signatures
fails "and so is an exception that none needs" 1 checkout/scripts/check-signatures

missing=$(cd "$top" && grep -rhoE '\b(base|store|solver|frontend|engine|cmd)/[a-z0-9_/]+\.[ch]\b' README.md CONTRIBUTING.md docs |
	sort -u | while read -r file; do test -e "$file" || echo "$file"; done)
test -z "$missing" || echo "# $missing"
test -z "$missing"; ok "every file that the docs name is there" $?
finish
