# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

ids() { # ids FILTER...: the descriptions of what fits, in one line
	set -- $(printf -- '--filter %s ' "$@")
	kiln du "$@" --format '{{.Type}}' > "$WORK/out" 2> "$WORK/err" && sort "$WORK/out" | uniq -c | awk '{print $2 "=" $1}' | xargs
}
fits() { # fits NAME EXPECTED FILTER...
	name=$1 want=$2
	shift 2
	[ "$(ids "$@")" = "$want" ]
	ok "$name" $?
}

mkdir app
echo a > app/a
cat > app/Dockerfile <<'X'
FROM busybox
RUN --mount=type=cache,id=one,target=/c echo 1 > /c/x
RUN --mount=type=cache,id=two,target=/c echo 2 > /c/x && echo 2 > /two
COPY a /a
X
check "an image builds" kiln build -t app app

fits "without a filter all is shown" 'exec.cachemount=2 regular=3 source.image=1' until=0s
fits "type=" 'regular=3' type=regular
fits "type== is the same" 'regular=3' type==regular
fits "type!=" 'exec.cachemount=2 source.image=1' 'type!=regular'
fits "type~=" 'source.image=1' 'type~=^source'
fits "description~=" 'exec.cachemount=2 regular=2' 'description~=RUN'
fits "description~= is a regular expression" 'regular=1' 'description~=COPY.*/a$'
fits "several hold together" 'regular=2' 'description~=RUN' type=regular
fits "mutable" 'exec.cachemount=2' mutable
fits "mutable=false" 'regular=3 source.image=1' mutable=false
fits "immutable" 'regular=3 source.image=1' immutable
fits "inuse" '' inuse
fits "inuse=0" 'exec.cachemount=2 regular=3 source.image=1' inuse=0
fits "shared" 'regular=3 source.image=1' shared
fits "private" 'exec.cachemount=2' private
fits "until=" '' until=1h
id=$(kiln du --filter 'description~=COPY' --format '{{.ID}}')
fits "id=" 'regular=1' "id=$id"
parent=$(kiln du --filter "id=$id" --format '{{index .Parents 0}}')
fits "parents=" 'regular=1' "parents=$parent"
fits "id= of a mount" 'exec.cachemount=1' id=mount:two
fails "an unknown field is refused" 2 kiln du --filter typ=regular
prints "and the near one named" 'did you mean type\?'
fails "a field without a value is refused" 2 kiln du --filter type
fails "a word for a truth is refused" 2 kiln du --filter shared=maybe
prints "and said how" 'use true or false'
fails "a bad regular expression is refused" 2 kiln du --filter 'description~=('
prints "with the reason" "invalid filter 'description~=\(': .*[Uu]nmatched"
fails "a bad age is refused" 2 kiln du --filter until=soon
fails "a bad operator is refused" 2 kiln du --filter 'type!regular'
fails "a bad template is refused" 2 kiln du --format '{{.ID'
fails "a field that is not there is an error" 1 kiln du --format '{{.Nothing}}'
check "a template" kiln du --filter type=source.image --format '{{.ID}} {{.Size}} {{.Shared}} {{json .InUse}}'
prints "prints what it names" '^[0-9]+ [0-9]+ true false$'

check "a dry run" kiln prune -f --dry-run --filter 'id=mount:one'
prints "names the mount" '^one$'
[ "$(kiln mounts ls -q | wc -l)" = 2 ]; ok "and leaves it" $?
check "prune of one mount" kiln prune -f --filter 'id=mount:one'
[ "$(kiln mounts ls -q)" = two ]; ok "takes that one" $?
check "prune of what is named by its text" kiln prune -f --filter 'description~=COPY'
prints "takes that one" "^$id\$"
[ "$(kiln du --filter type=regular --format x | wc -l)" = 2 ]; ok "and no other" $?
check "the image is still whole" kiln run --rm app cat /two /a
check "prune of private things" kiln prune -f --filter private
[ -z "$(kiln mounts ls -q)" ]; ok "takes mounts" $?
fails "a limit with a filter of names is refused" 2 kiln prune -f --keep-storage 1mb --filter type=regular
prints "with the reason" 'no --filter other than until='
check "a limit with an age is not" kiln prune -f --keep-storage 1mb --filter until=1h
finish
