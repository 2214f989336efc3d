# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The shapes of what BuildKit writes for the same Dockerfile were recorded from it (tests/fixtures/provenance).
RECORDED=$(cd "$(dirname "$0")/../fixtures/provenance" && pwd)
unset SOURCE_DATE_EPOCH SSH_AUTH_SOCK
mkdir base ctx www && printf 'FROM busybox\n' > base/Dockerfile
cp "$RECORDED/Dockerfile" ctx && echo f > ctx/f && echo fetched > www/file.txt && echo planted-secret > sec
serve_http www
URL="http://user:planted@127.0.0.1:$HTTP_PORT/file.txt?token=hidden"
build() {
	kiln build -q --build-arg BASE="$REGISTRY/attest/base:1" --build-arg URL="$URL" --build-arg PLAIN=y \
		--build-arg HTTP_PROXY= --build-arg https_proxy=http://u:planted@127.0.0.1:1 --label l=v --secret id=s,src=sec "$@" ctx
}
check "a base image" kiln build -q --push -t "$REGISTRY/attest/base:1" base

# What kiln leaves out: what only means something to BuildKit, the steps that loaded the Dockerfile, and layers
# where files are put out.
OUT='/root[ /]|/compatibilityVersion |/dockerfileVersion |removeMountStubsRecursive|local.sharedkeyhint|/infos/\*/(llbDefinition|digestMapping)|/targetPlatform '
same_shape() { # same_shape RECORDED DOCUMENT [MORE LEFT OUT]
	grep -Ev "$OUT${3:+|$3}" "$RECORDED/$1.shape" > theirs
	"$RECORDED/shape.py" "$2" | grep -Ev "$OUT|build-arg:(HTTP_PROXY|https_proxy)${3:+|$3}" > ours
	diff theirs ours
}
for mode in min max; do
	for version in v1 v0.2; do
		check "mode=$mode,version=$version, as files" build --attest type=provenance,mode=$mode,version=$version -o $mode-$version
		check "looks as BuildKit's does" same_shape $mode-$version $mode-$version/provenance.json '/layers[ /]'
	done
done
printf 'ADD http://u:planted@127.0.0.1:%s/file.txt /two\n' "$HTTP_PORT" >> ctx/Dockerfile
check "a password in the Dockerfile" build --provenance mode=max -o planted
python3 - <<'END'; ok "names, digests and no secret are in it" $?
import base64, glob, hashlib, json
for f in glob.glob("*/provenance.json"):
    text = open(f).read()
    assert "planted" not in text and ("max" in f or f.startswith("planted") or "hidden" not in text), f
d = json.load(open("planted/provenance.json"))
p, subjects = d["predicate"], {s["name"]: s["digest"]["sha256"] for s in d["subject"]}
sha = lambda f: hashlib.sha256(open(f, "rb").read()).hexdigest()
assert subjects["f"] == sha("ctx/f") and subjects["fetched"] == sha("www/file.txt") and "provenance.json" not in subjects
deps = p["buildDefinition"]["resolvedDependencies"]
assert [d["uri"].split(":")[0] for d in deps] == ["pkg", "http"], deps
assert deps[0]["uri"].endswith("/attest/base@1?platform=linux%2Famd64") and len(deps[0]["digest"]["sha256"]) == 64
assert deps[1]["uri"].endswith("/file.txt") and "?" not in deps[1]["uri"] and deps[1]["digest"]["sha256"] == sha("www/file.txt")
r = p["buildDefinition"]["externalParameters"]["request"]
assert [l["name"] for l in r["locals"]] == ["context", "dockerfile"] and r["secrets"] == [{"id": "s", "optional": True}]
assert r["args"]["build-arg:PLAIN"] == "y" and not [a for a in r["args"] if "proxy" in a.lower()]
source = p["runDetails"]["metadata"]["buildkit_metadata"]["source"]["infos"][0]
dockerfile = base64.b64decode(source["data"]).decode()
assert "xxxxx:xxxxx@127.0.0.1" in dockerfile and "planted" not in dockerfile
small = json.load(open("min-v1/provenance.json"))["predicate"]
assert "args" not in small["buildDefinition"]["externalParameters"]["request"]
assert small["runDetails"]["metadata"]["buildkit_completeness"] == {"request": False, "resolvedDependencies": False}
END

