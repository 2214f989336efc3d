# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts in this folder: source it, don't run it.
# What each package is for stands in docs/dependencies.md.

set -eu
REPO=$(cd "$(dirname "$0")/.." && pwd)

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libssl-dev libjansson-dev libyaml-dev libsqlite3-dev
	libzstd-dev zlib1g-dev libisal-dev libxxhash-dev libmsgpack-dev libcurl4-openssl-dev
	libarchive-dev libseccomp-dev libgit2-dev libexpat1-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler"
RUN_PACKAGES="passt uidmap ca-certificates"
DEMO_PACKAGES="mmdebstrap debian-archive-keyring curl"
TEST_PACKAGES="libcmocka-dev clang clang-format clang-tidy shellcheck libclang-rt-14-dev
	docker-registry busybox-static skopeo umoci podman buildah qemu-user-static python3 python3-venv zstd xz-utils bzip2 git openssl
	iproute2 procps util-linux libcap2-bin openssh-client openssh-server dpkg-dev
	man-db groff mandoc zsh fish patchelf"
BENCH_PACKAGES="docker-registry python3 busybox-static time util-linux pigz zstd openssl e2fsprogs buildah
	crun"

say() {
	printf '==> %s\n' "$*"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo > /dev/null; then
		sudo "$@"
	else
		printf 'This needs root: %s\n' "$*" >&2
		return 1
	fi
}

# Installs those of the named Debian packages that are missing.
need_packages() {
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) in
		*' installed') ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	as_root apt-get update -q > /dev/null
	# Word splitting is what makes this a list.
	# shellcheck disable=SC2086
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		$missing > /dev/null
}

# build_preset PRESET [NINJA TARGET...]: configures once, then builds what changed.
build_preset() {
	preset=$1
	shift
	(cd "$REPO" && cmake --preset "$preset" > /dev/null)
	case $preset in
	release) dir=$REPO/build ;;
	*) dir=$REPO/build-$preset ;;
	esac
	ninja -C "$dir" -k 0 --quiet "$@"
}
