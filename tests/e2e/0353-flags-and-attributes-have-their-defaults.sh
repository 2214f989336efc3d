# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What holds where no flag of `kiln build` and no attribute of an output or a cache says otherwise; the table in
# tests/fixtures/defaults/flags tells which fact shows which default.
ROOT=$(cd "$(dirname "$0")/../.." && pwd) FLAGS=$ROOT/tests/fixtures/defaults/flags
unset SSH_AUTH_SOCK SOURCE_DATE_EPOCH BUILDKIT_PROGRESS
fact() { # fact TEXT COMMAND...
	check "$@"
	printf '%s\n' "$1" >> facts
}
build() {
	kiln build "$@"
}
# manifest LAYOUT: the image's manifest, on one line; config LAYOUT
manifest() {
	tr -d '\n\t ' < "$1/blobs/sha256/$(tr -d '\n\t ' < "$1/index.json" | grep -o '"digest":"sha256:[0-9a-f]*' | tail -1 | cut -d: -f3)"
}
config() {
	cat "$1/blobs/sha256/$(manifest "$1" | grep -o '"config":{[^}]*' | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2)"
}
layers() { # layers LAYOUT: their digests, the base's first
	manifest "$1" | sed 's/.*"layers"://; s/"annotations":{[^}]*}//g' | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2
}

mkdir ctx web && echo f > ctx/f && chmod 640 ctx/f && touch -d @1000000000 ctx/f
cat > ctx/Dockerfile <<'END'
FROM busybox AS other
RUN echo other > /other
FROM busybox
ARG UNSET
COPY f /f
RUN --mount=type=cache,target=/kept --mount=type=secret,id=s --mount=type=ssh \
	echo "UNSET=${UNSET-unset}"; readlink /proc/self/ns/net; sed 's/^/hosts: /' /etc/hosts; df -k /dev/shm; \
	sed 's/  */ /g; s/^/limits: /' /proc/self/limits; awk '/allowed_list/ { print $1 $2 }' /proc/self/status; \
	ls /run/secrets "$SSH_AUTH_SOCK" 2>&1; stat -c 'mode %a %Y' /f; echo x >> /kept/x; echo kept > /made
END
touch before after out err
check "the store is empty" kiln images
ls -A . ctx > before
check "an image is built without a flag" build ctx
ls -A . ctx > after
cp err first
sed -nE 's/^#[0-9]+ [0-9.]+ //p' first > said
seen() { grep -Eq -- "$1" said; }
fact "an argument without a value is unset" seen '^UNSET=unset$'
net() { seen '^net:' && ! grep -qF "$(readlink /proc/self/ns/net)" said; }
fact "a step has a network of its own" net
hosts() { seen '^hosts: 127.0.0.1' && ! grep '^hosts: ' said | grep -v -e 127.0.0.1 -e ::1; }
fact "/etc/hosts has the loopback alone" hosts
fact "/dev/shm has 64 MB" seen '^tmpfs +65536 '
sed 's/  */ /g; s/^/limits: /' /proc/self/limits > limits; grep '^limits: ' said > got
fact "a step has the limits of kiln" diff limits got
awk '/allowed_list/ { print $1 $2 }' /proc/self/status > here; grep '_allowed_list:' said > got
fact "a step has the processors of kiln" diff here got
fact "a step has no secret" seen '/run/secrets: No such file'
fact "a step has no agent" seen 'ssh_agent.0: No such file'
fact "modes of the context stay" seen '^mode 640 '
fact "files keep their times" seen '^mode .* 1000000000$'
fact "progress is plain where there is no terminal" grep -q '^#1 \[internal\] load build definition from Dockerfile$' first
says() { ! grep -v -E '^(#[0-9]+ .*|)$' first; }
fact "a build says no more than its steps" says
fact "a cache is not looked for" sh -c '! grep -E "CACHED|importing cache" first'
fact "the Dockerfile is the context's" grep -q 'COPY f /f' first
fact "the last stage is built" sh -c 'grep -q "COPY f /f" first && ! grep -q "echo other" first'
fact "a build leaves nothing but what it was told to" diff before after
kiln images > images
fact "the image is in the store" test "$(wc -l < images)" = 3
fact "the image has no name" grep -q '^<none> *<none>' images
id=$(awk '/<none>/ { print $3 }' images)
quietly kiln inspect -f '{{.Os}}/{{.Architecture}} {{json .Config.Labels}} {{len .RootFS.Layers}} {{.Created}}' "$id" && read -r os labels count created < out
fact "the image is for this machine" test "$os" = "linux/$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')"
fact "the image has no labels" test "$labels" = null
fact "every step has its layer" test "$count" = 3
fact "the image was created now" test $(($(date +%s) - $(date -d "$created" +%s))) -lt 3600

