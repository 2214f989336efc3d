# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# last_layer IMAGE: its topmost layer's entries, with mode, owner and time.
last_layer() {
	rm -rf saved && mkdir saved && kiln save "$1" -o saved.tar 2> /dev/null && tar -xf saved.tar -C saved
	layer=$(python3 -c 'import json; print(json.load(open("saved/manifest.json"))[0]["Layers"][-1])')
	zcat -f "saved/$layer" | tar -tvf - --full-time --numeric-owner
}
cat > Dockerfile <<'END'
FROM busybox
RUN mkdir -p -m 2750 /dir/sub && mkdir -m 0555 /locked && echo x > /dir/file && echo y > /locked/file \
	&& ln -s dir/sub /to-dir && ln -s /nowhere/at/all /dangling && ln -s file /dir/link && mkfifo /dir/fifo \
	&& mkdir -p /proc /sys /dev && chown -R 12:34 /dir && chmod 2750 /dir && touch -t 200102030405 /dir /locked /dir/sub /
END
# What is mounted of the context must not change meanwhile, as the store and our own output in it do.
printf '*\n!Dockerfile\n' > .dockerignore
check "an image to mount on is built" kiln build -t base .
last_layer base | awk '{$4 = $5 = ""; print}' | sort > before

# leaves NAME MOUNTS [COMMAND [ENTRIES]]: what the step leaves is exactly ENTRIES (a regex of all of the listing).
leaves() {
	printf 'FROM base\nRUN %s %s\n' "$2" "${3:-true}" > step
	quietly kiln build --secret id=s,src=Dockerfile --ssh default="$WORK/agent" -t step -f step .
	built=$?
	last_layer step > entries
	names=$(awk '{print $6}' entries | tr '\n' ' ')
	[ $built = 0 ] && printf '%s\n' "$names" | grep -Eqx -- "${4:-}"
	ok "$1" $?
	[ $built = 0 ] && printf '%s\n' "$names" | grep -Eqx -- "${4:-}" || printf '#   left: %s\n' "$names"
}
python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind("agent"); s.listen(); time.sleep(600)' &
agent=$!
at_end 'kill $agent 2> /dev/null'
for _ in $(seq 50); do [ -S agent ] && break; sleep 0.1; done

t=--mount=type=tmpfs,target= c=--mount=type=cache,target= s=--mount=type=secret,id=s,target=
b=--mount=type=bind,target= f=--mount=type=bind,source=Dockerfile,target= a=--mount=type=ssh,target=
for m in "$t" "$c" "$s" "$b" "$f" "$a"; do
	kind=${m#*=}
	leaves "a new mount point leaves nothing ($kind)" "${m}/new"
	leaves "nor does a deep one" "${m}/a/b/c/d"
	leaves "nor one in a directory of the image" "${m}/dir/new"
	leaves "nor one in a directory that nobody may write" "${m}/locked/new/deep"
	leaves "nor one behind a link" "${m}/to-dir/new"
	leaves "nor one behind a link to nothing" "${m}/dangling/new"
done
leaves "a mount on a directory leaves nothing" "${t}/dir/sub"
leaves "a mount on a file leaves nothing" "${s}/dir/file"
leaves "a mount on a link to a file leaves nothing" "${s}/dir/link"
leaves "mounts in mounts leave nothing" "${t}/m ${c}/m/a ${s}/m/a/secret ${b}/m/b/c"
leaves "many in one directory leave nothing" "${t}/dir/1 ${c}/dir/2 ${s}/dir/3 ${t}/dir/sub/4"
leaves "what is written to them leaves nothing" "${t}/new ${c}/dir/new" "echo x > /new/f; echo x > /dir/new/f; mkdir /new/d"
leaves "a file beside one is all that is left" "${t}/dir/new" "touch /dir/beside" "dir/ dir/beside "
cat entries > out; grep -Eq '^drwxr-s--- 12/34 .* dir/$' entries; ok "in a directory that looks as before" $?
leaves "a mount point that the step makes itself stays" "${t}/new" "mkdir -p /made/new" "made/ made/new/ "
leaves "removing what the mount hid is not possible" "${t}/dir/sub" "! rmdir /dir/sub 2> /dev/null"
leaves "a directory can be moved past its mount" "${t}/dir/new/deep" "rm /dir/file" 'dir/ dir/\.wh\.file '
kiln build -t after -f - . > /dev/null 2>&1 <<END
FROM base
RUN ${t}/dir/new ${s}/locked/new ${c}/to-dir/x true
RUN find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -name new -print -o -name x -print > /found; stat -c '%a %u:%g %Y' /dir /dir/sub /locked >> /found
END
kiln run after cat /found > found 2> err; cat found > out
test "$(head -n 1 found)" = "2750 12:34 $(date -u -d '2001-02-03 04:05' +%s)"; ok "the image's directories keep mode, owner and time, and hold nothing new" $?

# A cache of one id in two builds at once.
cache_step() { # cache_step SHARING SCRIPT NAME
	printf 'FROM base\nRUN --mount=type=cache,id=both,target=/c,sharing=%s %s\n' "$1" "$2" > "$3"
}
cache_step locked 'mkdir /c/busy && sleep 0.7 && rmdir /c/busy && echo done >> /c/log' one
cache_step locked 'mkdir /c/busy && sleep 0.6 && rmdir /c/busy && echo done >> /c/log && cat /c/log' two
"$KILN" build -f one . > one.out 2>&1 & first=$!
"$KILN" build -f two . > two.out 2>&1 & second=$!
wait $first && wait $second; ok "two builds take turns with a locked cache" $?
cache_step shared 'touch /c/one-here; for i in $(seq 300); do [ -e /c/two-here ] && exit 0; sleep 0.1; done; exit 1' one
cache_step shared 'touch /c/two-here; for i in $(seq 300); do [ -e /c/one-here ] && exit 0; sleep 0.1; done; exit 1' two
"$KILN" build -f one . > one.out 2>&1 & first=$!
"$KILN" build -f two . > two.out 2>&1 & second=$!
wait $first && wait $second; r=$?; cat one.out two.out > out; test $r = 0; ok "and share a shared one" $?
cache_step private 'mkdir /c/mine && sleep 0.7' one
cache_step private 'mkdir /c/mine && sleep 0.6' two
"$KILN" build -f one . > one.out 2>&1 & first=$!
"$KILN" build -f two . > two.out 2>&1 & second=$!
wait $first && wait $second; ok "and each have a private one" $?

finish
