# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# The cap is for the cache: what is pulled, loaded or imported may be larger, and costs no cached step; but
# a cache that is over it is brought under it by whoever writes.

reclaimable() { # the bytes of records and mounts that no image needs
	kiln du --format json | python3 -c 'import json, sys
rows = [json.loads(line) for line in sys.stdin]
print(sum(row["Size"] for row in rows if row["Reclaimable"]))'
}
configure() { # GC
	printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}}, "gc": %s}\n' "$REGISTRY" "$1" > "$KILN_CONFIG"
}

mkdir app
for i in 1 2 3; do
	printf 'FROM busybox\nRUN dd if=/dev/zero of=/f%s bs=1M count=4\n' $i > app/Dockerfile
	check "build $i of 3" kiln build --output "type=local,dest=out$i" app
done
check "an image to load" kiln build -t big --output type=docker,dest=big.tar - << 'X'
FROM busybox
RUN dd if=/dev/urandom of=/big bs=1M count=8
X
(cd out1 && tar -cf ../rootfs.tar .)
check "all is in the cache" kiln du
[ "$(reclaimable)" -gt 20000000 ]
ok "more than will be allowed" $?

configure '{"max-used-space": "18mb"}'
check "a pull" kiln pull python:3.8-slim-buster
[ "$(reclaimable)" -le 18000000 ]
ok "makes the cache fit" $?
check "of an image that is larger than the cap" kiln images --format '{{.Repository}} {{.Size}}'
prints "which is whole" '^python '
check "it runs" kiln run --rm python:3.8-slim-buster python3 -c 'print("alive")'
before=$(reclaimable)
configure '{"max-used-space": "6mb"}'
check "a load" kiln load -i big.tar
[ "$(reclaimable)" -le 6000000 ] && [ "$before" -gt 6000000 ]
ok "makes the cache fit" $?
check "the image runs" kiln run --rm big ls -l /big
prints "and is whole" ' 8388608 '
configure '{"max-used-space": "1mb"}'
check "an import" kiln import rootfs.tar imported
[ "$(reclaimable)" -le 1000000 ]
ok "makes the cache fit" $?
check "the image runs" kiln run --rm imported ls /f1
check "an export" kiln save -o saved.tar imported
check "the store is whole" kiln store verify
configure '{"max-used-spce": "1mb"}'
fails "a wrong key stops a pull" 1 kiln pull busybox
prints "and is named" 'did you mean "max-used-space"'
check "but not a list of images" kiln images
finish
