# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

need_plain_user "plain users build with little"
export KILN_ROOT=$WORK/plain
mkdir ctx && echo x > ctx/file
printf 'FROM busybox\nCOPY file /\nRUN cat /file && echo built\n' > ctx/Dockerfile
chmod -R a+rX ctx

mkdir -m 755 bin && ln -s "$KILN" bin/kiln
check "with an empty environment, whose PATH has no newuidmap" as_plain_user env -i PATH="$WORK/bin" \
	KILN_ROOT="$KILN_ROOT" KILN_CONFIG="$KILN_CONFIG" kiln build --progress plain -t app ctx
prints "the step runs" ' built$'

mkdir noexec && mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 none noexec
check "with all that is temporary, and the store, where nothing may be executed" as_plain_user env -i PATH="$PATH" \
	TMPDIR="$WORK/noexec" KILN_ROOT="$WORK/noexec/store" KILN_CONFIG="$KILN_CONFIG" "$KILN" build --progress plain ctx
prints "the step runs there, too" ' built$'
umount noexec

fails "where the kernel forbids user namespaces it says so" 1 python3 "$(dirname "$0")/../fixtures/forbidding.py" $PLAIN_USER \
	env KILN_ROOT="$WORK/forbidden" "$KILN" build ctx
prints "with what would help" 'user.max_user_namespaces'

# Somebody else's namespace with one id, in which kiln is root.
check "inside a namespace of one id that others made" as_plain_user env KILN_ROOT="$WORK/inside" \
	unshare -Ur "$KILN" build --progress plain -t inside -f - ctx <<'END_FILE'
FROM busybox
RUN touch /theirs && chown 5:6 /theirs
END_FILE
as_plain_user env KILN_ROOT="$WORK/inside" unshare -Ur "$KILN" save inside -o "$WORK/inside.tar" && layer_owners inside.tar > "$WORK/out"
prints "owners are recorded" ' 5/6 *theirs$'

{
	echo FROM busybox
	for i in $(seq 498); do
		echo "COPY --chown=$i:7 file /deep/$i"
	done
	echo 'RUN ls /deep | wc -l && touch /deep/*9 && rm /deep/100 && chown -R 8:7 /deep/20 /deep/30'
} > Dockerfile.deep
check "five hundred layers" as_plain_user "$KILN" build --progress plain -t deep -f Dockerfile.deep ctx
prints "are all there" ' 498$'
as_plain_user "$KILN" save deep -o "$WORK/deep.tar" && layer_owners deep.tar | tail -n 60 > "$WORK/out"
prints "and copies from them have the owners that they had" ' 9/7 *deep/9$'
prints "but for what was changed" ' 8/7 *deep/20$'

finish
