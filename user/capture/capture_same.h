/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_CAPTURE_SAME_H
#define KSPLIT_CAPTURE_CAPTURE_SAME_H

#include <stdbool.h>

#include "capture/capture.h"

/* Does the connect hook take the same calls to the same listeners, under the same conditions? */
bool capture_same_hook(const struct capture *a, const struct capture *b);

/* Are the rules, and what keeps them, the same? */
bool capture_same_rules(const struct capture *a, const struct capture *b);

#endif
