# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir app
head -c 100000 /dev/zero > app/big && head -c 5000 /dev/zero > app/other
mkdir -p app/tree/deep && head -c 700 /dev/zero > app/tree/deep/a && head -c 300 /dev/zero > app/tree/b
cat > app/Dockerfile <<'END'
FROM scratch AS files
COPY big /data/big
COPY other /data/
COPY tree /tree
FROM busybox
COPY --from=files / /
RUN rm /data/big; rm -r /tree; echo changed > /data/other; ln /data/other /data/zwei
RUN mkdir /tree && echo > /tree/new
END
check "an image" kiln build -t app app
check "its layers" kiln image layers --format json app
cat > judge.py <<'END'
import json, sys
layers = {l["Layer"]: l for l in json.load(open(sys.argv[1]))}
assert len(layers) == 4, layers
sizes = [l["Size"] for l in json.load(open(sys.argv[1]))]
assert sizes == sorted(sizes, reverse=True), sizes
tally = lambda n, what: (layers[n][what]["Files"], layers[n][what]["Bytes"])
assert tally(2, "Added") == (4, 106000), layers[2]
assert tally(2, "Wasted") == (4, 106000), layers[2]
assert layers[2]["Files"][0] == {"Path": "/data/big", "Size": 100000, "Changed": False, "Wasted": True}
assert tally(3, "Changed") == (1, 8), layers[3]
assert tally(3, "Removed") == (3, 101000), layers[3]
assert tally(3, "Wasted") == (0, 0) == tally(1, "Wasted") == tally(4, "Wasted"), layers
assert tally(4, "Added") == (1, 1), layers[4]
assert layers[3]["CreatedBy"].startswith("RUN /bin/sh -c rm /data/big"), layers[3]
END
python3 judge.py "$WORK/out"; ok "say what they add, change, remove and waste" $?
check "as text" kiln image layers -n 2 app
prints "the largest first" '^SIZE +LAYER +FILE'
prints "with what is wasted" '^100kB +2 +/data/big +wasted: a later layer hides it$'
prints "and its sum" ' in 4 layers, of which later layers hide 106kB in 4 files$'
check "pushed" kiln build -o type=registry,name="$REGISTRY/layers/app:1" app
pulled() { on "$WORK/there" "$@"; }
check "and pulled" pulled kiln pull -q "$REGISTRY/layers/app:1"
check "they say the same" pulled kiln image layers --format json "$REGISTRY/layers/app:1"
python3 judge.py "$WORK/out"; ok "to the byte" $?
fails "no image has none" 1 kiln image layers nothing
fails "two are too many" 2 kiln image layers app app
finish
