// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler_look.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ksplit.skel.h"
#include "observe/sampler_internal.h"

#define WORD sizeof(uint64_t) /* an array's elements are rounded up to this (kernel/bpf/arraymap.c) */

int sampler_look_open(struct sampler *sampler)
{
	const struct bpf_map *map;
	size_t workers;
	void *words;

	if (!sampler->skel)
		return 0;
	map = sampler->skel->maps.second_look;
	workers = bpf_map__max_entries(map);
	words = mmap(NULL, workers * WORD, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
	if (words == MAP_FAILED)
		return -errno;
	sampler->asked = words;
	sampler->asked_len = workers;
	return 0;
}

void sampler_look_close(struct sampler *sampler)
{
	if (sampler->asked)
		munmap((void *)sampler->asked, sampler->asked_len * WORD);
	sampler->asked = NULL;
}

const uint64_t *sampler_look_asked(const struct sampler *sampler, uint64_t conn)
{
	return sampler->asked
		       ? sampler->asked + ksplit_worker_of(conn, (uint32_t)sampler->asked_len)
		       : NULL;
}

/* A read that waits until the page is there. */
static void touch(const volatile char *bytes, size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < len; i += page)
		(void)bytes[i];
	(void)bytes[len - 1];
}

void sampler_look_again(int fd, const void *sent, size_t len)
{
	touch(sent, len);
	/*
	 * No bytes, but where they are. net/tls/tls_sw.c and net/ipv4/tcp.c do nothing for it, a card
	 * that seals records may send an empty one (net/tls/tls_device.c), which is allowed (RFC
	 * 8446 5.1).
	 */
	send(fd, sent, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
}
