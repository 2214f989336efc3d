# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# An id without a name has no subordinate ids; for the second half it gets both.
need_plain_user "users without root build and run"
kiln() {
	as_plain_user "$KILN" "$@"
}

mkdir foreign && cat > foreign/Dockerfile <<'END'
FROM busybox
COPY --chown=12:34 Dockerfile /theirs
RUN cat /theirs > /mine && ls -ln /theirs | awk '{print "seen:" $3 ":" $4}'
END
check "an image whose files belong to others needs no subordinate ids" kiln build -t foreign foreign
prints "though a notice says what is missing" "WARN: this user has no subordinate ids"
prints "and a step sees one owner" 'seen:0:0'
kiln save foreign -o foreign.tar && mkdir foreign.d && tar -xf foreign.tar -C foreign.d
for layer in foreign.d/*/layer.tar foreign.d/blobs/sha256/*; do
	[ -f "$layer" ] && zcat -f "$layer" | tar -tvf - --numeric-owner 2> /dev/null
done > "$WORK/out"
prints "the layers know the owners" '12/34 .* (\./)?theirs$'
check "the store is whole" kiln store verify
check "a step of another user runs as the one id" kiln build --progress plain - <<'END'
FROM busybox
USER 5
RUN id -u
END
prints "which is 0 inside" '^#[0-9]+ [0-9.]+ 0$'
cp /bin/busybox .
cat > Dockerfile <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN id -u && echo made > /made && chmod 4755 /made
COPY Dockerfile /copied
RUN --mount=type=cache,target=/c touch /c/x && ls -ln /copied /made | awk '{print "owner:" $3 ":" $4}'
RUN ! mknod /disk b 8 0
CMD ["cat", "/made"]
END
check "a user without subordinate ids builds what is his" kiln build -t app .
prints "as id 0 of the step" '^#[0-9]+ [0-9.]+ 0$'
prints "which owns the files" 'owner:0:0'
check "and runs what was built" kiln run app
prints "with its files" '^made$'
leaves_nothing "nothing is left"

if grant_subordinate_ids; then
	# Another map of ids is another store.
	export KILN_ROOT=$WORK/ranges
	cat > Dockerfile <<'END'
FROM busybox
RUN echo x > /file && chown 1000:2000 /file && ls -ln /file | awk '{print "owner:" $3 ":" $4}'
RUN echo 'ada:x:1000:1000::/:/bin/sh' >> /etc/passwd
USER ada
RUN id -u; ls -ln /file | awk '{print "still:" $3 ":" $4}'
CMD id -u
END
	check "a user with subordinate ids builds" kiln build -t app .
	prints "with files of other owners" 'owner:1000:2000'
	prints "that stay theirs" 'still:1000:2000'
	prints "and steps of other users" '^#[0-9]+ [0-9.]+ 1000$'
	check "and runs what was built" kiln run app
	prints "as that user" '^1000$'
	kiln save app -o image.tar
	mkdir layers && tar -xf image.tar -C layers
	for layer in layers/*/layer.tar layers/blobs/sha256/*; do
		[ -f "$layer" ] && zcat -f "$layer" | tar -tvf - --numeric-owner 2> /dev/null
	done > "$WORK/out"
	prints "the layers carry the owners" '1000/2000 .* (\./)?file$'
else
	skip "a user with subordinate ids builds" "needs newuidmap (package uidmap)"
fi

finish
