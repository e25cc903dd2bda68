// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/kernel_btf.h"

#include <linux/btf.h>

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH "/sys/kernel/btf/vmlinux"

/* Where the names are in BTF of `size` bytes. 0 or -EINVAL. */
static int find_names(const struct btf_header *header, size_t size, size_t *at)
{
	if (header->magic != BTF_MAGIC || header->hdr_len > size ||
	    header->str_off > size - header->hdr_len || !header->str_len ||
	    header->str_len > size - header->hdr_len - header->str_off)
		return -EINVAL;
	*at = (size_t)header->hdr_len + header->str_off;
	return 0;
}

int kernel_btf_take(const void *btf, size_t len, struct kernel_btf *out)
{
	struct btf_header header;
	size_t at;

	if (len < sizeof(header))
		return -EINVAL;
	memcpy(&header, btf, sizeof(header));
	if (find_names(&header, len, &at))
		return -EINVAL;
	out->names = malloc(header.str_len);
	if (!out->names)
		return -ENOMEM;
	out->len = header.str_len;
	memcpy(out->names, (const char *)btf + at, out->len);
	return 0;
}

/* sysfs gives a page at a time. 0 or -errno. */
static int read_at(int fd, void *out, size_t len, size_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t got = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));

		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		done += (size_t)got;
	}
	return 0;
}

/* Names alone: a third of it. */
static int read_names(int fd, struct kernel_btf *out)
{
	struct btf_header header;
	struct stat st;
	size_t at;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size <= 0)
		return -EINVAL;
	err = read_at(fd, &header, sizeof(header), 0);
	if (!err)
		err = find_names(&header, (size_t)st.st_size, &at);
	if (err)
		return err;
	out->names = malloc(header.str_len);
	if (!out->names)
		return -ENOMEM;
	out->len = header.str_len;
	err = read_at(fd, out->names, out->len, at);
	if (err)
		kernel_btf_free(out);
	return err;
}

static int read_sysfs(struct kernel_btf *out)
{
	int fd = open(PATH, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = read_names(fd, out);
	close(fd);
	return err;
}

/* Kernels whose BTF lies elsewhere (/boot/vmlinux-... and the like). */
static int read_elsewhere(struct kernel_btf *out)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const void *bytes;
	uint32_t len;
	int err;

	if (!btf)
		return -errno;
	bytes = btf__raw_data(btf, &len);
	err = bytes ? kernel_btf_take(bytes, len, out) : -ENOMEM;
	btf__free(btf);
	return err;
}

int kernel_btf_read(struct kernel_btf *out)
{
	int err = read_sysfs(out);

	return err && err != -ENOMEM ? read_elsewhere(out) : err;
}

bool kernel_btf_has(const struct kernel_btf *kernel, const char *name)
{
	const char *at = kernel->names, *end = at + kernel->len;
	const size_t len = strlen(name) + 1;

	/* A name may be the end of a longer one: what stands before it is a NUL, or nothing. */
	while (at && (at = memmem(at, (size_t)(end - at), name, len))) {
		if (at == kernel->names || !at[-1])
			return true;
		at++;
	}
	return false;
}

void kernel_btf_free(struct kernel_btf *kernel)
{
	free(kernel->names);
	*kernel = (struct kernel_btf){0};
}
