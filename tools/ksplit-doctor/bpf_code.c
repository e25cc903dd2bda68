// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf_code.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

int bpf_code_load(enum bpf_prog_type type, enum bpf_attach_type attach, unsigned int btf_id,
		  const struct bpf_insn *code, size_t len)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
		    .attach_btf_id = btf_id);
	int fd;

	libbpf_set_print(NULL);
	fd = bpf_prog_load(type, "ksplit_try", "GPL", code, len, &opts);
	return fd < 0 ? -errno : fd;
}

int bpf_counter_make(void)
{
	int fd;

	libbpf_set_print(NULL);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ksplit_try", 4, 8, 1, NULL);
	return fd < 0 ? -errno : fd;
}

unsigned long long bpf_counter_read(int fd)
{
	unsigned long long value = 0;
	unsigned int key = 0;

	return bpf_map_lookup_elem(fd, &key, &value) ? 0 : value;
}

int bpf_link_hang(int program, int cgroup, enum bpf_attach_type attach)
{
	return bpf_link_create(program, cgroup, attach, NULL) < 0 ? -errno : 0;
}
