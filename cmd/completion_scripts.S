/* SPDX-License-Identifier: Apache-2.0 */
/* See completion_scripts.h. */
	.macro script shell, file
	.global completion_\shell
	.type completion_\shell, %object
completion_\shell:
	.incbin "\file"
	.global completion_\shell\()_end
	.type completion_\shell\()_end, %object
completion_\shell\()_end:
	.byte 0
	.size completion_\shell, completion_\shell\()_end - completion_\shell
	.endm

	.section .rodata
	script bash, "cmd/completion/kiln.bash"
	script zsh, "cmd/completion/kiln.zsh"
	script fish, "cmd/completion/kiln.fish"
	.section .note.GNU-stack, "", %progbits
