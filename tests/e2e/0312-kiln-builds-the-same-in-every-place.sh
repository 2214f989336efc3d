# SPDX-License-Identifier: Apache-2.0
# Some of the places of tests/places/run, which has them all and builds the tutorial there, too.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../places/lib.sh"

place_need_root
place_prepare
for place in userns_all tmpfs podman; do
	place_try $place
done
finish
