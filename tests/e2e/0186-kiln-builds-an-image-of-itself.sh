# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

repo=$(cd "$(dirname "$0")/../.." && pwd)
if is_sanitized || ! command -v patchelf > /dev/null || [ "$(id -u)" != 0 ]; then
	skip "kiln builds an image of itself" "needs patchelf, root and a build without sanitizers"
	finish
	exit 0
fi
mkdir ctx
cp "$("$repo/scripts/tarball" "$(dirname "$KILN")" "$WORK")" ctx/kiln.tar.gz
base=python:3.8-slim-buster
check "kiln builds an image of itself" kiln build -t kiln-image --build-arg BASE=$base -f "$repo/examples/kiln-image/Dockerfile" ctx
check "which runs" kiln run kiln-image version
prints "and says what it is" '^kiln version'

# As in a container with every right: its files, a store on a volume.
mkdir -p image work volume
printf 'FROM kiln-image\n' > ctx/Dockerfile.image
check "its files" kiln build -q -o image -f ctx/Dockerfile.image ctx
printf 'FROM busybox\nCOPY greeting /\nRUN cat /greeting > /copy\nFROM scratch\nCOPY --from=0 /copy /\n' > work/Dockerfile
echo nested > work/greeting
cp "$KILN_CONFIG" work/config.json
# shellcheck disable=SC2016
nested='set -e
for dir in proc dev; do mount --rbind /$dir image/$dir; done
mkdir -p image/work image/var/lib/kiln
mount --bind work image/work
mount --bind volume image/var/lib/kiln
exec env -u KILN_ROOT KILN_CONFIG=/work/config.json HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot image kiln build -t app -o /work/out /work'
check "build inside of it" unshare -m sh -c "$nested"
test "$(cat work/out/copy)" = nested; ok "with what the steps wrote" $?
test -n "$(ls -A volume)"; ok "into the volume" $?
finish
