# SPDX-License-Identifier: Apache-2.0
# Sourced after tests/e2e/lib.sh. in_PLACE COMMAND... runs a command there, with KILN_ROOT in that place; it fails with
# status 77 where there is no such place.
repo=$(cd "$(dirname "$0")/../.." && pwd)

place_need_root() {
	[ "$(id -u)" = 0 ] && unshare --mount true 2> /dev/null && return 0
	skip "places" "needs root and namespaces"
	finish
	exit 0
}

# place_prepare [tutorial]: what is built everywhere, and the images of an ordinary build.
place_prepare() {
	chmod 755 "$WORK"
	mkdir -m 777 place images
	mkdir app
	cat > app/Dockerfile <<-'D'
		FROM busybox AS base
		RUN mkdir -p /d/sub /gone && echo a > /d/a && echo s > /d/sub/s && ln -s a /d/link && mkfifo /d/pipe && chown 5:6 /d/sub && echo x > /gone/x
		RUN rm -r /gone /d/sub && mkdir /d/sub && echo n > /d/sub/n && chmod 1777 /d && mv /d/a /d/z && ln /d/z /d/zz
		FROM base
		COPY --from=base --chown=7:8 /d /copied
		RUN --mount=type=bind,from=base,source=/d,target=/mnt/new,rw --mount=type=cache,target=/c echo w > /mnt/new/w && find / -xdev -path '/c*' -type f | sort | xargs cat > /all
	D
	cp -r "$repo/examples/python-docker" tutorial
	cat > work.sh <<-'S'
		# work.sh PLACE [tutorial]
		export SOURCE_DATE_EPOCH=1000000000
		"$KILN" build --progress plain -o "type=oci,dest=$WORK/images/$1.tar,rewrite-timestamp=true" "$WORK/app" || exit 1
		[ "${2-}" = tutorial ] || exit 0
		unset SOURCE_DATE_EPOCH
		"$KILN" build --progress plain -t python-docker "$WORK/tutorial" && "$KILN" tag python-docker python-docker:v1.0.0 &&
			"$KILN" images && "$KILN" rmi python-docker:v1.0.0 || exit 1
		"$KILN" run --rm python-docker python3 -c 'import app; print(app.app.test_client().get("/").data.decode())' > "$WORK/images/$1.page" || exit 1
		cat "$WORK/images/$1.page"
		"$KILN" store verify && grep -q 'Hello, Docker!' "$WORK/images/$1.page"
	S
	export WORK
	place_uses=${1-}
	check "an ordinary build" sh work.sh ordinary $place_uses
}

# place_try PLACE: builds there.
place_try() {
	quietly in_$1 sh "$WORK/work.sh" "$1" $place_uses
	case $? in
	0) ok "kiln works in $1" 0 ;;
	77)
		skip "kiln works in $1" "there is none here: $(tail -n 1 "$WORK/err")"
		return
		;;
	*) ok "kiln works in $1" 1 ;;
	esac
	cmp "$WORK/images/ordinary.tar" "$WORK/images/$1.tar" > /dev/null 2>&1
	ok "with the same image" $?
	umount "$WORK/place" 2> /dev/null
	rm -rf "$WORK/place" && mkdir -m 777 "$WORK/place"
}

# --- file systems ---

# with_mount MOUNT-COMMAND COMMAND...: what the first mounts on $WORK/place goes with the command.
with_mount() {
	how=$1
	shift
	KILN_ROOT=$WORK/place/store unshare --mount sh -c 'how=$1; shift; eval "$how" || exit 77; exec "$@"' sh "$how" "$@"
}
in_overlay() {
	with_mount 'mkdir -p o l && mount -t tmpfs tmpfs o && mkdir o/u o/w && mount -t overlay -o lowerdir=l,upperdir=o/u,workdir=o/w overlay "$WORK/place"' "$@"
}
in_tmpfs() {
	with_mount 'mount -t tmpfs tmpfs "$WORK/place"' "$@"
}
on_disk() { # TYPE COMMAND...
	disk_type=$1
	shift
	command -v mkfs.$disk_type > /dev/null || return 77
	truncate -s 2G "$WORK/disk" && mkfs.$disk_type -q "$WORK/disk" > /dev/null || return 77
	with_mount 'mount -o loop "$WORK/disk" "$WORK/place"' "$@"
	disk_status=$?
	rm "$WORK/disk"
	return $disk_status
}
in_xfs() {
	on_disk xfs "$@"
}
in_btrfs() {
	on_disk btrfs "$@"
}

