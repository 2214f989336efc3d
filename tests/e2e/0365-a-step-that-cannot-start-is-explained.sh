# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The error is BuildKit's; the line below it says what is the matter, which the shell does not. The
# commonest cases are in 0367.
mkdir ctx
printf '#!/bin/bash\necho no\n' > ctx/bash.sh
printf '#!/usr/bin/env python3\nprint()\n' > ctx/env.py
printf '#!/bin/sh\r\nset -e\r\necho no\r\n' > ctx/crlf.sh
chmod +x ctx/*
echo text > ctx/text
# What a dynamic program begins with, and the name of its loader.
python3 - > ctx/dynamic << 'END'
import struct, sys
name = b"/lib64/ld-nowhere.so.2\0"
machine = open("/proc/self/exe", "rb").read(20)[18:20]
head = b"\x7fELF\2\1\1" + bytes(9) + b"\3\0" + machine + struct.pack("<IQQQIHHHHHH", 1, 64, 64, 0, 0, 64, 56, 1, 0, 0, 0)
part = struct.pack("<IIQQQQQQ", 3, 4, 120, 120, 120, len(name), len(name), 1)
sys.stdout.buffer.write(head + part + name)
END
explained() { # explained INSTRUCTION HINT [BUILD OPTIONS]
	printf 'FROM busybox\n%s\n' "$1" > Dockerfile
	said=$2 instruction=$1
	shift 2
	fails "$(printf '%s' "$instruction" | tail -n 1)" 1 kiln build -f Dockerfile "$@" ctx
	[ "$(tail -n 1 err)" = "$said" ]; ok "says: $said" $?
}
crlf='end as on Windows (CR LF), and the CR counts as part of the last word: save it with LF; git does so with a line "*.sh text eol=lf" in .gitattributes'
names='which its first line names as its interpreter, is not in the image: install that, or name another'
explained 'COPY bash.sh /
RUN echo first && A=b /bash.sh' "/bash.sh is there, but /bin/bash, $names"
explained 'COPY bash.sh /
RUN ["/bash.sh"]' "/bash.sh is there, but /bin/bash, $names"
prints "and so does its log" 'exec: "/bash.sh": its interpreter is not there: /bin/bash$'
explained 'COPY env.py /usr/bin/app
RUN if true; then app; fi' "/usr/bin/app is there, but python3, $names"
explained 'RUN --mount=type=bind,target=/src /src/bash.sh' "/src/bash.sh is there, but /bin/bash, $names"
explained 'RUN <<EOF
#!/bin/bash
EOF' "/dev/pipes/EOF is there, but /bin/bash, $names"
explained 'WORKDIR /w
COPY crlf.sh .
RUN ["./crlf.sh"]' "the lines of /w/crlf.sh $crlf"
explained 'COPY crlf.sh /
RUN sh -e /crlf.sh' "the lines of /crlf.sh $crlf"
explained 'COPY --chmod=755 text /
RUN ["/text"]' "/text begins neither as a program does nor with #!: a script's first line names its interpreter, as in #!/bin/sh"
explained 'COPY --chmod=755 dynamic /
RUN /dynamic' '/dynamic was built for another system: the image has no /lib64/ld-nowhere.so.2, the loader that it asks for (a glibc program on an image of musl or busybox, or the reverse); build it statically, or in an image like this one'
explained 'RUN ["ls /"]' 'the list has all of it in one string: each argument is a string of its own, as in ["program", "argument"]; without brackets a shell splits it and replaces variables'
explained 'RUN ["cd", "/"]' 'cd is part of a shell, which a list has none of: leave out the brackets, or write ["/bin/sh", "-c", "cd ..."]'
explained "RUN sh -c 'kill -SEGV \$\$'; exit \$?" 'exit code 139 stands for a process that was ended by SIGSEGV: it crashed'
explained "RUN sh -c 'kill -KILL \$\$'; exit \$?" 'exit code 137 stands for a process that was ended by SIGKILL, which the kernel sends when this machine or its container runs out of memory (dmesg tells)'

printf 'FROM busybox\nRUN nothing-like-it\n' > Dockerfile
fails "where nothing is known" 1 kiln build -f Dockerfile ctx
[ "$(tail -n 1 err)" = 'ERROR: failed to build: failed to solve: process "/bin/sh -c nothing-like-it" did not complete successfully: exit code: 127' ]
ok "nothing is said" $?
finish
