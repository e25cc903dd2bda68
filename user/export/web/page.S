// SPDX-License-Identifier: GPL-2.0-or-later
// The page, as it is, in the program's read-only data: see export/metrics_page.h.
	.section .rodata
	.global metrics_page
	.type metrics_page, %object
metrics_page:
	.incbin "user/export/web/page.html"
page_end:
	.size metrics_page, . - metrics_page
	.byte 0
	.balign 8
	.global metrics_page_len
	.type metrics_page_len, %object
	.size metrics_page_len, 8
metrics_page_len:
	.quad page_end - metrics_page
	.section .note.GNU-stack, "", %progbits
