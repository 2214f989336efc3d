# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The message is BuildKit's, which puzzles people; the line below it says what is the matter.
mkdir -p ctx/sub ctx/logs && touch ctx/readme ctx/Makefile ctx/sub/app.py ctx/hidden && printf '# what no image needs\n\nhidden\n/logs/\n!logs/kept\n' > ctx/.dockerignore
missing() { # missing INSTRUCTION PATH HINT
	printf 'FROM busybox\n%s\n' "$1" > Dockerfile
	fails "$1" 1 kiln build -f Dockerfile ctx
	prints "names $2" "^ERROR: failed to build: .*\"$2\": not found$"
	[ "$(tail -n 1 err)" = "$3" ]; ok "and says: $3" $?
}
missing 'COPY readmee /' /readmee 'did you mean "/readme"?'
missing 'COPY makefile /' /makefile 'did you mean "/Makefile"?'
missing 'COPY readme sub/ap.py /d/' /sub/ap.py 'did you mean "/sub/app.py"?'
missing 'COPY hidden /' /hidden 'line 3 of .dockerignore ("hidden") leaves it out of the build context'
missing 'COPY logs/today /' /logs/today 'line 4 of .dockerignore ("logs") leaves it out of the build context'
missing 'COPY nothing-like-it /' /nothing-like-it "the build context, $WORK/ctx, has no such file"
missing 'COPY no/such/dir /' /no/such/dir "the build context, $WORK/ctx, has no such file"
missing 'COPY /etc/passwd /' /etc/passwd "the build context, $WORK/ctx, has no such file, and /etc/passwd of this machine \
is not in it: copy it there, or give its folder as --build-context NAME=FOLDER and copy --from=NAME"
outside='build a folder further up (kiln build -f DOCKERFILE FOLDER), or give --build-context NAME=FOLDER and take it --from=NAME'
missing 'COPY ../lib/x.py /' /lib/x.py "\"../lib/x.py\" cannot lead out of the build context, where \"/lib/x.py\" was looked for: $outside"
missing 'RUN --mount=type=bind,source=../x,target=/x true' /x "\"../x\" cannot lead out of the build context, where \"/x\" was looked for: $outside"
missing 'COPY --from=busybox ../no /' /no '"../no" cannot lead out of what --from names, where "/no" was looked for'
missing 'COPY --from=busybox /etc/paswd /' /etc/paswd 'did you mean "/etc/passwd"?'
missing 'RUN --mount=type=bind,source=sub/ap.py,target=/x true' /sub/ap.py 'did you mean "/sub/app.py"?'
# A file of the Dockerfile's own comes before the context's.
printf '*\n' > Dockerfile.dockerignore
missing 'COPY readme /' /readme 'line 1 of Dockerfile.dockerignore ("*") leaves it out of the build context'
rm Dockerfile.dockerignore

printf 'FROM busybox\nCOPY readme /\n' > Dockerfile
printf 'fine\n\n[a-\n' > ctx/.dockerignore
fails "a pattern that is none" 1 kiln build -f Dockerfile ctx
prints "is told with its file and line" '^ERROR: failed to build: failed to solve: \.dockerignore:3: syntax error in pattern "\[a-"$'
prints "and what is wrong with it" '^"\[" begins a set of characters, which "\]" ends'
finish
