# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
export GIT_CONFIG_GLOBAL=$WORK/gitconfig
git config --global user.email someone@example.com
git config --global user.name Someone
git config --global init.defaultBranch main
git config --global protocol.file.allow always
git config --global safe.directory '*'

# A repository with branches, tags, a pull request and a submodule.
mkdir srv && cd srv || exit 1
git init -q sub && (cd sub && echo 123 > file && git add . && git commit -q -m first)
git clone -q --bare sub sub.git
git init -q repo && cd repo || exit 1
echo base > foo && echo 'echo hi' > run.sh && chmod 755 run.sh && ln -s foo link
printf '%s\n' 'FROM scratch AS withgit' 'COPY .git/HEAD out' 'FROM scratch AS withsub' \
	'COPY submodule/file out' 'FROM scratch' 'COPY foo out' > Dockerfile
git submodule --quiet add ../sub.git submodule
git add . && git commit -q -m first && git branch base
mkdir sub && echo subfeature > sub/foo && cp Dockerfile sub/
git add . && git commit -q -m feature && git branch feature && git update-ref refs/pull/7/head HEAD
git checkout -q -B main base && echo v2 > foo && git commit -q -a -m v2 && git tag -a v2 -m 'the second'
echo latest > foo && git commit -q -a -m latest
git update-server-info && git -C ../sub.git update-server-info
v2=$(git rev-parse 'v2^{commit}') latest=$(git rev-parse main)
cd ../..
mv srv/repo/.git srv/repo.git

python3 "$fixtures/git_server.py" "$WORK/srv" "$WORK/port" "$WORK/log" > /dev/null 2>&1 &
server=$!
at_end 'kill $server 2> /dev/null'
for _ in $(seq 100); do
	[ -s port ] && break
	sleep 0.1
done
url=http://127.0.0.1:$(cat port)

build() { # build ARGUMENT...: to the folder made
	rm -rf made
	kiln build --progress plain -o type=local,dest=made "$@"
}
gives() { # gives NAME TEXT ARGUMENT...: what the build's file `out` holds
	name=$1 text=$2
	shift 2
	quietly build "$@"
	[ "$(cat made/out 2> /dev/null)" = "$text" ]
	ok "$name" $?
}
refused() { # refused NAME REGEX ARGUMENT...
	name=$1 regex=$2
	shift 2
	fails "$name" 1 build "$@"
	prints "... and says why" "$regex"
}

gives "a repository is a context, its default branch by default" latest $url/git/repo.git
prints "its step is named" '^#1 \[internal\] load git source http://127.0.0.1:[0-9]+/git/repo.git$'
prints "and shows the commit" "$latest.*refs/heads/main"
: > log
gives "it builds again" latest $url/git/repo.git
test "$(wc -l < log)" = 1; ok "a ref that did not move costs one request" $?
gives "a branch" base "$url/git/repo.git#base"
gives "a branch and a folder" subfeature "$url/git/repo.git#feature:sub"
gives "the same as a query" subfeature "$url/git/repo.git?ref=feature&subdir=sub"
gives "an annotated tag" v2 "$url/git/repo.git?tag=v2"
gives "a commit" v2 "$url/git/repo.git#$v2"
gives "a pull request" subfeature "$url/git/repo.git#refs/pull/7/head:sub"
gives "a tag that must be a commit" v2 "$url/git/repo.git?tag=v2&commit=${v2%????????}"
gives "submodules come along" 123 --target withsub $url/git/repo.git
gives ".git stays on request" "$latest" --target withgit "$url/git/repo.git?keep-git-dir"
gives "and by build argument" "$latest" --target withgit \
	--build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 $url/git/repo.git
check "the epoch is the commit's" kiln build --build-arg SOURCE_DATE_EPOCH=context \
	-o type=oci,dest=epoch.tar "$url/git/repo.git#$v2"
tar -xOf epoch.tar --wildcards 'blobs/sha256/*' |
	grep -aq "\"created\":\"$(TZ=UTC git -C srv/repo.git log -1 --date=format-local:%FT%TZ --format=%cd "$v2")\""
ok "as the image tells" $?
gives "a server that only serves files" latest $url/dumb/repo.git
refused "without .git otherwise" '\.git/HEAD": not found' --target withgit $url/git/repo.git
refused "without submodules if asked" 'submodule/file": not found' \
	--target withsub "$url/git/repo.git?submodules=false"
