# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# An image with attestations is one image for every command.
mkdir ctx && printf 'FROM busybox\nCOPY f /f\n' > ctx/Dockerfile && echo f > ctx/f
A=$REGISTRY/attested
raw() { kiln imagetools inspect --raw "$1" > "$2"; }
check "pushed by the build" kiln build -q --provenance=true --push -t "$A/pushed" --metadata-file meta.json ctx
check "is an index" raw "$A/pushed" pushed.json
grep -q attestation-manifest pushed.json; ok "with an attestation" $?
python3 - <<'END'; ok "whose digest the metadata file has" $?
import hashlib, json
raw = open("pushed.json", "rb").read()
assert json.load(open("meta.json"))["containerimage.digest"] == "sha256:" + hashlib.sha256(raw).hexdigest()
END
check "in the store" kiln build -q --provenance=true -t "$A/kept" ctx
check "is listed" kiln images -q "$A/kept"
test "$(wc -l < "$WORK/out")" = 1; ok "as one image" $?
check "pushed from there" kiln push -q "$A/kept"
check "with its index" raw "$A/kept" kept.json
grep -q attestation-manifest kept.json; ok "with an attestation" $?
check "saved" kiln save -o saved.tar "$A/kept"
on second check "loaded elsewhere" kiln load -q -i saved.tar
on second check "tagged" kiln tag "$A/kept" "$A/loaded"
on second check "pushed from there" kiln push -q "$A/loaded"
raw "$A/loaded" loaded.json && cmp kept.json loaded.json; ok "it is the same index" $?
on third check "pulled" kiln pull -q "$A/loaded"
on third check "run" kiln run --rm "$A/loaded" cat /f
prints "it has the files" '^f$'
printf 'FROM %s/loaded\nRUN cat /f\n' "$A" > ctx/Dockerfile
on fourth check "built upon" kiln build --cache-from "$A/loaded" ctx
printf 'FROM scratch\nCOPY --from=base /f /g\n' > ctx/Dockerfile
mkdir layout && tar xf saved.tar -C layout
check "a layout with it is a context" kiln build -o files --build-context "base=oci-layout://$WORK/layout" ctx
check "copied by imagetools" kiln imagetools create -t "$A/copied" "$A/kept"
raw "$A/copied" copied.json && cmp kept.json copied.json; ok "whole" $?
python3 - <<'END'
import json
index = json.load(open("kept.json"))
index["manifests"].reverse()
json.dump(index, open("first.json", "w"))
print("http://%s" % index["manifests"][0]["digest"], file=open("attestation", "w"))
END
check "an index with the attestation first" curl -fsS -X PUT -H 'content-type: application/vnd.oci.image.index.v1+json' \
	--data-binary @first.json "http://$REGISTRY/v2/attested/kept/manifests/first"
on fifth check "is pulled" kiln pull -q "$A/kept:first"
fails "an attestation is no image" 1 kiln pull "$A/kept@$(cut -d/ -f3 attestation)"
prints "which is told" 'not a file system layer'
check "the image goes" kiln rmi "$A/kept"
check "and with it all" kiln prune -af
find "$KILN_ROOT" -path '*blobs*' -type f > left
xargs grep -l in-toto < left; test $? != 0; ok "that it kept" $?
finish