# As images.
entry() { # entry LAYOUT I: the path of manifest I of the index that index.json of a layout names
	top=$(grep -o 'sha256:[0-9a-f]*' "$1/index.json" | cut -d: -f2)
	python3 -c "import json,sys;print(sys.argv[1]+'/blobs/sha256/'+json.load(open(sys.argv[1]+'/blobs/sha256/'+sys.argv[2]))['manifests'][int(sys.argv[3])]['digest'][7:])" \
		"$1" "$top" "$2"
}
for form in new old; do
	artifact=$([ $form = old ] && echo ,oci-artifact=false)
	check "in a layout, $form form" build --provenance=true -o "type=oci,tar=false,dest=$form,name=example.com/app:v1$artifact"
	top=$(grep -o 'sha256:[0-9a-f]*' $form/index.json | cut -d: -f2)
	check "with BuildKit's index" same_shape $form-index "$form/blobs/sha256/$top"
	check "and its manifest" same_shape $form-manifest "$(entry $form 1)"
done
BUILDX_NO_DEFAULT_OCI_ARTIFACT=1 check "a variable asks for the old form" build --provenance=true -o type=oci,tar=false,dest=env
check "which it is" same_shape old-manifest "$(entry env 1)"
python3 - <<'END'; ok "all digests and sizes are right" $?
import glob, hashlib, json
for f in glob.glob("new/blobs/sha256/*") + glob.glob("old/blobs/sha256/*"):
    assert hashlib.sha256(open(f, "rb").read()).hexdigest() == f.rsplit("/", 1)[1]
get = lambda d: (lambda b: (len(b) == d["size"] or 1 / 0) and json.loads(b))(open("new/blobs/sha256/" + d["digest"][7:], "rb").read())
index = get(json.load(open("new/index.json"))["manifests"][0])
image, attest = map(get, index["manifests"])
note = index["manifests"][1]["annotations"]
assert note["vnd.docker.reference.digest"] == index["manifests"][0]["digest"] == attest["subject"]["digest"]
statement = get(attest["layers"][0])
assert statement["subject"] == [{"name": "pkg:docker/example.com/app@v1?platform=linux%2Famd64",
                                 "digest": {"sha256": index["manifests"][0]["digest"][7:]}}]
layers = statement["predicate"]["runDetails"]["metadata"]["buildkit_metadata"]["layers"]
((chain,),) = layers.values()
assert [l["digest"] for l in chain] == [l["digest"] for l in image["layers"]]
END
same_index() { cmp one/index.json two/index.json; }
check "with a time of its own" build --build-arg SOURCE_DATE_EPOCH=7 --provenance=true -o type=oci,tar=false,dest=one
check "twice" build --build-arg SOURCE_DATE_EPOCH=7 --provenance=true -o type=oci,tar=false,dest=two
check "the index is the same" same_index

# Where they cannot be.
fails "not in docker's archive" 2 build --provenance=true -o type=docker,dest=d.tar
prints "which is told" 'docker output cannot hold attestations'
check "unless nobody asked" build -o type=docker,dest=d.tar
fails "not with docker's types" 2 build --provenance=true -o type=oci,dest=d.tar,oci-mediatypes=false
prints "as BuildKit says" 'cannot export attestations with oci-mediatypes=false'
fails "complete materials" 1 build --provenance complete-materials=true -o never
prints "are not in a directory" 'provenance materials are incomplete.*context'
check "inline-only leaves files alone" build --provenance mode=min,inline-only=true -o alone
test ! -e alone/provenance.json; ok "as it says" $?
check "and layouts" build --provenance mode=min,inline-only=true -o type=oci,tar=false,dest=lone
grep -q image.manifest.v1 lone/index.json; ok "as with BuildKit" $?
check "a prefix" build --attest type=provenance,filename=x/p.json -o type=local,dest=prefixed,attestation-prefix=a-
test -s prefixed/a-p.json; ok "is the file's" $?
check "in a tar" build --provenance=true -o type=tar,dest=files.tar
tar tf files.tar | grep -qx provenance.json; ok "it is a file, too" $?
check "disabled" build --attest type=provenance --provenance=false -o without
test ! -e without/provenance.json; ok "wins when said last" $?
finish
