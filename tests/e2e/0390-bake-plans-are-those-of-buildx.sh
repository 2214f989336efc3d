# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"
data=$(cd "$(dirname "$0")/../data/bake" && pwd)

# What buildx printed for each of these was recorded (tests/data/bake/record).
check "plans and lists are those that buildx prints" "$data/compare" "$KILN"
prints "for all fixtures" '^[0-9]{2,} equal, 0 different$'

# Mistakes are shown where they are.
mistake() {
	cat > docker-bake.hcl
	fails "$1" 1 kiln bake --print
	prints "and the line is shown" "$2"
	prints "with what is wrong" "$3"
}
mistake "an unknown variable fails" '2 \| >>>   tags = \[NONE\]' 'no variable "NONE"' <<'END'
target "default" {
  tags = [NONE]
}
END
mistake "an unknown argument fails" '2 \| >>>   tag = ' 'a target has no "tag"' <<'END'
target "default" {
  tag = ["x"]
}
END
mistake "an open string fails" '1 \| >>> A = "x' 'ends on its line' <<'END'
A = "x
END
mistake "a function that calls itself fails" '3 \| >>>   result = f\(x\)' 'f\(\) calls itself' <<'END'
function "f" {
  params = [x]
  result = f(x)
}
target "default" { tags = [f("a")] }
END
mistake "variables that need each other fail" '>>> (A|B) = ' 'needs its own value' <<'END'
A = B
B = A
target "default" { tags = [A] }
END
mistake "a condition that a variable breaks fails" '3 \| >>>     condition = ' 'one of a or b' <<'END'
variable "V" {
  validation {
    condition = contains(["a", "b"], V)
    error_message = "V is one of a or b"
  }
}
END
mistake "a matrix without a bound fails" 'matrix' 'more than 10000 targets' <<'END'
target "t" {
  name = "t${a}-${b}-${c}"
  matrix = { a = range(1000), b = range(1000), c = range(1000) }
}
END
mistake "policies are refused" '1 \| >>> target' 'policy is not supported' <<'END'
target "default" { policy = ["filename=x"] }
END
printf '{"target": {"a": {"tags": ["${nope}"]}}}' > docker-bake.json
rm docker-bake.hcl
fails "mistakes in JSON are shown, too" 1 kiln bake --print a
prints "with their line" '^docker-bake.json:1$'

printf 'target "app" {}\n' > docker-bake.hcl
rm docker-bake.json
fails "a target that is not there fails" 1 kiln bake --print apq
prints "and the nearest is named" 'did you mean "app"'
fails "so does --set of none" 1 kiln bake --print app --set nope.tags=x
fails "and of a key that there is not" 1 kiln bake --print app --set app.tag=x
prints "by its name" 'no "tag"'
fails "--print and --list exclude each other" 2 kiln bake --print --list targets
mkdir empty
fails "a folder without a bake file fails" 1 sh -c 'cd empty && "$0" bake --print' "$KILN"
prints "and says what they are called" 'docker-bake.hcl'
check "bake files come from stdin" sh -c '"$0" bake --print -f - app < docker-bake.hcl' "$KILN"
check "and from the environment" env BUILDX_BAKE_FILE=docker-bake.hcl "$KILN" buildx bake --print app

finish
