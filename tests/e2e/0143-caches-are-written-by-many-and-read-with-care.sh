# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

OPEN=127.0.0.1:$((11000 + $$ % 10000))
mkdir www
serve_registry "$OPEN" "$WORK/open" && serve_http "$WORK/www" || exit 1
CACHE=type=registry,ref=$OPEN/cache:1

wait_for_http() { # as a command of a step: until the file is there
	printf 'for i in $(seq 300); do wget -q -O /dev/null http://127.0.0.1:%s/%s && exit 0; sleep 0.1; done; exit 1' "$HTTP_PORT" "$1"
}

# Two runners build different things for one name at the same time; each waits for the other to have begun.
for who in a b; do
	mkdir $who
	head -c 200000 /dev/urandom > $who/data
	printf 'FROM busybox\nCOPY data /%s\nRUN echo %s > /who\nRUN --network=host %s\n' $who $who "$(wait_for_http go)" > $who/Dockerfile
	on $who kiln build --allow network.host -o type=none --cache-from "$CACHE" --cache-to "$CACHE,mode=max" $who > $who.out 2> $who.err &
	eval "pid_$who=\$!"
done
for _ in $(seq 300); do
	[ "$(registry_layers "$WORK/open" cache)" -ge 4 ] && break
	sleep 0.1
done
[ "$(registry_layers "$WORK/open" cache)" -ge 4 ] && kill -0 "$pid_a" && kill -0 "$pid_b"; ok "layers of finished steps leave while steps run" $?
! skopeo inspect --tls-verify=false --raw "docker://$OPEN/cache:1" > /dev/null 2>&1; ok "and no cache is named before its build is done" $?
touch www/go
wait "$pid_a"; ok "one runner exports" $?
wait "$pid_b"; ok "and so does the other" $?
check "what the name stands for is whole" on c kiln build --allow network.host -o type=none --cache-from "$CACHE" a
hits=$(cached)
check "for either" on c kiln build --allow network.host -o type=none --cache-from "$CACHE" b
[ $((hits + $(cached))) -ge 3 ]; ok "and has the steps of one of them at least" $?
# One after the other began before the first was done: theirs is kept.
rm www/go
for who in d e; do
	mkdir $who
	head -c 200000 /dev/urandom > $who/data
done
printf 'FROM busybox\nCOPY data /d\nRUN --network=host %s\n' "$(wait_for_http go)" > d/Dockerfile
printf 'FROM busybox\nCOPY data /e\n' > e/Dockerfile
layers=$(registry_layers "$WORK/open" cache)
on d kiln build --allow network.host -o type=none --cache-from "$CACHE" --cache-to "$CACHE,mode=max" d > d.out 2> d.err &
pid=$!
for _ in $(seq 300); do
	[ "$(registry_layers "$WORK/open" cache)" -gt "$layers" ] && break
	sleep 0.1
done
check "a short build during a long one" on e kiln build -o type=none --cache-from "$CACHE" --cache-to "$CACHE,mode=max" e
touch www/go
wait $pid; ok "and then the long one" $?
check "leave a cache" on f kiln build --allow network.host -o type=none --cache-from "$CACHE" d
[ "$(cached)" -eq 2 ]; ok "with the steps of the long one" $?
check "and" on f kiln build -o type=none --cache-from "$CACHE" e
[ "$(cached)" -eq 1 ]; ok "of the short one" $?

# A failed build names nothing.
rm www/go
printf 'FROM busybox\nCOPY data /x\nRUN exit 3\n' > d/Dockerfile
head -c 200000 /dev/urandom > d/data
fails "a build that fails" 1 on d kiln build -o type=none --cache-to "type=registry,ref=$OPEN/failed:1" d
! skopeo inspect --tls-verify=false --raw "docker://$OPEN/failed:1" > /dev/null 2>&1; ok "writes no cache" $?

# What cannot be read is passed over.
mkdir app
printf 'FROM busybox\nRUN echo x > /x\nRUN head -c 1000 /dev/urandom > /y\n' > app/Dockerfile
check "a cache" on g kiln build -o type=none --cache-to "type=local,dest=$WORK/good,mode=max" app
graph=good/blobs/sha256/$(python3 -c '
import json
index = json.load(open("good/index.json"))
manifest = json.load(open("good/blobs/sha256/" + index["manifests"][0]["digest"][7:]))
print(manifest["layers"][0]["digest"][7:])')
cat > forge.py <<'END'
# forge.py DIR GRAPH [TYPE]: a cache of the same layers, with other bytes as its graph.
import hashlib, json, os, sys
dir, graph, kind = sys.argv[1], open(sys.argv[2], "rb").read(), (sys.argv + [None] * 2)[3]
blobs = dir + "/blobs/sha256/"
def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(blobs + name, "wb").write(data)
    return "sha256:" + name
index = json.load(open(dir + "/index.json"))
top = index["manifests"][0]
manifest = json.load(open(blobs + top["digest"][7:]))
manifest["layers"][0].update(digest=put(graph), size=len(graph))
if kind:
    manifest["config"]["mediaType"] = kind
data = json.dumps(manifest).encode()
top.update(digest=put(data), size=len(data))
json.dump(index, open(dir + "/index.json", "w"))
END
damaged() { # NAME REASON: the cache in $WORK/bad
	check "$1" on "h$((n = ${n:-0} + 1))" kiln build -o type=none --cache-from "type=local,src=$WORK/bad" app
	prints "is passed over" "WARN: the cache $WORK/bad:latest is not used: .*$2"
	[ "$(cached)" -eq 0 ]; ok "and the build is cold" $?
	rm -rf bad && cp -r good bad
}
cp -r good bad
head -c 100 "$graph" > "cut" && python3 forge.py bad cut
damaged "a graph that is cut short" 'cache graph'
zstd -dqc "$graph" > content && head -c 300 content > "cut" && zstd -q --content-size cut && python3 forge.py bad cut.zst
damaged "content that is cut short" 'cache graph'
(printf '\222\002'; tail -c +3 content) > other && zstd -q --content-size other && python3 forge.py bad other.zst
damaged "another version" 'version 2 is not known'
truncate -s 200M zeros && zstd -q --content-size zeros && python3 forge.py bad zeros.zst
damaged "a graph that grows to 200 MB" 'not a zstd frame of an allowed size'
head -c 20M /dev/urandom > noise && python3 forge.py bad noise
damaged "one of 20 MB" '(has|more than) [0-9]+ bytes|limit|lacks'
printf garbage > "bad/blobs/sha256/$(basename "$graph")"
damaged "one that is not what its digest says" 'damaged'
python3 forge.py bad "$graph" application/vnd.buildkit.cacheconfig.v0
damaged "BuildKit's" "a cache of BuildKit's"
check "the good one" on i kiln build -o type=none --cache-from "type=local,src=$WORK/good" app
[ "$(cached)" -eq 2 ]; ok "is used all the same" $?

stop_registry "$OPEN" "$WORK/open"
check "a registry that is away" on j kiln build -o type=none --cache-from "$CACHE" app
prints "is a warning" "WARN: the cache $OPEN/cache:1 is not used: .*(refused|connect|reach)"
finish
