# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What is stored is damaged, and then used. This is a short part; STATES, DAMAGES and DAMAGE_USES choose more.
STATES=${STATES:-made} DAMAGES=${DAMAGES:-blob-flip dir-gone} DAMAGE_USES=${DAMAGE_USES:-oci copy cache}
. "$(dirname "$0")/../matrix/damage.sh"
damage_prepare
ok "stores are made" $?
damage_matrix
KILN_ROOT=$WORK/state-made
finish
