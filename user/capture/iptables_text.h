/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_IPTABLES_TEXT_H
#define KSPLIT_CAPTURE_IPTABLES_TEXT_H

#include "capture/capture.h"

/*
 * The rules for a configuration as iptables and ip6tables commands, for hand use where there is no
 * nftables: a shell script (iptables-extensions(8)) that says what is lost this way, and how the
 * rules are removed, since nobody else will. 0 and *out, which the caller frees; -ENOENT (no rules
 * are asked for: *out is NULL) or -ENOMEM.
 */
int iptables_text_make(const struct capture *capture, char **out);

#endif
