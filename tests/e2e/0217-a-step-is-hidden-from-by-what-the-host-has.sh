# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

chmod 755 "$WORK" "$HOME"
mkdir -p ctx && cat > ctx/Dockerfile << 'END_FILE'
FROM busybox AS tools
RUN mkdir -p /new/dev /new/sys /new/tmp /new/proc && cp -a /bin /etc /new/
# Devices that lead to what is hidden.
FROM busybox AS evil
RUN mkdir -p /e/pts /e/shm /e/mqueue && ln -s /proc/sys/kernel/core_pattern /e/null && ln -s /etc/passwd /e/console
FROM busybox AS mask
RUN --mount=type=bind,from=evil,source=/e,target=/dev,rw \
	cat /proc/interrupts /proc/keys /proc/timer_list > /seen; [ ! -s /seen ] && ! (echo x > /proc/sys/kernel/core_pattern) && ! (echo x >> /proc/sys/kernel/hostname)
# What is mounted in /sys, or where lxcfs mounts in /proc, takes nothing of their masks away.
FROM busybox AS over
RUN --mount=type=tmpfs,target=/sys/firmware --mount=type=tmpfs,target=/dev/mine --mount=from=tools,source=/new/etc/passwd,target=/proc/cpuinfo \
	! (echo x > /proc/sys/kernel/core_pattern) && [ ! -s /proc/keys ] && grep -q root: /proc/cpuinfo && touch /dev/mine/x
# All else in /proc is the kernel's, by whatever name.
FROM busybox AS way
RUN ln -s /proc/1 /way && ln -s /proc/self/attr/new /new && ln -s /proc/sys/kernel/core_pattern /etc/hosts.d

FROM scratch AS proc-link
COPY --from=tools /new /
RUN rmdir /proc 2> /dev/null; true
FROM busybox AS links
RUN mkdir -p /new/d /new/real/p /new/real/s /new/dev && cp -a /bin /etc /new/ && ln -s ../real/p /new/d/link && ln -s d/link /new/proc
FROM scratch AS proc-behind-link
COPY --from=links /new /
RUN --mount=type=tmpfs,target=/d echo in
FROM busybox AS links2
RUN mkdir -p /new/real/p /new/dev && cp -a /bin /etc /new/ && ln -s ../real/p /new/dev/link && ln -s dev/link /new/proc
FROM scratch AS proc-below-dev
COPY --from=links2 /new /
RUN echo in
FROM busybox AS links3
RUN mkdir -p /new/real && cp -a /bin /etc /new/ && ln -s real /new/sys
FROM scratch AS sys-link
COPY --from=links3 /new /
RUN echo in
FROM busybox AS links4
RUN mkdir -p /new/real && cp -a /bin /etc /new/ && ln -s real /new/dev
FROM scratch AS dev-link
COPY --from=links4 /new /
RUN echo in
FROM busybox AS file
RUN mkdir -p /new/real && cp -a /bin /etc /new/ && touch /new/proc
FROM scratch AS proc-file
COPY --from=file /new /
RUN echo in
END_FILE
n=0
for mount in bind,target=/proc bind,target=/proc/sys tmpfs,target=/proc tmpfs,target=/proc/sys/kernel tmpfs,target=/proc/none/such cache,target=/proc/1/attr \
	secret,id=s,target=/proc/sysrq-trigger secret,id=s,target=/proc/new secret,id=s,target=/hosts.d/../etc/hosts.d ssh,target=/proc/self/attr/current \
	tmpfs,target=/way/attr cache,target=/way/new/deep secret,id=s,target=/new secret,id=s,target=/proc/../proc/keys tmpfs,target=/proc/scsi; do
	n=$((n + 1))
	printf 'FROM way AS inproc%d\nRUN --mount=type=%s true\n' $n "$mount" >> ctx/Dockerfile
done
cp ctx/Dockerfile ctx/Dockerfile.mounts && cat > ctx/Dockerfile.mounts << 'END_FILE'
FROM busybox
# The options of every mount: none has devices but those of /dev and its terminals.
RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c --mount=type=bind,target=/b --mount=type=secret,id=s,required=false,target=/s \
	! grep -v nodev /proc/self/mounts | grep -vE '^[^ ]+ /(dev/[a-z]+|proc/[a-z_]+|sys/firmware) '
END_FILE

# attacks WHO COMMAND...: builds each target with that command before `build`.
attacks() {
	who=$1
	shift
	check "$who: what hides a path is the machine's null device, whatever /dev holds" "$@" build --no-cache -q --target mask ctx
	check "$who: mounts in /proc and /sys change no mask" "$@" build --no-cache -q --target over ctx
	for case in proc-behind-link:/proc proc-below-dev:/proc sys-link:/sys dev-link:/dev; do
		fails "$who: ${case%:*} is refused" 1 "$@" build --no-cache -q --target "${case%:*}" ctx
		prints "$who: and the error says why" "mount '${case#*:}': it is a symbolic link in the image and must be a directory"
	done
	fails "$who: a file in place of /proc is refused" 1 "$@" build --no-cache -q --target proc-file ctx
	prints "$who: and the error says why" "mount '/proc': it is not a directory in the image and must be one"
	for case in $cases; do
		fails "$who: mount $case in /proc is refused" 1 "$@" build --no-cache -q --secret id=s,src=ctx/Dockerfile --ssh default="$WORK/agent" --target "inproc$case" ctx
		prints "$who: and the error says why" "mount or make '.*': it is in /proc, where everything belongs to the kernel; choose another path"
	done
	check "$who: no mount has devices that need none" "$@" build --no-cache -q -f ctx/Dockerfile.mounts ctx
}
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("agent")' && chmod 666 agent
cases=$(seq $n)
attacks root "$KILN"
if [ "$(id -u)" = 0 ] && as_plain_user unshare -Ur true 2> /dev/null; then
	chmod 755 "$WORK" && mkdir plain && chown $PLAIN_USER plain && chmod -R a+rX ctx
	cases="6 10 13 14"
	attacks "with one id" as_plain_user env KILN_ROOT="$WORK/plain" "$KILN"
	if grant_subordinate_ids; then
		mkdir ranges && chown $PLAIN_USER ranges
		attacks "with ranges" as_plain_user env KILN_ROOT="$WORK/ranges" "$KILN"
	else
		skip "with ranges" "needs newuidmap (package uidmap)"
	fi
else
	skip "as a user" "needs root to become a user, and user namespaces"
fi
finish