quietly build ctx && cp err second
fact "nothing runs again" sh -c '[ "$(grep -c CACHED second)" -ge 2 ] && ! grep -q "UNSET=u" second'
printf 'FROM busybox\nRUN --mount=type=cache,target=/kept cat /kept/x\n' > kept
quietly build -f kept ctx && cp err second
fact "cache mounts keep what they have" grep -Eq '^#[0-9]+ [0-9.]+ x$' second
printf '{"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:1"]}}}\n' > none.json
fact "base images that are here need no registry" env KILN_CONFIG="$WORK/none.json" "$KILN" build -f kept ctx
fact "names of stages and images mean themselves" grep -q 'FROM docker.io/library/busybox' first
printf 'FROM busybox\nRUN --network=host true\n' > host
fact "the host's network is not allowed" sh -c '! "$KILN" build -f host ctx 2> err && grep -q "network.host is not allowed" err'
printf 'FROM busybox\nRUN false\n' > fails
fact "a step that fails ends the build" sh -c '! "$KILN" build -f fails ctx 2> err && grep -q "exit code: 1" err'
meet() { # both steps are there at once
	printf 'RUN --mount=type=cache,target=/m,id=meet touch /m/%s; for i in $(seq 200); do [ -e /m/%s ] && exit; sleep 0.05; done; false\n' "$@"
}
{ echo 'FROM busybox AS a' && meet a b && echo 'FROM busybox AS b' && meet b a && printf 'FROM scratch\nCOPY --from=a /bin/sh /a\nCOPY --from=b /bin/sh /b\n'; } > meet
fact "steps run at once" build -f meet ctx
printf 'FROM busybox\nRUN sleep 9%s\n' $$ > sleeps
"$KILN" build -f sleeps ctx > out 2> err &
kiln=$!
for _ in $(seq 200); do
	step=$(pgrep -x -f "sleep 9$$") && break
	sleep 0.05
done
# Unasked comes a limit of processes alone (docs/security.md).
unlimited() {
	group=$(sed -n 's/^0:://p' "/proc/$step/cgroup")
	for file in memory.max memory.swap.max cpu.max; do
		at=/sys/fs/cgroup$group/$file
		[ ! -e "$at" ] || grep -q '^max' "$at" || return 1
	done
	diff /proc/self/cgroup "/proc/$step/cgroup" > differs
	! grep '^[<>]' differs | grep -v -e ':pids:' -e '0::'
}
fact "a step has no limit but one of processes" unlimited
kill -INT $kiln
wait $kiln

