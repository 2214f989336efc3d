# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# --- Options before the command
check "an image" kiln build -q -t app - <<< 'FROM busybox'
check "docker's own options stand before the command" kiln -D --log-level=debug -c default -H unix:///var/run/docker.sock images -q
[ "$(cat out)" = "$(kiln images -q)" ]; ok "which then does the same" $?
fails "a daemon elsewhere" 2 kiln -H tcp://192.0.2.1:2375 build .
prints "is told where kiln builds" '^kiln: --host tcp://192.0.2.1:2375: kiln has no daemon, .*; it builds where it runs, so run it there'
fails "another context" 2 kiln --context there build .
prints "does not exist" '^kiln: --context there: kiln has the context "default" alone'
fails "an option that is none" 2 kiln --debgu images
prints "is told, with the near one" '^kiln: unknown flag: --debgu; did you mean --debug\?$'
mkdir other && printf '{"auths": {"127.0.0.1:9": {"auth": "YTpi"}}}\n' > other/config.json
check "--config names docker's folder" kiln --config "$WORK/other" logout 127.0.0.1:9
! grep -q 127.0.0.1:9 other/config.json; ok "of which the credentials are" $?
check "-v is --version" kiln -v
prints "as with docker" '^kiln version '

# --- Commands that are not there: said why, and nothing else suggested
refused() { # refused "WORDS" REASON
	# shellcheck disable=SC2086
	fails "$1" 2 kiln $1
	prints "is not there: $2" "^kiln: '.*' is not a kiln command: .*$2"
	! grep -q 'Did you mean' err; ok "and nothing is put in its place" $?
}
for word in ps restart stop logs rm; do
	refused "$word x" 'kiln keeps no containers'
done
refused "network ls" 'kiln keeps no networks'
refused "volume ls" 'kiln keeps no volumes'
refused "buildx stop" 'there is no builder'
refused "context create x" 'one context'
fails "what docker does not have either" 2 kiln pz
[ "$(head -n 1 err)" = "kiln: 'pz' is not a kiln command." ]; ok "has no name near enough" $?
fails "a slip" 2 kiln biuld .
prints "has one" "^kiln: 'biuld' is not a kiln command. Did you mean 'build'\?$"
fails "also in a group" 2 kiln buildx biuld .
prints "has one, too" "^kiln: 'buildx biuld' is not a kiln command. Did you mean 'buildx build'\?$"
check "a group with --help" kiln system --help
prints "lists its commands" '^  df  '

# --- Builders and contexts: there is one of each
check "buildx create, as CI does it" kiln buildx create --name ci --driver docker-container --driver-opt network=host --buildkitd-flags --debug --bootstrap --use
[ "$(cat out)" = ci ]; ok "prints the name" $?
prints "and says what it means" "kiln has one builder, its store $KILN_ROOT: nothing was created"
fails "a builder elsewhere" 1 kiln buildx create --driver kubernetes
prints "is refused" "^ERROR: create a builder with driver 'kubernetes': kiln builds where it runs"
check "buildx inspect" kiln buildx inspect --bootstrap ci
prints "shows the platforms" '^Platforms: linux/'
check "buildx use" kiln buildx use ci
check "buildx ls" kiln buildx ls --format '{{.Name}} {{.Driver}} {{range .Nodes}}{{.Status}}{{end}}'
[ "$(cat out)" = 'default kiln running' ]; ok "lists it" $?
check "buildx rm" kiln buildx rm ci
check "after which the image" kiln inspect app
check "buildx b is buildx build" kiln buildx b -q --builder ci - <<< 'FROM busybox'
check "context ls" kiln context ls -q
check "context use" kiln context use default
fails "of another one" 1 kiln context use there

# --- What takes space, and what removes it
check "system df" kiln system df
prints "counts images" '^Images +[1-9] +0 +[1-9]'
check "by a template" kiln system df --format '{{.Type}}={{.TotalCount}}'
prints "too" '^Containers=0$'
for words in prune "builder prune" "image prune -a" "system prune -a" "mounts prune" "store remove"; do
	# shellcheck disable=SC2086
	check "$words with nobody to ask" kiln $words < /dev/null
	prints "removes nothing" '^Nothing was removed. Give --force where there is nobody to ask.$'
done
check "so all is there" kiln inspect app
# shellcheck disable=SC2016
quietly sh -c 'echo y | "$KILN" image prune -a'
prints "a yes is enough" '^untagged: app:latest$'
check "rmi -f of nothing is no failure" kiln rmi -f app
prints "and is told" '^no such image: app$'
fails "rmi of nothing is one" 1 kiln rmi app

# --- Options of docker run that are not there
for words in -d --restart=always -m64m "--mount type=tmpfs,dst=/x" "--gpus all" -P --privileged; do
	# shellcheck disable=SC2086
	fails "run $words" 125 kiln run $words busybox true
	prints "is told why" "^kiln run: --[a-z-]* is docker's alone: .* .* .*"
done
check "run --net is --network" kiln run --net none -l a=b busybox true
fails "an archive that is empty" 1 kiln load < /dev/null
prints "is told what it should be" '^it should be what kiln save or docker save has written'

# --- Slips on the command line of a build
fails "-tag for --tag" 2 kiln build -tag app .
prints "is told" '^kiln build: unknown flag: -tag; did you mean --tag\?$'
fails "a context that went to an option" 2 kiln build -t .
prints "is told" '; "\." was taken as the value of -t$'
fails "a named context that is not there" 1 kiln build --build-context libs=nosuchfolder - <<< 'FROM busybox'
prints "is told, used or not" "^ERROR: failed to build: --build-context libs: 'nosuchfolder': No such file or directory$"
fails "a limit that is none" 2 kiln build --ulimit nofil=5 .
prints "is told, with the near one" "^kiln build: --ulimit: unknown resource limit 'nofil'; did you mean nofile\?$"
fails "an annotation that is none" 2 kiln build --annotation x .
prints "is told by its option" "^kiln build: --annotation: invalid annotation 'x': expected key=value$"
check "docker manifest inspect" kiln manifest inspect busybox
prints "prints a manifest" '"mediaType"'
printf 'FROM busybox\nRUN --network=host true\n' > Dockerfile
fails "a Dockerfile may not take the host's network" 1 kiln build .
check "who says --network=host gives it" kiln build --network=host .
TZ=UTC check "times are docker's" env TZ=UTC "$KILN" images --format '{{.CreatedAt}}|{{.SharedSize}}|{{.Containers}}' busybox
prints "as Go prints them" '^[0-9-]{10} [0-9:]{8} \+0000 UTC\|N/A\|N/A$'
finish