# --- rights ---

in_userns() {
	KILN_ROOT=$WORK/place/store unshare -Urm "$@"
}
in_userns_pid() { # with the /proc outside
	KILN_ROOT=$WORK/place/store unshare -Urmpf "$@"
}
in_userns_all() { # with all ids that a user is granted, mapped by newuidmap
	[ -n "${ACCOUNT-}" ] || grant_subordinate_ids || return 77
	chown $PLAIN_USER "$WORK/place" "$WORK/images"
	KILN_ROOT=$WORK/place/store as_plain_user unshare -U --map-root-user --map-auto -m "$@"
}
in_no_admin() {
	KILN_ROOT=$WORK/place/store capsh --drop=cap_sys_admin -- -c 'exec "$@"' sh "$@"
}
in_no_clone3() {
	cc -o "$WORK/docker_seccomp" "$repo/tests/fixtures/docker_seccomp.c" -lseccomp || return 77
	KILN_ROOT=$WORK/place/store CLONE3=ENOSYS "$WORK/docker_seccomp" "$@"
}

# --- containers ---

# podman_run OPTIONS... -- COMMAND...: a container with this machine's files under an overlay, and the store in that.
podman_run() {
	# crun knows no hybrid hierarchies; nothing is limited.
	unshare --mount sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh \
		podman --root "$WORK/podman" --runroot "$WORK/podman-run" --runtime crun --cgroup-manager cgroupfs run --rm --cgroups=disabled \
		--network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --env KILN --env WORK --env KILN_CONFIG --env KILN_ROOT \
		--volume "$WORK/images:$WORK/images" --rootfs "$@"
}
have_podman() {
	command -v podman > /dev/null && command -v crun > /dev/null && podman_run /:O true
}
in_podman() { # as it comes: masked /proc, seccomp profile, no CAP_SYS_ADMIN
	have_podman || return 77
	KILN_ROOT=/var/tmp/kiln-place podman_run /:O "$@"
}
in_podman_privileged() {
	have_podman || return 77
	KILN_ROOT=/var/tmp/kiln-place podman_run --privileged /:O "$@"
}
in_podman_volume() { # what the notices advise
	have_podman || return 77
	KILN_ROOT=/volume/store podman_run --security-opt unmask=ALL --volume "$WORK/place:/volume" /:O "$@"
}
# A user's containers have no overlay of / here: one with an own root and this machine's programs.
user_podman() {
	for dir in usr etc proc sys dev tmp root var/tmp; do
		mkdir -p "$WORK/root/$dir"
	done
	for link in bin sbin lib lib64; do
		[ ! -L /$link ] || ln -sfn usr/$link "$WORK/root/$link"
	done
	cp -r /etc/passwd /etc/group /etc/ssl /etc/ld.so.cache /etc/alternatives "$WORK/root/etc/"
	mkdir -p "$WORK/root/$WORK" "$WORK/runtime"
	chmod 700 "$WORK/root/$WORK" "$WORK/runtime"
	chown -R $PLAIN_USER:$PLAIN_USER "$WORK/root" "$WORK/runtime" "$HOME"
	unshare --mount sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' sh \
		setpriv --reuid $PLAIN_USER --regid $PLAIN_USER --clear-groups env USER=$ACCOUNT XDG_RUNTIME_DIR="$WORK/runtime" \
		podman --runtime crun --cgroup-manager cgroupfs run --rm --cgroups=disabled --network host \
		--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --env KILN --env WORK --env KILN_CONFIG --env KILN_ROOT=/root/kiln \
		--volume /usr:/usr:ro --volume "$(dirname "$KILN"):$(dirname "$KILN"):ro" --volume "$WORK:$WORK" --rootfs "$WORK/root" "$@"
}
in_podman_user() {
	[ -n "${ACCOUNT-}" ] || grant_subordinate_ids || return 77
	command -v podman > /dev/null && command -v crun > /dev/null && user_podman true || return 77
	chmod 777 "$WORK/images"
	user_podman "$@"
}
