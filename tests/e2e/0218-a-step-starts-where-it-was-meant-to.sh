# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
chmod 755 "$WORK" "$HOME"
mkdir -p ctx && cc -static -O1 -o ctx/flip "$fixtures/flip.c"
# One step swaps the directory in which others start, for links to what the helper has open. They may
# fail, but a directory other than theirs is never where they are.
{
	cat <<- 'END_FILE'
		FROM busybox AS flip
		COPY flip /flip
		RUN --mount=type=cache,id=shared,mode=0777,target=/c touch /c/started; /flip 3 /c/x && rm /c/started
	END_FILE
	for n in $(seq 20); do
		cat <<- END_FILE
			FROM busybox AS work$n
			ENV N=$n
			WORKDIR /c/x
			RUN --mount=type=cache,id=shared,mode=0777,target=/c case \$(readlink /proc/self/cwd) in /c/*) ;; *) readlink /proc/self/cwd; ls -la .; echo lost > /c/lost ;; esac
		END_FILE
	done
	printf 'FROM busybox AS result\nRUN --mount=type=cache,id=shared,target=/c [ ! -e /c/lost ]\n'
} > ctx/Dockerfile

attack() { # attack WHO COMMAND...: as many steps as there is time for
	who=$1
	shift
	"$@" build --no-cache -q --target flip ctx > "$WORK/flip.out" 2>&1 &
	flip=$!
	n=0
	while kill -0 $flip 2> /dev/null; do
		n=$((n % 20 + 1))
		"$@" build --no-cache -q --target "work$n" ctx > "$WORK/last.out" 2> "$WORK/last.err"
	done
	wait $flip
	ok "$who: a step may swap what is in its cache" $?
	check "$who: no step starts in a directory of the helper's" "$@" build --no-cache --target result ctx
}
as_every_user attack
finish
