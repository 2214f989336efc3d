#compdef kiln
# SPDX-License-Identifier: Apache-2.0
# zsh completion for kiln: kiln itself knows how a line goes on (`kiln __complete`).

_kiln() {
	local line directive kept
	local -a plain candidates described
	for line in "${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete "${(@Q)words[2,CURRENT]}" 2> /dev/null)}"; do
		case $line in
		:*) directive=$line ;;
		'') ;;
		*$'\t'*)
			candidates+=("${line%%$'\t'*}")
			described+=("${line%%$'\t'*} -- ${line#*$'\t'}")
			;;
		*) candidates+=("$line") described+=("$line") ;;
		esac
	done
	if (( $#candidates )); then
		if [[ $directive == *nospace* ]]; then
			compadd -S '' -l -d described -a candidates
		else
			compadd -l -d described -a candidates
		fi
	fi
	# A path may stand behind "--file=" or "dest=".
	if [[ $directive == *(files|dirs)* ]]; then
		[[ $PREFIX == *=* ]] && compset -P '*='
		[[ $directive == *files* ]] && _files || _files -/
	fi
	return 0
}

# Sourced, as by `source <(kiln completion zsh)`, or loaded by the name of the function.
if [[ $funcstack[1] == _kiln ]]; then
	_kiln "$@"
else
	compdef _kiln kiln
fi