export NO="$WORK/other"
away() { KILN_ROOT=$NO "$KILN" build "$@"; }
fact "an archive without a place goes to standard output" sh -c '"$KILN" build -o type=oci ctx > o.tar 2> err && tar -tf o.tar | grep -q "^oci-layout$"'
check "an image goes into an archive" away -o type=oci,dest=image.tar ctx
fact "an archive is a file" test -f image.tar
fact "an image that goes elsewhere is not in the store" sh -c '[ "$(KILN_ROOT=$NO "$KILN" images -a | wc -l)" = 1 ]'
mkdir image && tar -xf image.tar -C image
manifest image > manifest
fact "the manifest is OCI's" grep -q '"mediaType":"application/vnd.oci.image.manifest.v1+json"' manifest
fact "the manifest has no annotations" sh -c '! grep -q annotations manifest'
fact "the image has no attestations" sh -c '[ "$(grep -o "\"digest\"" image/index.json | wc -l)" = 1 ] && ! grep -q attestation -r image/index.json'
fact "layers are gzipped" sh -c '[ "$(grep -o "layer.v1.tar+[a-z]*" manifest | sort -u)" = layer.v1.tar+gzip ]'
check "an image is compressed at a level" away -o type=oci,dest=six,tar=false,compression-level=6 ctx
fact "at the level that gzip has by default" sh -c "[ \"$(layers image)\" = \"$(layers six)\" ]"
fact "an image with a type is in the store, too" sh -c 'KILN_ROOT=$NO "$KILN" build -o type=image,name=typed ctx && KILN_ROOT=$NO "$KILN" inspect typed > out'
mkdir -p files && echo mine > files/mine
check "files go into a folder" away -o files ctx
fact "files that were in the folder stay" grep -q mine files/mine
fact "files of one platform are in no folder of its own" test -f files/made
mkdir zstd
check "a base has layers of zstd" away -o type=oci,dest=zstd,tar=false,compression=zstd,force-compression=true ctx
printf 'FROM base\nRUN echo more > /more\n' > "more"
based() { KILN_ROOT=$WORK/fresh "$KILN" build --build-context "base=oci-layout://$WORK/zstd" -f more "$@" ctx; }
check "an image is built on that" based -o type=oci,dest=mixed,tar=false
fact "layers of the base stay as they came" sh -c "[ '$(layers zstd)' = '$(layers mixed | head -n -1)' ]"
tag=$REGISTRY/e2e-0353-$$
fact "nothing is pushed" sh -c "KILN_ROOT=\$NO \"\$KILN\" build -o type=image,name=$tag:no ctx && ! \"\$KILN\" pull $tag:no"
fact "what is pushed has its tag" sh -c "KILN_ROOT=\$NO \"\$KILN\" build -o type=registry,name=$tag:yes ctx && \"\$KILN\" pull $tag:yes"

sed 's/^FROM busybox$/FROM busybox\nCOPY --from=other \/other \/other/' ctx/Dockerfile > stages
check "a cache is written" away -f stages --cache-to type=local,dest=cache -o type=oci,dest=cached,tar=false ctx
fact "a cache has the tag latest" grep -q '"org.opencontainers.image.ref.name": *"latest"' cache/index.json
manifest cache > manifest
fact "a cache is an OCI image" grep -q '"mediaType":"application/vnd.oci.image.manifest.v1+json"' manifest
# The first is the graph; what the base's registry has is not here.
layers cache | tail -n +2 | sort > got
layers cached | tail -n +2 | sort > want
fact "the cache has the layers of the image and no others" diff want got
fact "layers of a cache are gzipped" sh -c '[ "$(grep -o "layer.v1.tar+[a-z]*" manifest | sort -u)" = layer.v1.tar+gzip ]'
fact "layers of a cache are those of the image" diff want got
fact "no cache mount travels" sh -c '! grep -q -i mount manifest cache/index.json'
check "another cache goes into the folder" based --cache-to type=local,dest=cache,tag=second -o type=none
fact "what else a folder has for a cache stays" sh -c '[ "$(grep -o "ref.name\": *\"[a-z]*" cache/index.json | sort | tr -d "\n ")" = "ref.name\":\"latestref.name\":\"second" ]'
check "a cache of zstd is written" away -f stages --cache-to type=local,dest=zcache,compression=zstd,force-compression=true -o type=none ctx
again() { KILN_ROOT=$WORK/third "$KILN" build -f stages --cache-from type=local,src=zcache --cache-to type=local,dest=again -o type=none ctx; }
check "it is written again by a build that uses it" again
layers zcache | tail -n +2 > want
layers again | tail -n +2 > got
manifest zcache > manifest
zstd() { grep -q 'layer.v1.tar+zstd' manifest && diff want got; }
fact "layers that a cache gave stay as they came" zstd
found() { KILN_ROOT=$WORK/found "$KILN" build -f stages --cache-from type=local,src=cache ctx && [ "$(cached)" -ge 3 ]; }
fact "a cache is found without its tag" found
mkdir full && : > full/file
fact "a cache that cannot be written fails the build" sh -c '! KILN_ROOT=$NO "$KILN" build --cache-to type=local,dest=full/file/x ctx'
fact "a registry of the loopback needs no word" sh -c "KILN_ROOT=\$NO \"\$KILN\" build --cache-to type=registry,ref=$tag:cache --cache-from type=registry,ref=$tag:cache ctx"

