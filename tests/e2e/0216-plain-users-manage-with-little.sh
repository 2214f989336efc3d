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

# A user namespace in which no other can be made stands for a machine that forbids them.
cat > forbidding.py <<'END_FILE'
import ctypes, os, sys
uid, command = int(sys.argv[1]), sys.argv[2:]
made, mapped = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    if ctypes.CDLL(None).unshare(0x10000000) < 0:
        os._exit(99)
    os.write(made[1], b"x")
    os.read(mapped[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as f:
        f.write("0")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execvp(command[0], command)
os.read(made[0], 1)
for name in "uid_map", "gid_map":
    with open("/proc/%d/%s" % (pid, name), "w") as f:
        f.write("0 0 65536")
os.write(mapped[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END_FILE
fails "where the kernel forbids user namespaces it says so" 1 python3 forbidding.py $PLAIN_USER \
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
