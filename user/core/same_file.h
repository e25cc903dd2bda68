/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SAME_FILE_H
#define KSPLIT_CORE_SAME_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Is it the same file with the same content, as far as that can be seen without reading it? One of
 * which nothing can be seen (st_ino 0: stat(2) failed, as it may once the rights of the start are
 * given up) counts as unchanged: it could not be read either.
 */
static inline bool same_file_stat(const struct stat *a, const struct stat *b)
{
	if (!a->st_ino || !b->st_ino)
		return true;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

#endif
