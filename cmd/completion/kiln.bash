# SPDX-License-Identifier: Apache-2.0
# bash completion for kiln: kiln itself knows how a line goes on (`kiln __complete`).

# bash parts words at "=" and ":" too: COMPREPLY gets back what kiln saw as one word, in $current, without
# what stands before the last of these.
_kiln_words() {
	local rest=$COMP_LINE word i
	words=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $i -gt 0 && $rest != [[:space:]]* && ${#words[@]} -gt 0 ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		rest=${rest#"${rest%%[![:space:]]*}"}
		rest=${rest#"$word"}
	done
}

_kiln() {
	local words current kept='' line directive='' candidate IFS=$' \t\n'
	COMPREPLY=()
	_kiln_words
	current=${words[-1]}
	case $COMP_WORDBREAKS in
	*[=:]*) [[ $current == *[=:]* ]] && kept=${current%"${current##*[=:]}"} ;;
	esac
	while IFS= read -r line; do
		case $line in
		:*) directive=$line ;;
		*)
			candidate=${line%%$'\t'*}
			COMPREPLY+=("${candidate#"$kept"}")
			;;
		esac
	done < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2> /dev/null)
	case $directive in
	*files*) _kiln_paths -f ;;
	*dirs*) _kiln_paths -d ;;
	esac
	case $directive in
	*nospace*) compopt -o nospace 2> /dev/null ;;
	esac
}

# Where kiln offers something else no path is meant: to be quoted as one would spoil it.
# Paths are of the part behind the last break, or behind the last "=" of a record: dest=FILE.
_kiln_paths() {
	local word=${current#"$kept"} path
	[[ ${#COMPREPLY[@]} -eq 0 ]] || return
	compopt -o filenames 2> /dev/null
	while IFS= read -r path; do
		COMPREPLY+=("$path")
	done < <(compgen "$1" -- "$word")
}

complete -F _kiln kiln
