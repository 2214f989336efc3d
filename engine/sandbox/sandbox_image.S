/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the helper program, so that kiln is one file. */
	.section .rodata
	.balign 16
	.global sandbox_image
	.type sandbox_image, %object
sandbox_image:
	.incbin KILN_SANDBOX_IMAGE
	.global sandbox_image_end
sandbox_image_end:
	.byte 0
	.size sandbox_image, . - sandbox_image
	.section .note.GNU-stack, "", %progbits
