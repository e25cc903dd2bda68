/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_KERNEL_BTF_H
#define KSPLIT_OBSERVE_KERNEL_BTF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The names in the kernel's BTF. libbpf parses it for each object that it loads, some 100,000
 * types, and gives it to nobody; which functions there are can be told without that.
 */
struct kernel_btf {
	char *names; /* owned; one after another, each with its NUL */
	size_t len;
};

/*
 * Read /sys/kernel/btf/vmlinux, or what libbpf finds in its place. 0 or -errno: this kernel tells
 * none. Freed with kernel_btf_free.
 */
int kernel_btf_read(struct kernel_btf *out);

/*
 * Of this BTF (a header, types, names: Documentation/bpf/btf.rst). 0, -EINVAL (it is none) or
 * -ENOMEM.
 */
int kernel_btf_take(const void *btf, size_t len, struct kernel_btf *out);

/*
 * Has it this name? A function's name is no type's and no member's; were it one, libbpf would
 * refuse the program with a reason.
 */
bool kernel_btf_has(const struct kernel_btf *kernel, const char *name);

void kernel_btf_free(struct kernel_btf *kernel);

#endif
