# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A step gives a descriptor of its files to another, through a socket in a cache that both share, and ends.
# The other one lives on and would write into what is a layer by then.
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
chmod 755 "$WORK" "$HOME"
mkdir -p ctx && cc -static -O1 -o ctx/hand_over "$fixtures/hand_over.c"
cat > ctx/Dockerfile <<'END'
FROM busybox AS base
COPY hand_over /bin/
FROM base AS root
RUN --mount=type=cache,id=shared,mode=0777,target=/c echo mine > /mark; touch /c/runs; hand_over give / /c/root
FROM base AS file
RUN --mount=type=cache,id=shared,mode=0777,target=/c echo mine > /mark; touch /c/runs; hand_over give /mark /c/file
FROM base AS take-root
RUN --mount=type=cache,id=shared,mode=0777,target=/c touch /c/runs; hand_over take /c/root /c/runs
FROM base AS take-file
RUN --mount=type=cache,id=shared,mode=0777,target=/c touch /c/runs; hand_over take /c/file /c/runs
FROM base AS let-go
RUN --mount=type=cache,id=shared,mode=0777,target=/c rm /c/runs
END

# attack WHO COMMAND...: who takes runs until who gives has become an image, or has failed.
attack() {
	who=$1
	shift
	for what in root file; do
		"$@" build --no-cache --progress=plain --target take-$what ctx > "$WORK/take.out" 2>&1 &
		taker=$!
		"$@" build --no-cache --progress=plain -t given --target $what ctx > "$WORK/out" 2> "$WORK/err"
		status=$?
		if [ $what = root ]; then
			ok "$who: a step may give away its root" $status
		else
			[ $status = 1 ]; ok "$who: one of whose files another can still write fails" $?
			prints "$who: and says why" 'a file of this step is still open for writing in another step'
		fi
		"$@" build --no-cache -q --target let-go ctx > /dev/null 2>&1
		wait $taker
		taken=$?
		[ $what = file ] || { cp "$WORK/take.out" "$WORK/out"; ok "$who: nothing can be written there any more" $taken; }
	done
	is "$who: the layer is what the step made" "mine " "$(output "$@" run given sh -c 'cat /mark; cat /late')"
}
as_every_user attack
finish
