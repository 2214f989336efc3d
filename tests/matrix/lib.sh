# SPDX-License-Identifier: Apache-2.0
# Sourced by run and by the short part in the e2e suite (0152), after tests/e2e/lib.sh. S3_URL is there.
#
#	make_context NAME		a build context of NAME.Dockerfile in $WORK/app
#	matrix_here			builds it on this machine: what all others are compared with
#	matrix_travel WAY		brings the result to an empty store in one way
#	matrix_use USE			does something with it there, and compares what comes out
#
# A way is a cache (local, registry or s3, of mode min or max: registry-max; inline) or an image (pull, load,
# oci, layout, index).

MATRIX=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHES="local-min local-max registry-min registry-max s3-min s3-max inline"
IMAGES="pull load oci layout index"
USES=${USES:-run step copy tar local oci push}

# An archive with what steps as such cannot make: odd times, a capability, owners of no range, hard links.
make_things() {
	python3 - "$1" <<-'PYTHON'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as t:
		    def put(name, type=tarfile.REGTYPE, data=b"", **more):
		        m = tarfile.TarInfo(name)
		        m.type, m.size, m.mtime = type, len(data), more.pop("mtime", 1.5)
		        m.mode = more.pop("mode", 0o755 if type == tarfile.DIRTYPE else 0o644)
		        for key, value in more.items():
		            setattr(m, key, value)
		        t.addfile(m, io.BytesIO(data))
		    put("dir", tarfile.DIRTYPE, mtime=-1)
		    put("dir/before", data=b"1", mtime=-86400)
		    put("dir/far", data=b"2", mtime=8589934592)
		    put("dir/link", tarfile.LNKTYPE, linkname="dir/before")
		    put("capable", data=b"program", mode=0o755, pax_headers={
		        "SCHILY.xattr.security.capability": bytes.fromhex("0100000200040000" + "00" * 12).decode("latin-1")})
		    put("owned", data=b"x", uid=30000, gid=40000, mode=0o6755)
		    put("empty", tarfile.DIRTYPE, mode=0o700, uid=5)
	PYTHON
}

make_context() { # NAME
	mkdir -p "$WORK/app" && cd "$WORK/app" || return 1
	cat "$MATRIX/$1.Dockerfile" "$MATRIX/uses.Dockerfile" > Dockerfile
	{ echo "FROM $REGISTRY/matrix-$$:push AS steps" | cat - "$MATRIX/uses.Dockerfile"; } > of-image.Dockerfile
	echo "of the context" > f
	make_things things.tar
	N_STEPS=$(grep -cE '^(RUN|COPY|ADD|WORKDIR) ' "$MATRIX/$1.Dockerfile")
}

# For debian: a package of pip's, and one of npm's with another in it.
make_packages() {
	mkdir -p package/matrix node/inner
	echo 'print("matrix")' > package/matrix/__init__.py
	printf 'from setuptools import setup\nsetup(name="matrix", version="1", packages=["matrix"], entry_points={"console_scripts": ["matrix=matrix:main"]})\n' > package/setup.py
	echo '{"name": "app", "version": "1.0.0", "dependencies": {"inner": "file:inner"}}' > node/package.json
	echo '{"name": "inner", "version": "1.0.0", "bin": {"inner": "inner.js"}}' > node/inner/package.json
	printf '#!/usr/bin/env node\n' > node/inner/inner.js
	cat > node/package-lock.json <<-'JSON'
		{"name": "app", "version": "1.0.0", "lockfileVersion": 2, "requires": true, "packages": {
		 "": {"name": "app", "version": "1.0.0", "dependencies": {"inner": "file:inner"}},
		 "inner": {"version": "1.0.0", "bin": {"inner": "inner.js"}},
		 "node_modules/inner": {"resolved": "inner", "link": true}},
		 "dependencies": {"inner": {"version": "file:inner"}}}
	JSON
}

cache_of() { # WAY: what --cache-from takes
	case $1 in
	local-*) echo "type=local,src=$WORK/cache-$1" ;;
	registry-*) echo "type=registry,ref=$REGISTRY/matrix-$$:$1" ;;
	s3-*) echo "type=s3,bucket=cache,endpoint_url=$S3_URL,name=$1" ;;
	inline) echo "type=registry,ref=$REGISTRY/matrix-$$:push" ;;
	esac
}

matrix_build() { # ARGUMENT...
	quietly kiln build --progress plain --build-context "tools=$MATRIX" "${FROM[@]}" "$@" .
}

