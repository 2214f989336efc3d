# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/lib.sh"

place_need_root
place_prepare tutorial
for place in ${PLACES:-overlay tmpfs xfs btrfs userns userns_all userns_pid no_admin no_clone3 podman podman_privileged podman_volume podman_user}; do
	place_try $place
done
finish
