/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_KEEPER_CHILD_H
#define KSPLIT_CAPTURE_KEEPER_CHILD_H

#include "capture/keeper.h"

/*
 * What the keeper's process does from its fork on: `fd` is its end of the socket. Closes every
 * other descriptor but 0, 1 and 2, and ends the process when there is nothing left to keep.
 */
_Noreturn void keeper_child_run(int fd, const struct keeper_options *options);

#endif