matrix_here() {
	local way to=()

	for way in $CACHES; do
		[ $way = inline ] || to+=(--cache-to "$(cache_of $way | sed 's/,src=/,dest=/'),mode=${way#*-}")
	done
	STORE=here KILN_ROOT=$WORK/here FROM=()
	matrix_build --target steps "${to[@]}" --cache-to type=inline \
		-o "type=image,name=$REGISTRY/matrix-$$:push,push=true"
	ok "ordinary steps are built, and leave in every way" $?
	check "also saved" kiln save -o "$WORK/saved.tar" "$REGISTRY/matrix-$$:push"
	check "as a layout" kiln build --build-context "tools=$MATRIX" --target steps -o "type=oci,dest=$WORK/layout,tar=false" .
	check "and in an image index" kiln imagetools create -t "$REGISTRY/matrix-$$:index" "$REGISTRY/matrix-$$:push"
	for use in $USES; do
		matrix_do $use "$WORK/here.$use" || ok "here: $use" 1
	done
}

matrix_travel() { # WAY
	local image=$REGISTRY/matrix-$$:push

	WAY=$1 STORE=$1 KILN_ROOT=$WORK/store-$1 FROM=(-f of-image.Dockerfile)
	case $1 in
	pull) check "$1: the image comes" kiln pull "$image" ;;
	load) check "$1: the image comes" kiln load -i "$WORK/saved.tar" ;;
	oci) check "$1: the image comes" kiln load -i "$WORK/here.oci.tar" && quietly kiln tag matrix-oci "$image" ;;
	layout)
		FROM=(--build-context "$image=oci-layout://$WORK/layout" -f of-image.Dockerfile)
		matrix_build --target steps -t "$image"
		ok "$1: the image comes" $?
		;;
	index) check "$1: the image comes" kiln pull "$REGISTRY/matrix-$$:index" && quietly kiln tag "$REGISTRY/matrix-$$:index" "$image" ;;
	*)
		FROM=(--cache-from "$(cache_of $1)")
		matrix_build --target steps -t "$image"
		[ $? = 0 ] && [ "$(cached)" = "$N_STEPS" ] && ! grep -q WARN "$WORK/err"
		ok "$1: every step is found" $?
		;;
	esac
}

# What USE gives goes to FILE, to be compared.
matrix_do() { # USE FILE
	local image=$REGISTRY/matrix-$$:push

	case $1 in
	run) kiln run --rm --network none -v "$MATRIX:/dev/shm/matrix:ro" -w / "$image" sh /dev/shm/matrix/list > "$2" 2> "$WORK/err" ;;
	step | copy) matrix_build --target "$1-listing" -o "type=local,dest=$2.dir" && cp "$2.dir/listing" "$2" ;;
	tar) matrix_build --target steps -o "type=tar,dest=$2" ;;
	local)
		matrix_build --target steps -o "type=local,dest=$2.dir" && (cd "$2.dir" && sh "$MATRIX/list") > "$2"
		;;
	oci)
		matrix_build --target steps -o "type=oci,dest=$2.tar,name=matrix-oci" && matrix_layers "$2.tar" > "$2"
		;;
	push)
		matrix_build --target steps -o "type=image,name=$REGISTRY/matrix-$$:again-$STORE,push=true" &&
			kiln imagetools inspect --raw "$REGISTRY/matrix-$$:again-$STORE" > "$2.raw" &&
			python3 -c 'import json, sys
for l in json.load(sys.stdin)["layers"]: print(l["digest"], l["size"])' < "$2.raw" > "$2"
		;;
	esac
}

# The digests of an archive's layers, packed and unpacked.
matrix_layers() { # TAR
	python3 - "$1" <<-'PYTHON'
		import json, sys, tarfile
		t = tarfile.open(sys.argv[1])
		def get(d):
		    return json.load(t.extractfile("blobs/" + d["digest"].replace(":", "/")))
		for d in json.load(t.extractfile("index.json"))["manifests"]:
		    m = get(d)
		    for layer in m["layers"]:
		        print("blob", layer["digest"], layer["size"])
		    for diff_id in get(m["config"])["rootfs"]["diff_ids"]:
		        print("diff ID", diff_id)
	PYTHON
}

# What `kiln save` wrote is not compressed, and stays as it came: then only diff IDs can be compared.
matrix_said() { # USE FILE
	if [ "$WAY $1" = "load oci" ]; then grep '^diff ID' "$2"; elif [ "$WAY $1" != "load push" ]; then cat "$2"; fi
}

matrix_use() { # USE...
	for use; do
		rm -rf "$WORK/there" "$WORK/there.dir" "$WORK/there.tar"
		matrix_do "$use" "$WORK/there" && ! grep -q WARN "$WORK/err" && [ -s "$WORK/there" ] &&
			diff <(matrix_said "$use" "$WORK/here.$use") <(matrix_said "$use" "$WORK/there") > "$WORK/out"
		ok "$WAY: $use is the same as here" $?
	done
}
