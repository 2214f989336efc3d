# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

check "an image builds" kiln build -t app:v1 - <<'END_FILE'
FROM busybox
LABEL a=b
END_FILE
id=$(kiln inspect -f '{{.Id}}' app:v1)
digest=$(kiln images --digests --no-trunc | awk '$1 == "app" {print $3}')
check "it has an id and a digest" test -n "$id" -a "${digest#sha256:}" != "$digest" -a "$id" != "$digest"

# found COMMAND...: the command takes the image in every spelling.
short=$(printf %.12s "${id#sha256:}")
found() {
	for image in app:v1 docker.io/library/app:v1 "app@$digest" "app:v1@$digest" "$id" "${id#sha256:}" "$short"; do
		check "$1 finds $image" kiln "$@" "$image"
	done
}
found inspect
found history
found save -o saved.tar
found images --filter "before=app:v1"
for image in app:v1 "app@$digest" "$id" "$short"; do
	check "tag takes $image" kiln tag "$image" other:v1
	check "run takes $image" kiln run --rm --network none "$image" true
done
check "what is saved by its digest has no name" kiln save -o saved.tar "app@$digest"
tar -xOf saved.tar manifest.json > out
prints "in the archive" '"RepoTags": ?null'

# missing SPELLING STATUS MESSAGE
missing() {
	for command in inspect history "save -o none.tar" "rmi"; do
		# Word splitting is what makes this a command.
		# shellcheck disable=SC2086
		fails "$command does not find $1" 1 kiln $command "$1"
		prints "  and says so" "$2"
	done
}
missing none:v1 'no such image: none:v1'
missing "app@sha256:$(printf '0%.0s' $(seq 64))" 'no such image: app@sha256:0'
missing 00000000 'no such image: 00000000'
missing 'No Name' 'invalid image name "No Name"'
check "nothing is left of the archive" test ! -e none.tar

check "rmi takes one of the names" kiln rmi other:v1
check "and the digest for the last" kiln rmi "app@$digest"
fails "which removes the image" 1 kiln inspect "$id"

finish
