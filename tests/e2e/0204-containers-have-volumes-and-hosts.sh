# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

cat > Dockerfile <<'END'
FROM busybox
RUN echo ada:x:1234:1234::/:/bin/sh >> /etc/passwd && mkdir -p /data /late && echo seeded > /data/file && chown -R ada /data
VOLUME /data /missing/deep /run/later
END
check "an image with volumes is built" kiln build -t volumes .
check "its volumes are there" kiln run volumes sh -c \
	'cat /data/file && stat -c "%n %U %a" /data /missing/deep && touch /missing/deep/x && echo more > /data/more'
prints "with what the image has in them" '^seeded$'
prints "for their owner" '^/data ada 755$'
prints "or empty" '^/missing/deep root 755$'
fails "and new each time" 1 kiln run volumes ls /data/more
mkdir mine && echo mine > mine/file
check "a volume of the caller's comes before the image's" kiln run -v ./mine:/data volumes cat /data/file
prints "with its files" '^mine$'

check "names of hosts are added" kiln run --add-host db:10.1.2.3 --add-host 'six=[fd00::1]' busybox cat /etc/hosts
prints "with their address" '^10\.1\.2\.3[[:space:]]+db$'
prints "in brackets, too" '^fd00::1[[:space:]]+six$'
fails "a host needs an address" 125 kiln run --add-host db busybox true

mkdir -p base/bin && cp /bin/busybox base/bin/busybox && ln -s busybox base/bin/sh
cat > Dockerfile <<'END'
FROM mine
RUN echo "steps run on a context" && echo x > /new
COPY Dockerfile /copied
END
check "a context is a base image" kiln build --build-context mine=base -t based .
prints "on which steps run" 'steps run on a context'
check "and containers" kiln run based sh -c 'read x < /new; echo "new: $x"'
prints "with all files" '^new: x$'

printf '# syntax=docker/dockerfile:1-labs\nFROM busybox\nRUN --device=vendor.example/gpu=all,required true\n' > Dockerfile
fails "devices are refused" 1 kiln build .
prints "by name" 'device vendor.example/gpu=all is requested by the build but not allowed'
printf 'FROM busybox\nRUN --network=host true\n' > Dockerfile
fails "the host's network has to be allowed" 1 kiln build .
prints "by its name" 'network.host is not allowed'
check "then a step has it" kiln build --allow network.host .

finish