refused "an unknown branch" 'repository does not contain ref nosuch' "$url/git/repo.git#nosuch"
refused "a near miss" 'did you mean feature\?' "$url/git/repo.git#featur"
refused "a tag as a branch" 'does not contain ref refs/heads/v2' "$url/git/repo.git?branch=v2"
refused "a short hash as a ref" 'does not contain ref' "$url/git/repo.git#${v2%????????????????????????????????}"
refused "another commit than the tag's" 'expected checksum to match' \
	"$url/git/repo.git?tag=v2&commit=$latest"
refused "a ref that looks like an option" 'looks like an option' "$url/git/repo.git#--upload-pack=id"
refused "a folder outside" 'leads out of the repository' "$url/git/repo.git#main:../x"
refused "a folder that is not there" 'no such directory' "$url/git/repo.git#main:nosuch"
refused "conflicting refs" 'ref conflicts' "$url/git/repo.git?tag=v2#refs/heads/main"
refused "a repository that is not there" 'nosuch.git: repository not found' $url/git/nosuch.git
refused "a server that is not there" 'Connection refused' http://127.0.0.1:1/repo.git
refused "a repository of this machine" 'KILN_ALLOW_FILE_GIT=1' "file://$WORK/srv/repo.git"
KILN_ALLOW_FILE_GIT=1 gives "unless it is allowed" base "file://$WORK/srv/repo.git#base"

mkdir add
printf 'FROM scratch\nADD %s /repo/\n' "$url/git/repo.git" > add/Dockerfile
check "ADD takes a repository" build add
test "$(cat made/repo/foo)" = latest && test ! -e made/repo/.git; ok "without .git" $?
test "$(stat -c %a made/repo/foo made/repo/run.sh made/repo/submodule | xargs)" = "644 755 755"
ok "with git's modes" $?
test "$(readlink made/repo/link)" = foo; ok "and symlinks" $?
printf 'FROM scratch\nADD --keep-git-dir=true --checksum=%s %s /repo/\n' "$v2" \
	"$url/git/repo.git?tag=v2" > add/Dockerfile
check "ADD --keep-git-dir --checksum" build add
test "$(git -C made/repo log --format=%s)" = v2; ok "git log works in it" $?
test -z "$(git -C made/repo status --porcelain)"; ok "git status finds nothing changed" $?
test "$(git -C made/repo describe)" = v2; ok "git describe knows the tag" $?
git -C made/repo fsck --strict > /dev/null 2>&1; ok "git fsck finds nothing wrong" $?
printf 'FROM scratch\nADD --checksum=%s %s /repo/\n' "$v2" "$url/git/repo.git" > add/Dockerfile
refused "a commit that is another" 'expected checksum to match' add
printf 'FROM scratch\nADD --checksum=xyz %s /repo/\n' "$url/git/repo.git" > add/Dockerfile
refused "a checksum that is none" 'invalid checksum xyz .* expected hex commit hash' add

printf 'FROM scratch\nCOPY --from=other foo /out\n' > add/Dockerfile
gives "a named context is a repository" v2 --build-context "other=$url/git/repo.git#v2" add

printf 'FROM scratch\nADD %s /repo/\n' "$url/auth/repo.git?ref=base" > add/Dockerfile
refused "a private repository" 'give a token with --secret id=GIT_AUTH_TOKEN' add
TOKEN=open refused "with a wrong token" 'authentication failed' \
	--secret id=GIT_AUTH_TOKEN,env=TOKEN add
TOKEN=sesame check "with the right token" build --secret id=GIT_AUTH_TOKEN,env=TOKEN add
TOKEN=sesame check "with one for this host" build --no-cache \
	--secret "id=GIT_AUTH_TOKEN.${url#http://},env=TOKEN" add
: > log
printf 'FROM scratch\nADD %s /repo/\n' "$url/moved/repo.git?ref=base" > add/Dockerfile
TOKEN=sesame check "a repository that moved to another host" build --no-cache \
	--secret id=GIT_AUTH_TOKEN,env=TOKEN add
grep -q '/moved/.* auth$' log && ! grep -q '/git/.* auth$' log
ok "the token stays with its host" $?

env --default-signal=INT "$KILN" build --progress plain -o type=local,dest=made \
	"$url/slow/repo.git?ref=base&mtime=commit" > "$WORK/out" 2> "$WORK/err" &
build=$!
for _ in $(seq 100); do
	grep -q 'POST /slow' log && break
	sleep 0.1
done
kill -INT $build
wait $build
test $? = 130; ok "Ctrl-C ends a fetch" $?
test -n "$(ls "$KILN_ROOT/git")"; ok "what was fetched is kept" $?
check "prune" kiln prune --force
test -z "$(ls "$KILN_ROOT/git")"; ok "removes it" $?
finish
