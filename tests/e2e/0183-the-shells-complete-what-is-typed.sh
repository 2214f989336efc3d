# SPDX-License-Identifier: Apache-2.0
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"

mkdir bin ctx zdot
ln -s "$KILN" bin/kiln
PATH=$WORK/bin:$PATH
printf 'FROM scratch AS compile\nCOPY a /\nfrom compile as Package\n' > ctx/Dockerfile
echo a > ctx/a
kiln build -q -t team/app:v1 ctx > /dev/null 2> err

# candidates NAME REGEX WORD...: one of the candidates for the last word fits.
candidates() {
	local what=$1 regex=$2
	shift 2
	quietly kiln __complete "$@"
	prints "$what" "$regex"
}
candidates "commands are completed" '^build	Build an image' bu
candidates "and docker's groups" '^buildx	' bu
candidates "with their commands" '^imagetools$' buildx i
candidates "and docker's words for them" '^rm$' image ''
candidates "options too" '^--progress	auto' build --pro
candidates "also behind a group" '^--progress	auto' buildx build --pro
candidates "and those of a subcommand" '^--prefer-index	' imagetools create --pre
candidates "the values of an option" '^rawjson$' build --progress ''
candidates "in the same word" '^--progress=rawjson$' build --progress=
candidates "in its short form" '^type=local$' build -o t
candidates "or as fields of a record" '^type=local,dest=$' build -o type=local,de
candidates "types of caches" '^type=s3$' build --cache-from ''
candidates "methods" '^outline$' build --call o
candidates "networks" '^host$' run --network h
candidates "platforms behind a comma" '^linux/amd64,linux/arm64$' build --platform linux/amd64,linux/arm6
candidates "subcommands" '^prune$' mounts p
candidates "images of the store" '^team/app:v1$' rmi te
candidates "stages of the Dockerfile" '^compile$' build ctx --target comp
candidates "as the option names it, in any case" '^Package$' build -f ctx/Dockerfile --target P
candidates "folders for a context" '^:.* dirs' build ''
candidates "files for a file" '^:.* files' build -f ''
quietly kiln __complete rmi t nothing
! grep -q team out; ok "nothing else is completed" $?
for value in auto plain quiet rawjson tty; do
	kiln build --progress=$value ctx > out 2> err || break
done
ok "what is offered for --progress is taken" $?
KILN_ROOT=$WORK/none quietly kiln __complete rmi ''
test ! -e none; ok "no store is made for it" $?
fails "another shell is refused" 2 kiln completion csh

# What is typed into real shells. bash and zsh read their setup from a file, then the terminal.
type_in() {
	python3 "$HERE/../fixtures/type_in_shell.py" "$@"
}
# The machine's own bashrc sets another prompt.
{
	kiln completion bash
	echo "PS1='ready> '"
} > bashrc
check "bash completes a command" type_in 'completion ' 'kiln comple\t' bash --rcfile bashrc -i
check "an option" type_in 'build --progress ' 'kiln build --prog\t' bash --rcfile bashrc -i
check "a value" type_in '=rawjson ' 'kiln build --progress=r\t' bash --rcfile bashrc -i
check "a field, and goes on there" type_in 'type=local,dest=x' 'kiln build -o type=local,de\tx' bash --rcfile bashrc -i
check "a name with a colon" type_in 'team/app:v1 ' 'kiln rmi team/app:\t' bash --rcfile bashrc -i
check "a file" type_in 'ctx/Dockerfile ' 'kiln build -f ctx/Do\t' bash --rcfile bashrc -i
check "and lists what there is" type_in 'rawjson' 'kiln build --progress=\t\t' bash --rcfile bashrc -i

if command -v zsh > /dev/null; then
	{
		echo 'PROMPT="ready> "; unsetopt zle_bracketed_paste prompt_sp; zmodload zsh/zle'
		echo 'autoload -U compinit; compinit -u -D; source <(kiln completion zsh)'
	} > zdot/.zshrc
	export ZDOTDIR=$WORK/zdot
	check "zsh completes a command" type_in 'completion ' 'kiln comple\t' zsh -d -i
	check "a value" type_in '=rawjson ' 'kiln build --progress=r\t' zsh -d -i
	check "a field" type_in 'type=local,dest=x' 'kiln build -o type=local,de\tx' zsh -d -i
	check "an image" type_in 'team/app:v1 ' 'kiln rmi te\t' zsh -d -i
	check "a file" type_in 'ctx/Dockerfile ' 'kiln build -f ctx/Do\t' zsh -d -i
	check "and says what options are" type_in 'Always ask for newer base images' 'kiln build --pu\t' zsh -d -i
else
	skip "zsh completes" "zsh is not installed"
fi

if command -v fish > /dev/null; then
	# fish_says LINE REGEX
	fish_says() {
		fish --no-config -c 'kiln completion fish | source; complete -C $argv[1]' "$1" | grep -Eq -- "$2"
	}
	check "fish completes a command" fish_says 'kiln comple' '^completion	Print'
	check "a value" fish_says 'kiln build --progress=r' '^--progress=rawjson$'
	check "a field" fish_says 'kiln build -o type=local,de' '^type=local,dest=$'
	check "an image" fish_says 'kiln rmi te' '^team/app:v1$'
	check "a file" fish_says 'kiln build -f ctx/Do' '^ctx/Dockerfile'
	check "a folder" fish_says 'kiln build c' '^ctx/'
else
	skip "fish completes" "fish is not installed"
fi
finish
