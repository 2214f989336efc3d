# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# As distributions have it: /bin is a link, and with it go the shell and all programs.
mkdir -p ctx/rootfs/bin && echo x > ctx/rootfs/bin/foo
cat > ctx/Dockerfile << 'END_FILE'
FROM busybox AS merged
RUN mkdir -p /m/usr && cp -a /bin /m/usr/bin && ln -s usr/bin /m/bin
FROM scratch AS linked
COPY --from=merged /m /

FROM linked AS directory
COPY rootfs /
FROM linked AS hidden
COPY --link rootfs/bin/foo /bin/foo
RUN true
END_FILE
fails "a directory is not copied over a link" 1 kiln build --target directory ctx
prints "and the error names the link and the way out" "'/bin' in the image is a link to 'usr/bin'.* to '/bin/'"
fails "a layer may hide a link by a directory" 1 kiln build --target hidden ctx
prints "and the step that misses its shell then says so" "replaced '/bin', a link to 'usr/bin', with a directory.*COPY --link"

# The kernel passes on no string of 128 KiB or more.
lines=$(seq 9000 | sed 's/.*/: line number &/')
{ printf 'FROM busybox\nRUN <<EOT\n%s\nEOT\n' "$lines"; } > Dockerfile
fails "a heredoc that is too long for an argument" 1 kiln build --progress=plain .
prints "says how long it is and what to do" 'exec /bin/sh: Argument list too long: an argument of [0-9]{6} bytes.*": line number 1".*at most 131071; .*#!'
{ printf 'FROM busybox\nRUN <<EOT\n#!/bin/sh\n%s\nEOT\n' "$lines"; } > Dockerfile
check "with #! it runs, as the error says" kiln build --progress=plain .
python3 -c 'print("FROM busybox\nENV A=" + "x" * 60000 + "\nENV LONG=$A$A$A\nRUN true")' > Dockerfile
fails "so does a variable" 1 kiln build --progress=plain .
prints "by its name" 'the environment variable LONG has 18000[0-9] bytes'
finish
