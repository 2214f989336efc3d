# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# A cache says which keys its results have, how a stack of layers looks, and which blob a layer is. All of it may
# be a lie that the writer of the cache of project A tells to get at project B.
graph() { # DIR COMMAND: changes the graph of a cache in a layout; python's `g` and `m` are graph and manifest
	python3 - "$@" <<-'PYTHON'
		import hashlib, json, struct, subprocess, sys
		dir = sys.argv[1]
		def get(d): return open(f"{dir}/blobs/sha256/{d['digest'][7:]}", "rb").read()
		def put(b):
		    h = hashlib.sha256(b).hexdigest()
		    open(f"{dir}/blobs/sha256/{h}", "wb").write(b)
		    return {"digest": "sha256:" + h, "size": len(b)}
		def unpack(b, i):
		    t = b[i]
		    if t <= 0x7f: return t, i + 1
		    if t >= 0xe0: return t - 256, i + 1
		    if t == 0xc0: return None, i + 1
		    if t & 0xf0 == 0x80: return pairs(b, i + 1, t & 15)
		    if t & 0xf0 == 0x90: return items(b, i + 1, t & 15)
		    if t & 0xe0 == 0xa0: return b[i+1:i+1+(t&31)].decode(), i + 1 + (t & 31)
		    if t == 0xc4: return b[i+2:i+2+b[i+1]], i + 2 + b[i+1]
		    if t == 0xd9: return b[i+2:i+2+b[i+1]].decode(), i + 2 + b[i+1]
		    for code, form in ((0xcc, ">B"), (0xcd, ">H"), (0xce, ">I"), (0xcf, ">Q"), (0xd3, ">q"), (0xd2, ">i"), (0xd1, ">h"), (0xd0, ">b")):
		        if t == code: return struct.unpack_from(form, b, i + 1)[0], i + 1 + struct.calcsize(form)
		    if t == 0xdc: return items(b, i + 3, struct.unpack_from(">H", b, i + 1)[0])
		    raise Exception(hex(t))
		def items(b, i, n):
		    out = []
		    for _ in range(n):
		        v, i = unpack(b, i); out.append(v)
		    return out, i
		def pairs(b, i, n):
		    out = {}
		    for _ in range(n):
		        k, i = unpack(b, i); out[k], i = unpack(b, i)
		    return out, i
		def pack(v):
		    if v is None: return b"\xc0"
		    if isinstance(v, bytes): return b"\xc4" + bytes([len(v)]) + v
		    if isinstance(v, str):
		        e = v.encode()
		        return (bytes([0xa0 | len(e)]) if len(e) < 32 else b"\xd9" + bytes([len(e)])) + e
		    if isinstance(v, int):
		        if 0 <= v <= 0x7f: return bytes([v])
		        for code, form, top in ((0xcc, ">B", 1 << 8), (0xcd, ">H", 1 << 16), (0xce, ">I", 1 << 32), (0xcf, ">Q", 1 << 64)):
		            if 0 <= v < top: return bytes([code]) + struct.pack(form, v)
		    if isinstance(v, list):
		        head = bytes([0x90 | len(v)]) if len(v) < 16 else b"\xdc" + struct.pack(">H", len(v))
		        return head + b"".join(map(pack, v))
		    return bytes([0x80 | len(v)]) + b"".join(pack(k) + pack(v[k]) for k in v)
		def sort(rows): return sorted(rows, key=pack)
		index = json.load(open(dir + "/index.json"))
		m = json.loads(get(index["manifests"][0]))
		packed = subprocess.run(["zstd", "-dcq"], input=get(m["layers"][0]), capture_output=True, check=True).stdout
		version, g = unpack(packed, 0)[0]
		exec(sys.argv[2])
		g["records"], g["trees"] = sort(g["records"]), sort(g["trees"])
		packed = pack([version, g])
		packed = subprocess.run(["zstd", "-cq", f"--stream-size={len(packed)}", "--check"], input=packed, capture_output=True, check=True).stdout
		m["layers"][0].update(put(packed))
		index["manifests"][0].update(put(json.dumps(m).encode()))
		json.dump(index, open(dir + "/index.json", "w"))
	PYTHON
}
keys_of() { # DIR NAME: what a cache lists for a step, as python
	graph "$1" "print([k for r in g['records'] if '$2' in r['name'] for k in r['keys']])"
}
export_to() { # STORE DIR CONTEXT
	on "$1" kiln build -o type=none --cache-to "type=local,dest=$WORK/$2,mode=max" "$WORK/$3"
}

