# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app worker
cat > base.Dockerfile <<'END'
FROM busybox
ENV FROM_BASE=yes
RUN echo shared-step > /shared
END
cat > app/Dockerfile <<'END'
FROM base
ARG WHO=nobody
RUN echo "built for $WHO, $FROM_BASE" > /who
COPY here /here
END
cp app/Dockerfile worker/Dockerfile
echo app > app/here
echo worker > worker/here
cat > docker-bake.hcl <<'END'
group "default" { targets = ["app", "worker"] }
target "base" { dockerfile = "base.Dockerfile" }
target "_common" { contexts = { base = "target:base" } }
target "app" {
  inherits = ["_common"]
  context = "app"
  tags = ["app:1", "app:2"]
  args = { WHO = "app" }
}
target "worker" {
  inherits = ["_common"]
  context = "worker"
  tags = ["worker"]
}
target "inline" {
  dockerfile-inline = <<EOT
FROM busybox
RUN echo inline > /inline
EOT
  tags = ["inline"]
}
target "broken" {
  dockerfile-inline = "FROM busybox\nRUN exit 7\n"
}
END
check "targets are built together" kiln bake --progress plain --metadata-file meta.json
[ "$(grep -cE '^#[0-9]+ \[.*RUN echo shared-step' err)" -ge 1 ] &&
	[ "$(grep -E '^#[0-9]+ \[.*RUN echo shared-step' err | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
ok "and what they share runs once" $?
prints "steps name their target" '^#[0-9]+ \[worker 2/3\] COPY here /here'
check "each has its own arguments" kiln run --rm app:1 cat /who /shared /here
prints "and what it inherits of its linked target" '^built for app, yes$'
check "each has its own context" kiln run --rm worker cat /here
prints "though both are called alike" '^worker$'
check "one image has several names" kiln run --rm app:2 true
grep -q '"app": {' meta.json && grep -q '"containerimage.digest"' meta.json
ok "the metadata has the targets by name" $?
check "a second time" kiln bake --progress plain
[ "$(grep -c 'CACHED' err)" -ge 4 ]
ok "everything is found" $?

check "a Dockerfile may stand in the file" kiln bake --progress plain inline --set inline.tags=other
check "and --set says what it is called" kiln run --rm other cat /inline
fails "a step that fails fails the bake" 1 kiln bake --progress plain app broken
prints "and its target is named" '^ERROR: .*target broken: process "/bin/sh -c exit 7"'
prints "with the line" '2 \| >>> RUN exit 7'
fails "a missing file is told" 1 kiln bake app --set app.dockerfile=nope
prints "with its target" 'target app: .*nope'
check "checks are made of each" kiln bake --check app worker
prints "with the name before it" '^worker$'

mkdir -p elsewhere project
cp app/* elsewhere
cp base.Dockerfile project
cat > project/docker-bake.hcl <<'END'
target "base" { dockerfile = "base.Dockerfile" }
target "default" {
  context = "../elsewhere"
  contexts = { base = "target:base" }
  output = ["type=cacheonly"]
}
target "host" {
  dockerfile-inline = "FROM busybox"
  network = "host"
}
END
fails "folders elsewhere are to be allowed" 1 sh -c 'cd project && "$0" bake </dev/null' "$KILN"
prints "by a flag that is named" "--allow fs.read=$WORK/elsewhere"
check "and then are read" sh -c 'cd project && "$0" bake --allow fs.read=../elsewhere' "$KILN"
check "or by the environment" sh -c 'cd project && BUILDX_BAKE_ENTITLEMENTS_FS=0 "$0" bake' "$KILN"
fails "so is the host's network" 1 sh -c 'cd project && "$0" bake host </dev/null' "$KILN"
prints "which is named" '--allow network.host'
check "and then is given" sh -c 'cd project && "$0" bake host --allow network.host --set host.output=type=cacheonly' "$KILN"

check "images are pushed" kiln bake app --push --set "app.tags=$REGISTRY/bake/app:1"
check "and are there" kiln imagetools inspect "$REGISTRY/bake/app:1"
check "files are written" kiln bake app --set app.output=type=local,dest=made
grep -q 'built for app' made/who
ok "with what was built" $?

finish
