# SPDX-License-Identifier: Apache-2.0
# fish completion for kiln: kiln itself knows how a line goes on (`kiln __complete`).

function __kiln_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -l lines ($program __complete $words[2..-1] "$current" 2>/dev/null)
    set -l directive ''
    for line in $lines
        if string match -q ':*' -- $line
            set directive $line
        else
            echo $line
        end
    end
    # A path may stand behind "--file=" or "dest=".
    set -l path (string replace -r '^.*=' '' -- "$current")
    set -l before (string replace -r '[^=]*$' '' -- "$current")
    if string match -q '*dirs*' -- $directive
        for entry in (__fish_complete_directories "$path" '')
            echo $before$entry
        end
    else if string match -q '*files*' -- $directive
        for entry in (__fish_complete_path "$path")
            echo $before$entry
        end
    end
end

complete -c kiln -f -a '(__kiln_complete)'