mkdir a b
printf 'FROM busybox\nRUN echo of a > /who\nRUN cat /who > /copy\n' > a/Dockerfile
printf 'FROM busybox\nRUN echo of b > /who\nRUN cat /who > /copy\n' > b/Dockerfile
check "project A has a cache" export_to writer cache-a a
check "and B another" export_to writer cache-b b

# Keys of B on the results of A.
victim=$(keys_of cache-b 'of b')
cp -r cache-a lying
graph lying "
for r in g['records']:
    if 'of a' in r['name']: r['keys'] = sorted(r['keys'] + $victim)"
check "a cache that claims the keys of B is of use to A" on one kiln build -t a --cache-from "type=local,src=$WORK/lying" a
[ "$(cached)" -eq 2 ]; ok "in every step" $?
check "B does not import it" on one kiln build -t b b
[ "$(cached)" -eq 0 ]; ok "and finds nothing" $?
[ "$(on one kiln run --rm b cat /copy)" = "of b" ]; ok "that is A's" $?

# The tree of B for a stack of layers of A: content keys that this build computes are then B's.
tree=$(graph cache-b "
who = next(r for r in g['records'] if 'of b' in r['name'])['outputs'][0]['layers']
print(next(t['digest'] for t in g['trees'] if t['layers'] == who))")
cp -r cache-a lying-tree
graph lying-tree "
who = next(r for r in g['records'] if 'of a' in r['name'])['outputs'][0]['layers']
for t in g['trees']:
    if t['layers'] == who: t['digest'] = $tree
for r in g['records']:
    if 'cat /who' in r['name']: r['keys'] = $(keys_of cache-b 'cat /who')"
check "a cache that says how B looks" on two kiln build -t a --cache-from "type=local,src=$WORK/lying-tree" a
check "is B's business neither" on two kiln build -t b b
[ "$(on two kiln run --rm b cat /copy)" = "of b" ]; ok "by content" $?
graph lying-tree "g['records'] = [r for r in g['records'] if 'cat /who' not in r['name']]"
check "nor what ran on top of such layers" on three kiln build -t a --cache-from "type=local,src=$WORK/lying-tree" a
check "when B runs" on three kiln build -t b b
[ "$(on three kiln run --rm b cat /copy)" = "of b" ]; ok "the same" $?

# Blobs under each other's diff IDs.
cp -r cache-a swapped
graph swapped "
x, y = [l for l in m['layers'][1:] if 'containerd.io/uncompressed' in l['annotations']][:2]
x['annotations'], y['annotations'] = y['annotations'], x['annotations']"
for output in local,dest=files tar,dest=files.tar oci,dest=files.oci.tar image,name=a; do
	check "swapped blobs are a miss for $output" on "swapped-${output%%,*}" kiln build -o "type=$output" --cache-from "type=local,src=$WORK/swapped" a
	[ "$(grep -c 'WARN.*is not what the image.s config promises' err)" = "$(grep 'WARN.*is not what the image' err | sort -u | wc -l)" ] &&
		grep -q 'WARN.*is not what' err
	ok "which a warning says once" $?
	check "and after it all is well" on "swapped-${output%%,*}" kiln build -t a a
	[ "$(on "swapped-${output%%,*}" kiln run --rm a cat /copy)" = "of a" ]; ok "in the image" $?
done
[ "$(cat files/copy)" = "of a" ]; ok "and in the files" $?

# A false tree digest of a layer.
cp -r cache-a false-digest
graph false-digest "
for l in g['layers']: l['tree'] = l['tree'] and bytes(32)"
check "a false digest of a layer" on four kiln build -t a --cache-from "type=local,src=$WORK/false-digest" a
check "is put right" on four kiln run --rm a cat /copy

KILN_ROOT=$WORK/one
finish