# What instructions do without options that tests/fixtures/defaults/Dockerfile cannot show.
git init -q -b main repo 2> err && git -C repo -c user.name=a -c user.email=a@example commit -q --allow-empty -m empty &&
	cp ctx/f repo/ && git -C repo add f && git -C repo -c user.name=a -c user.email=a@example commit -q -m f &&
	git clone -q --bare repo web/repo.git && git -C web/repo.git update-server-info && cp ctx/f web/
serve_http web
cat > options <<END
FROM busybox
RUN mkdir /real && ln -s real /l
COPY f /l/copied
ADD f /l/added
ADD http://127.0.0.1:$HTTP_PORT/f /by-url
ADD http://127.0.0.1:$HTTP_PORT/repo.git#main /repo
RUN ls -d /real/copied /real/added /by-url /repo/f /repo/.git 2>&1; echo \$(cd /dev && ls)
END
check "files come from everywhere" build --progress=plain -f options ctx
sed -nE 's/^#[0-9]+ [0-9.]+ //p' err > said
fact "COPY follows a link of the destination" seen '^/real/copied$'
fact "ADD follows a link of the destination" seen '^/real/added$'
fact "a file comes by URL without a checksum" seen '^/by-url$'
bare() { seen '^/repo/f$' && ! grep -q '^/repo/.git$' said; }
fact "a git repository comes without its .git" bare
fact "/dev has no device of this machine" seen '^(console )?(core )?fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero$'

# The program's own tables: a key that comes to them needs a row.
keys() { grep -o '{"[a-z0-9.-]*"\|strcmp(key, "[a-z.-]*"\|strcmp(field, "type"' | sed 's/.*"\([a-z0-9.-]*\)"$/\1/'; }
known() {
	sed -n '/^static int set_layers/,/^}/p; /^static int set_attribute/,/^}/p' "$ROOT/engine/export/export_options.c" | keys | sed 's/^/output /'
	echo "output annotation"
	sed -n '/^static int set_export/,/^}/p; /^static int set(/,/^}/p' "$ROOT/engine/remote_cache/remote_spec.c" | keys | grep -vx type | sed 's/^/cache-to /'
	for backend in local registry; do
		for way in import:from export:to; do
			sed -n "/^static const char \*const ${way%:*}_attrs/p" "$ROOT/engine/remote_cache/remote_$backend.c" | grep -o '"[a-z.]*"' | tr -d '"' | sed "s/^/cache-${way#*:} /"
		done
	done
	sed -n '/struct opt table\[\] = {/,/^	};/p' "$ROOT/cmd/build/build_options.c" | grep -v OPT_IGNORED | keys | sed 's/^/build /'
}
known | LC_ALL=C sort -u > known
grep -v '^#' "$FLAGS" | sed 's/ | .*//' | LC_ALL=C sort > rows
diff known rows > out && test "$(wc -l < known)" -gt 70
ok "every flag and every attribute has a row" $?
grep -v '^#' "$FLAGS" | sed 's/.* | //' | grep -vxF -f facts > out
test ! -s out
ok "and a fact that shows its default" $?
finish
