# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

unset SOURCE_DATE_EPOCH BUILDX_METADATA_PROVENANCE BUILDX_METADATA_WARNINGS
mkdir ctx && printf 'FROM busybox as base\nARG A\nCOPY f /f\n' > ctx/Dockerfile && echo f > ctx/f
A=$REGISTRY/read
check "an image with provenance" kiln build -q --provenance=true --build-arg A=b --push -t "$A/one" --metadata-file meta.json ctx
python3 - <<'END'; ok "the metadata file has its own, without steps and times" $?
import json, re
m = json.load(open("meta.json"))
p = m["buildx.build.provenance"]
assert p["buildType"] == "https://mobyproject.org/buildkit@v1" and "metadata" not in p and "buildConfig" not in p, p
assert p["materials"][0]["uri"].startswith("pkg:docker/busybox@latest?platform="), p
assert p["invocation"]["parameters"]["args"] == {"build-arg:A": "b"}, p
assert re.fullmatch("default/default/[0-9a-z]{25}", m["buildx.build.ref"]), m
assert "buildx.build.warnings" not in m
END
ref=$(sed -n 's|.*"default/default/\([0-9a-z]*\)".*|\1|p' meta.json)
check "the ref is that of the record" kiln builds inspect "$ref"
export BUILDX_METADATA_PROVENANCE=max BUILDX_METADATA_WARNINGS=1
check "all of it, if asked for" kiln build --metadata-file max.json -o files ctx
BUILDX_METADATA_PROVENANCE=disabled check "or nothing" kiln build --metadata-file none.json -o files ctx
check "of each platform" kiln build --metadata-file two.json --platform linux/amd64,linux/arm64 -o two \
	--build-arg BUILDKIT_ATTEST_PROVENANCE=mode=min -f - ctx << 'END'
FROM scratch
COPY f /f
END
python3 - <<'END'; ok "as asked for" $?
import json
m = json.load(open("max.json"))
p, (w,) = m["buildx.build.provenance"], m["buildx.build.warnings"]
assert "buildConfig" in p and p["metadata"]["buildInvocationID"], p
import base64
assert base64.b64decode(w["short"]).startswith(b"FromAsCasing") and w["range"][0]["start"]["line"] == 1, w
assert w["sourceInfo"]["filename"] == "Dockerfile" and w["level"] == 1
assert not [k for k in json.load(open("none.json")) if "provenance" in k]
assert {k.partition("provenance/")[2] for k in json.load(open("two.json")) if "provenance" in k} == {"linux/amd64", "linux/arm64"}
for arch in "amd64", "arm64":
    assert json.load(open("two/linux_%s/provenance.json" % arch))["predicate"]["buildDefinition"]["internalParameters"]["targetPlatform"] == "linux/" + arch
END

inspect() { kiln imagetools inspect --format "$1" "$A/$2"; }
check "imagetools shows provenance" inspect '{{json .Provenance}}' one
python3 - "$WORK/out" <<'END'; ok "of the only image" $?
import json, sys
p = json.load(open(sys.argv[1]))["SLSA"]
assert p["buildDefinition"]["externalParameters"]["request"]["args"] == {"build-arg:A": "b"}, p
END
check "a field of it" inspect '{{.Provenance.SLSA.buildDefinition.externalParameters.configSource.path}} {{.Image.os}} {{json .SBOM}}' one
prints "as it is" '^Dockerfile linux \{\}$'
check "an image for two" kiln build -q --provenance mode=min,version=v0.2 --platform linux/amd64,linux/arm64 --push -t "$A/two" -f - ctx << 'END'
FROM scratch
COPY f /f
END
check "each has its own" inspect '{{range $k, $v := .Provenance}}<{{$k}} {{$v.SLSA.buildType}}>{{end}}' two
prints "by platform" '<linux/amd64 https://mobyproject.org/buildkit@v1><linux/arm64 https'
check "an image without" kiln build -q --push -t "$A/without" ctx
check "has none" inspect '{{json .Provenance}}' without
prints "and says so" '^\{\}$'
finish
