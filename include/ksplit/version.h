/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_VERSION_H
#define KSPLIT_VERSION_H

#define KSPLIT_VERSION "0.1.0"

#endif
