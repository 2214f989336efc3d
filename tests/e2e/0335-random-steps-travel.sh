# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Random Dockerfiles against a model, with every way in which a cache or an image travels. This is a short part, the same
# each time; RANDOM_TRAVEL="--minutes 15" TEST_TIMEOUT=1200 goes on with other seeds.
KILN_ROOT=$WORK/store-of-random python3 "$(dirname "$0")/../matrix/random_travel.py" "$KILN" "$REGISTRY" "$WORK/random" \
	${RANDOM_TRAVEL:---seed 1 --rounds 4}
ok "random steps are what a model says, here and where they travel" $?
finish
