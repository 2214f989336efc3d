# SPDX-License-Identifier: Apache-2.0
# What a step on a copy of its root leaves, and what is seen of it, is what it would be on an overlay.
. "$(dirname "$0")/lib.sh"
export KILN_LAYERS=copy

terminal="$(dirname "$0")/../fixtures/terminal.py"
on_terminal() { # on_terminal COMMAND... < SCRIPT: the terminal's lines go to $WORK/out
	python3 "$terminal" "$@" > "$WORK/raw" 2> "$WORK/err"
	result=$?
	tr -d '\r' < "$WORK/raw" > "$WORK/out"
	return $result
}

mkdir src && echo data > src/file
cat > Dockerfile <<'END'
FROM busybox AS base
RUN echo below > /below
FROM base
RUN --mount=type=bind,source=src,target=/src,rw --mount=type=bind,from=base,target=/base,rw --mount=type=cache,target=/mnt/new/cache \
	echo left > /half && echo changed > /below && echo w > /src/written && echo w > /base/written && echo c > /mnt/new/cache/c && exit 7
END
on_terminal "$KILN" build --progress=plain --debug-shell . <<'END'
see exit code 7. Open a shell
type y
see #
type echo "half=$(cat /half) below=$(cat /below) src=$(cat /src/file /src/written | tr '\n' ,) base=$(cat /base/below /base/written | tr '\n' ,) cache=$(cat /mnt/new/cache/c)"
see half=left below=changed src=data,w, base=below,w, cache=c
type echo more > /half; exit 3
END
test $? = 1; ok "a shell opens in what a failed step on copied layers has left" $?
prints "and then the build fails as it would have" 'did not complete successfully: exit code: 7'
leaves_nothing "nothing is left of it"
on_terminal "$KILN" debug shell 'RUN --mount*' --progress=plain . <<'END'
see #
type echo "below=$(cat /below) files=$(ls /src /base/below | tr '\n' ,)"
see below=below files=/base/below,,/src:,file,
type exit 9
END
test $? = 9; ok "and in one that has not run" $?
finish
