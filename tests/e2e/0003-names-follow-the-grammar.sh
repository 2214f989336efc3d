# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

x64=$(printf 'a%.0s' $(seq 64))
x128=$x64$x64
check "an image builds" kiln build -t base - <<'END'
FROM busybox
END

# good NAME [AS-LISTED [TAG]]
good() {
	check "'$1' is a name" kiln tag base "$1"
	kiln images > "$WORK/out"
	awk -v name="${2-${1%:*}}" -v tag="${3-latest}" '$1 == name && $2 == tag {found = 1} END {exit !found}' "$WORK/out"
	ok "  and listed" $?
	check "  and removed" kiln rmi "$1"
}
good a a
good a.b-c a.b-c
good a__b a__b
good a_b a_b
good a-----b a-----b
good 0/1/2 0/1/2
good a:Tag_1.2-3 a Tag_1.2-3
good a:_ a _
good "a:$x128" a "$x128"
good docker.io/library/plain plain
good index.docker.io/some/one some/one
good ghcr.io/a/b:1 ghcr.io/a/b 1
good localhost/a localhost/a
good localhost:5000/a localhost:5000/a
good HOST.example/a HOST.example/a
good '[::1]:5000/a:1' '[::1]:5000/a' 1
good "$(printf 'b%.0s' $(seq 237))" "$(printf 'b%.0s' $(seq 237))"

# bad NAME RULE: tag refuses it, and so does build before it does anything.
bad() {
	fails "'$1' is none" 1 kiln tag base "$1"
	grep -Fq "ERROR: invalid tag \"$1\": " "$WORK/err" && grep -Fq -- "$2" "$WORK/err"
	ok "  since: $2" $?
	fails "  nor to build" 2 kiln build -t "$1" .
	grep -Fq -- "$2" "$WORK/err"
	ok "  for the same reason" $?
}
bad '' 'it is empty'
bad BAD 'repository name (library/BAD) must be lowercase'
bad some/Name 'repository name (some/Name) must be lowercase'
bad ghcr.io/Name 'repository name (Name) must be lowercase'
bad a___b 'by one '"'.', one or two '_' or any number of '-'"
bad a..b 'only by one of these at a time'
bad a.-b 'only by one of these at a time'
bad a_-b 'only by one of these at a time'
bad .a 'the part ".a" of the repository name must begin with a lower-case letter or a digit'
bad a- 'the part "a-" of the repository name must end with'
bad a/_b 'the part "_b" of the repository name must begin with'
bad 'a b' 'may hold only lower-case letters'
bad 'a$b' 'may hold only lower-case letters'
bad naïve 'may hold only lower-case letters'
bad a//b 'is empty'
bad /a 'is empty'
bad a/ 'is empty'
bad :tag 'is empty'
bad a: 'the tag "" is empty'
bad a:.x "must begin with a letter, a digit or '_'"
bad a:-x "must begin with a letter, a digit or '_'"
bad 'a:x y' "may hold only letters, digits, '_', '.' and '-'"
bad a:b:c 'the part "a:b" of the repository name may hold only'
bad "a:${x128}a" 'longer than 128 characters'
bad "$(printf 'b%.0s' $(seq 256))" 'must not be more than 255 characters'
bad "$x64" 'cannot specify 64-byte hexadecimal strings'
bad http://x/y 'a name is not a URL'
bad host:50x/a 'is not a valid registry'
bad a@sha256:12 'must be "sha256:" and 64 hexadecimal digits'
bad a@md5:12 'must be "sha256:" and 64 hexadecimal digits'
bad "a@sha256:$x64" 'digest'
test "$(kiln images | wc -l)" = 3; ok "none of them left an image" $?

fails "a bad name to run" 125 kiln run BAD
prints "is told" '^ERROR: invalid image name "BAD": .*must be lowercase$'
fails "a bad name to rmi" 1 kiln rmi a___b
prints "is told" '^ERROR: invalid image name "a___b": '
fails "a bad name to save" 1 kiln save -o x.tar a..b
test ! -e x.tar; ok "makes no file" $?
fails "a bad base image" 1 kiln build - <<'END'
FROM Upper:1
END
prints "is told" 'Upper.*must be lowercase'
finish
