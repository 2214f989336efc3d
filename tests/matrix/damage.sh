# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/e2e/0336 after tests/e2e/lib.sh: what is stored is damaged, and then everything is done with it that
# can be done. A damaged result is a miss for every build, whatever comes out of it: never an error, and said once.
# STATES, DAMAGES and USES choose (all of them by default).
#
#	damage_prepare			a store for each state
#	damage_matrix			each damage with each use
#
# The states of a store: `made` here, `sent` in every form as well, `imported` from a cache in a registry and
# only named, `used`: the same after a container ran from it, `pulled`: likewise an image.

STATES=${STATES:-made sent imported used pulled}
DAMAGES=${DAMAGES:-blob-flip blob-cut blob-gone dir-changed dir-gone index-flip index-cut index-gone record-flip}
BUILDS="local tar oci zstd image docker push none more copy cache inline squash"
COMMANDS="run save kilnpush"
DAMAGE_USES=${DAMAGE_USES:-$BUILDS $COMMANDS}

damage_prepare() {
	mkdir -p "$WORK/app" && cd "$WORK/app" || return 1
	head -c 30000 /dev/urandom > big
	cat > Dockerfile <<-'DOCKERFILE'
		FROM busybox AS steps
		RUN mkdir /d && head -c 20000 /dev/urandom > /d/random && md5sum /d/random > /sum
		RUN rm /sum && md5sum /d/random > /sum && mkdir /e
		COPY big /big
		RUN touch /e && md5sum /big > /sum2
		FROM steps AS more
		ARG AGAIN
		RUN md5sum -c /sum /sum2 && echo $AGAIN
		FROM busybox AS copy
		ARG AGAIN
		COPY --from=steps / /all/
		RUN cd /all && md5sum d/random big && echo $AGAIN
	DOCKERFILE
	IMAGE=$REGISTRY/damage-$$:1
	on state-made kiln build -t "$IMAGE" --target steps . > out 2> err || return 1
	cp -a "$WORK/state-made" "$WORK/state-sent"
	on state-sent kiln build --target steps -o "type=image,name=$IMAGE,push=true" -o type=oci,dest=o.tar \
		-o type=oci,dest=z.tar,compression=zstd --cache-to "type=registry,ref=$IMAGE-cache,mode=max" . > out 2> err || return 1
	on state-imported kiln build --target steps -t "$IMAGE" --cache-from "type=registry,ref=$IMAGE-cache" . > out 2> err || return 1
	cp -a "$WORK/state-imported" "$WORK/state-used"
	on state-used kiln run --rm "$IMAGE" true > out 2> err || return 1
	on state-pulled kiln pull "$IMAGE" > out 2> err && on state-pulled kiln run --rm "$IMAGE" true > out 2> err
	rm -f o.tar z.tar out err
}

flip() { # FILE: one byte in its middle is another
	python3 - "$1" <<-'PYTHON'
		import os, sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(os.path.getsize(sys.argv[1]) // 2)
		    old = f.read(1)
		    f.seek(-1, 1)
		    f.write(bytes([old[0] ^ 1]))
	PYTHON
}

# Changes all of the kind that the store has; fails where it has none.
damage() { # DAMAGE
	local file any=1
	case $1 in
	blob-*) set -- "$1" $(find "$KILN_ROOT/blobs" -type f -size +1) ;; # layers; the smallest ones may be documents
	dir-*) set -- "$1" $(ls -d "$KILN_ROOT"/layers/*/fs 2> /dev/null) ;;
	index-*) set -- "$1" $(ls "$KILN_ROOT"/layers/*/index 2> /dev/null) ;;
	record-flip)
		python3 - "$KILN_ROOT/kiln.db" <<-'PYTHON'
			import sqlite3, sys
			db = sqlite3.connect(sys.argv[1])
			n = db.execute("UPDATE record SET checksum = checksum + 1").rowcount
			db.commit()
			sys.exit(n == 0)
		PYTHON
		return
		;;
	esac
	for file in "${@:2}"; do
		any=0
		case $1 in
		*-flip) flip "$file" ;;
		*-cut) truncate -s $(($(stat -c %s "$file") / 2)) "$file" ;;
		dir-changed) find "$file" -type f -size +0 -exec sh -c 'for f; do printf x >> "$f"; done' - {} + ;;
		*-gone) rm -r "$file" ;;
		esac
	done
	return $any
}

# What is right afterwards: the files of the layers, by their sums.
whole() { # DIR: d/random and big are what their sums say
	(cd "$1" && sed -i 's, /, ,' sum sum2 && md5sum -c sum sum2) > "$WORK/sums" 2>&1
}

damage_use() { # USE: does it, and looks at what came out
	local b=(kiln build --progress plain --target steps --cache-from "type=registry,ref=$IMAGE-cache")

	rm -rf "$WORK/got" && mkdir "$WORK/got"
	case $1 in
	local) "${b[@]}" -o "type=local,dest=$WORK/got" . && whole "$WORK/got" ;;
	tar) "${b[@]}" -o "type=tar,dest=$WORK/got.tar" . && tar -xf "$WORK/got.tar" -C "$WORK/got" && whole "$WORK/got" ;;
	oci) "${b[@]}" -o "type=oci,dest=$WORK/got.tar" . && loads ;;
	zstd) "${b[@]}" -o "type=oci,dest=$WORK/got.tar,compression=zstd" . && loads ;;
	docker) "${b[@]}" -o "type=docker,dest=$WORK/got.tar,name=$IMAGE" . && loads ;;
	image) "${b[@]}" -t "$IMAGE" . ;;
	push) "${b[@]}" -o "type=image,name=$IMAGE-again,push=true" . && on empty kiln pull "$IMAGE-again" && on empty kiln store verify ;;
	none) "${b[@]}" . ;;
	more) "${b[@]}" --target more --build-arg AGAIN=$RANDOM . ;;
	copy) "${b[@]}" --target copy --build-arg AGAIN=$RANDOM . ;;
	cache) "${b[@]}" --cache-to "type=local,dest=$WORK/got,mode=max" . &&
		on empty kiln build -o "type=local,dest=$WORK/got/files" --target steps --cache-from "type=local,src=$WORK/got" . && whole "$WORK/got/files" ;;
	inline) "${b[@]}" -o "type=image,name=$IMAGE-inline,push=true" --cache-to type=inline . ;;
	squash) "${b[@]}" --squash -o "type=oci,dest=$WORK/got.tar" . && loads ;;
	run) kiln run --rm "$IMAGE" sh -c 'md5sum -c /sum /sum2' ;;
	save) kiln save -o "$WORK/got.tar" "$IMAGE" && loads ;;
	kilnpush) kiln push "$IMAGE" ;;
	esac
}
loads() {
	on empty kiln load -i "$WORK/got.tar" && on empty kiln store verify
}

damage_case() { # STATE DAMAGE USE
	rm -rf "$WORK/empty" "$WORK/damaged"
	KILN_ROOT=$WORK/damaged
	cp -a "$WORK/state-$1" "$KILN_ROOT"
	damage $2 || return 0
	quietly damage_use $3
	DAMAGE_STATUS=$?
	[ $DAMAGE_STATUS = 0 ] && [ "$(grep -c WARN "$WORK/err")" = "$(grep WARN "$WORK/err" | sort -u | wc -l)" ]
	ok "$1, $2: $3" $?
}

damage_matrix() {
	local state kind use
	for state in $STATES; do
		for kind in $DAMAGES; do
			for use in $DAMAGE_USES; do
				damage_case $state $kind $use
			done
		done
	done
}
