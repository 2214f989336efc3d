# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

export GIT_CONFIG_GLOBAL=$WORK/gitconfig
git config --global user.email someone@example.com
git config --global user.name Someone
git config --global init.defaultBranch main
git config --global safe.directory '*'

port=$((21000 + $$ % 4000))
agent=
cleanup() {
	[ ! -s daemon.pid ] || kill "$(cat daemon.pid)" 2> /dev/null
	[ ! -s ssh/pid ] || kill "$(cat ssh/pid)" 2> /dev/null
	[ -z "$agent" ] || kill "$agent" 2> /dev/null
	agent=
}
trap cleanup EXIT

mkdir srv && git init -q srv/repo && cd srv/repo || exit 1
printf '%s\n' 'FROM scratch' 'COPY . /' > Dockerfile
echo one > foo
git add . && GIT_COMMITTER_DATE='2001-02-03T04:05:06Z' git commit -q -m first
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 5\n' 0 > large.bin
git checkout -q -b lfs && git add . && git commit -q -m pointer
git checkout -q main

# Trees that git itself would not make: one entry "MODE NAME" of an object each.
blob=$(git hash-object -w foo)
dockerfile=$(git rev-parse main:Dockerfile)
hex() { # as bytes
	printf '%b' "$(printf '%s' "$1" | sed 's/../\\x&/g')"
}
hostile() { # hostile BRANCH [MODE NAME OBJECT]...
	branch=$1
	shift
	{
		printf '100644 Dockerfile\0' && hex "$dockerfile"
		while [ $# -gt 0 ]; do
			printf '%s %s\0' "$1" "$2" && hex "$3"
			shift 3
		done
	} > ../tree
	tree=$(git hash-object -w -t tree --literally --stdin < ../tree)
	git update-ref "refs/heads/$branch" "$(git commit-tree -m bad "$tree")"
}
plain=$(git rev-parse 'main^{tree}')
hostile dotgit 40000 .git "$plain"
hostile dotgit2 40000 .GIT "$plain"
hostile parent 40000 .. "$plain"
hostile slash 100644 ../../../escaped "$blob"
outside=$(printf '%s' "$WORK/outside" | git hash-object -w --stdin)
hostile through 120000 dir "$outside" 40000 dir "$plain"
hostile missing 100644 gone 1234567890123456789012345678901234567890
hostile nourl 160000 sub 1234567890123456789012345678901234567890
for url in "--upload-pack=touch $WORK/owned" "file://$WORK/srv/repo" "ext::touch $WORK/owned" \
	'../../../..'; do
	modules=$(printf '[submodule "a"]\n\tpath = sub\n\turl = %s\n' "$url" | git hash-object -w --stdin)
	n=$((${n:-0} + 1))
	hostile "url$n" 100644 .gitmodules "$modules" 160000 sub 1234567890123456789012345678901234567890
done
mkdir "$WORK/outside"
cd ../.. || exit 1

build() {
	rm -rf made
	kiln build --progress plain -o type=local,dest=made "$@"
}

git daemon --base-path="$WORK/srv" --export-all --listen=127.0.0.1 --port=$port --reuseaddr \
	--pid-file="$WORK/daemon.pid" > daemon.log 2>&1 &
for _ in $(seq 100); do
	git ls-remote "git://127.0.0.1:$port/repo" > /dev/null 2>&1 && break
	sleep 0.1
done
url=git://127.0.0.1:$port/repo
check "a repository over git://" build "$url?mtime=commit"
test "$(cat made/foo)" = one; ok "is all there" $?
test "$(stat -c %Y made/foo)" = 981173106; ok "with the commit's time, if asked" $?
check "Git LFS pointers are taken" build "$url#lfs"
prints "and warned about" 'GitLFS: 1 file of the git repository \(large\.bin\) is a Git LFS pointer'
fails "a repository that is not exported" 1 build "git://127.0.0.1:$port/nosuch"
prints "is told" 'repository not found'
fails "a port where nobody listens" 1 build git://127.0.0.1:1/repo
prints "is told" 'Connection refused'
fails "an unknown host" 1 build git://nosuchhost.invalid/repo
prints "is told" 'unknown host nosuchhost.invalid'

for branch in dotgit dotgit2 parent slash through; do
	fails "a hostile tree ($branch)" 1 build "$url#$branch"
	prints "... is refused" 'the git tree is refused'
done
fails "an object that is missing" 1 build "$url#missing"
fails "a submodule without URL" 1 build "$url#nourl"
prints "... says so" 'names no URL for submodule sub'
for n in 1 2 3 4; do
	fails "a hostile URL of a submodule ($n)" 1 build "$url#url$n"
done
test ! -e "$WORK/owned" && test -z "$(ls "$WORK/outside")" && test ! -e "$WORK/escaped"
ok "nothing outside was touched" $?
check "a good branch still builds" build "$url"
check "the store is sound" kiln store verify

if [ -x /usr/sbin/sshd ] && command -v ssh > /dev/null && [ "$(id -u)" = 0 ]; then
	mkdir -p ssh "$HOME/.ssh" /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f ssh/host
	ssh-keygen -q -t ed25519 -N '' -f ssh/key
	printf '%s\n' "Port $((port + 1))" "ListenAddress 127.0.0.1" "HostKey $WORK/ssh/host" \
		"AuthorizedKeysFile $WORK/ssh/key.pub" "PasswordAuthentication no" "UsePAM no" \
		"KbdInteractiveAuthentication no" "StrictModes no" "PermitRootLogin yes" \
		"PidFile $WORK/ssh/pid" > ssh/config
	/usr/sbin/sshd -f "$WORK/ssh/config" -E "$WORK/ssh/log"
	ssh=ssh://root@127.0.0.1:$((port + 1))$WORK/srv/repo
	unset SSH_AUTH_SOCK
	for _ in $(seq 100); do
		ssh-keyscan -p $((port + 1)) 127.0.0.1 > keys 2> /dev/null
		[ ! -s keys ] || break
		sleep 0.1
	done
	fails "an unknown ssh host" 1 build $ssh
	prints "is told" 'Host key verification failed'
	cp keys "$HOME/.ssh/known_hosts"
	fails "ssh without a key" 1 build $ssh
	prints "is told" 'authentication failed'
	eval "$(ssh-agent -a "$WORK/agent")" > /dev/null
	agent=$SSH_AGENT_PID
	ssh-add -q ssh/key
	check "a repository over ssh, by an agent's key" build $ssh
	test "$(cat made/foo)" = one; ok "is all there" $?
	fails "a repository that is not there" 1 build "${ssh}x"
	prints "is told" 'repository not found'
else
	skip "repositories over ssh" "needs root and openssh-server"
fi
cleanup
rm -f "$WORK/agent"
finish
