# SPDX-License-Identifier: Apache-2.0
# What others say is shown harmless, and what they say of a layer is looked at before it is passed on.
. "$(dirname "$0")/lib.sh"

# --- Errors with control characters, of a registry and of S3

cat > rude.py <<'END'
import http.server
ESC = "\x1b]0;owned\x07\x1b[2J\x9b31m\r"
class Rude(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "bucket" in self.path:
            body = f"<Error><Code>Odd{ESC}</Code><Message>of S3 {ESC}</Message></Error>"
        else:
            text = "".join(f"\\u{ord(c):04x}" for c in ESC)
            body = '{"errors": [{"code": "DENIED", "message": "of a registry %s"}]}' % text
        last = self.path.rsplit("/", 1)[-1]
        self.send_response(int(last) if last.isdigit() else 400, "no")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())
    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rude)
print(s.server_address[1], flush=True)
s.serve_forever()
END
python3 rude.py > port &
RUDE=$!
at_end 'kill $RUDE 2> /dev/null'
until [ -s port ]; do sleep 0.02; done
rude=127.0.0.1:$(cat port)
export AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=secret
harmless() { # of the last command
	cat out err | LC_ALL=C grep -q "$1" && ! cat out err | LC_ALL=C grep -q "$(printf '[\001-\010\013\015\016-\037\177]')" &&
		! cat out err | LC_ALL=C grep -q "$(printf '\302\233')"
	ok "shows what it said and no control character" $?
}
mkdir app
printf 'FROM scratch\nCOPY Dockerfile /\n' > app/Dockerfile
for status in 400 403 404 429; do
	fails "a registry that answers $status" 1 kiln pull "$rude/a/$status:$status"
	harmless "of a registry"
done
check "an image to push" kiln build -q -t "$rude/a/b:1" app
fails "a push to it" 1 kiln push "$rude/a/b:1"
harmless "answers"
s3=type=s3,endpoint_url=http://$rude,use_path_style=true,bucket=bucket,region=us-east-1,name=n
fails "an export to such an S3" 1 kiln build --cache-to "$s3" app
harmless "400"
quietly kiln build --no-cache --cache-from "$s3" app
! cat out err | LC_ALL=C grep -q "$(printf '\033')"; ok "an import from it shows none" $?

# --- A git repository with a name that would be a deletion

export GIT_CONFIG_GLOBAL=$WORK/gitconfig KILN_ALLOW_FILE_GIT=1
git config --global user.email someone@example.com
git config --global user.name Someone
git init -q repo && touch repo/.wh.passwd && git -C repo add . && git -C repo commit -q -m first
mkdir git
printf 'FROM busybox\nADD file://%s/repo /etc/\n' "$WORK" > git/Dockerfile
fails "a file .wh.passwd of a git repository" 1 kiln build -t gone git
prints "is refused by name" '\.wh\.passwd'
fails "and no image is made" 1 kiln inspect gone

# --- Layers under each other's diff IDs

mkdir two
printf 'FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n' > two/Dockerfile
check "a cache" on writer kiln build -o type=none --cache-to "type=local,dest=$WORK/cache,mode=max" two
python3 - cache <<'END'
import hashlib, json, sys
dir, key = sys.argv[1], "containerd.io/uncompressed"
index = json.load(open(f"{dir}/index.json"))
name = index["manifests"][0]["digest"][7:]
m = json.load(open(f"{dir}/blobs/sha256/{name}"))
x, y = [l for l in m["layers"] if key in l.get("annotations", {})][:2]
x["annotations"][key], y["annotations"][key] = y["annotations"][key], x["annotations"][key]
b = json.dumps(m).encode()
h = hashlib.sha256(b).hexdigest()
open(f"{dir}/blobs/sha256/{h}", "wb").write(b)
index["manifests"][0].update(digest="sha256:" + h, size=len(b))
json.dump(index, open(f"{dir}/index.json", "w"))
END
repository=$REGISTRY/checked-$$
# right STORE REFERENCE: what it is pulled as, in an empty store
right() {
	[ "$(on "$1" kiln run --rm "$2" cat /one /two | xargs)" = "one two" ]
	ok "has its layers in order" $?
}
import() {
	on "$1" kiln build --cache-from "type=local,src=$WORK/cache" "${@:2}" two
}
check "a build that pushes what it imported" import a -o "type=registry,name=$repository/a:1"
check "whose image" on a2 kiln pull "$repository/a:1"
right a2 "$repository/a:1"
check "an image of it" import b -t "$repository/b:1"
check "is pushed" on b kiln push "$repository/b:1"
check "so that it" on b2 kiln pull "$repository/b:1"
right b2 "$repository/b:1"
check "another is copied by imagetools" on b kiln buildx imagetools create -t "$repository/c:1" "$repository/b:1"
check "so that it" on c2 kiln pull "$repository/c:1"
right c2 "$repository/c:1"
check "another" import d -t d
check "is saved" on d kiln save -o d.tar d
check "and loaded" on d2 kiln load -i d.tar
right d2 d
check "a cache made of the cache" import e -o type=none --cache-to "type=local,dest=$WORK/cache2,mode=max"
check "is imported" on f kiln build -t f --cache-from "type=local,src=$WORK/cache2" two
right f f

KILN_ROOT=$WORK/a
finish
