# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The message is BuildKit's, which puzzles people; the line below it says what is the matter.
mkdir -p ctx/sub && touch ctx/readme ctx/Makefile ctx/sub/app.py ctx/hidden && printf 'hidden\n' > ctx/.dockerignore
missing() { # missing INSTRUCTION PATH HINT
	printf 'FROM busybox\n%s\n' "$1" > Dockerfile
	fails "$1" 1 kiln build -f Dockerfile ctx
	prints "names $2" "^ERROR: failed to build: .*\"$2\": not found$"
	[ "$(tail -n 1 err)" = "$3" ]; ok "and says: $3" $?
}
missing 'COPY readmee /' /readmee 'did you mean "/readme"?'
missing 'COPY makefile /' /makefile 'did you mean "/Makefile"?'
missing 'COPY readme sub/ap.py /d/' /sub/ap.py 'did you mean "/sub/app.py"?'
missing 'COPY hidden /' /hidden '.dockerignore leaves it out of the build context'
missing 'COPY nothing-like-it /' /nothing-like-it 'the build context has no such file'
missing 'COPY no/such/dir /' /no/such/dir 'the build context has no such file'
missing 'COPY --from=busybox /etc/paswd /' /etc/paswd 'did you mean "/etc/passwd"?'
missing 'RUN --mount=type=bind,source=sub/ap.py,target=/x true' /sub/ap.py 'did you mean "/sub/app.py"?'
finish
