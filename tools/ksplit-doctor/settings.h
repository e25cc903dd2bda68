/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_SETTINGS_H
#define KSPLIT_DOCTOR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What ksplit-doctor wants to know of ksplit.json. ksplitd itself judges the file (--check). */
#define SETTINGS_PATH      "/etc/ksplit/ksplit.json"
#define SETTINGS_TEXT      256
#define SETTINGS_LISTENERS 16
#define SETTINGS_PORTS     32

struct settings_listener {
	char listen[SETTINGS_TEXT]; /* ADDR:PORT */
	char to[SETTINGS_TEXT];
};

/* Ports from `first` to `last`. */
struct settings_ports {
	uint16_t first, last;
};

struct settings {
	const char *path;
	int rc; /* of reading the file: 0 or -errno; without it all below are the defaults */
	char error[SETTINGS_TEXT];

	char ca_cert[SETTINGS_TEXT], ca_key[SETTINGS_TEXT]; /* "": not told */
	struct settings_listener listeners[SETTINGS_LISTENERS];
	size_t listeners_len;
	bool incoming_alone; /* all of them are for incoming calls, which need no CA */
	char user[SETTINGS_TEXT]; /* that ksplitd becomes; "": stays who it is */
	char prometheus[SETTINGS_TEXT]; /* "": no port */
	char access_log[SETTINGS_TEXT]; /* "": none, "-": standard output */
	char control[SETTINGS_TEXT];
	double ring_bytes;

	/* Rules of ksplit's own. */
	bool captures;
	bool hooks; /* connections are brought by connect hook */
	char table[SETTINGS_TEXT];
	struct settings_ports ports[SETTINGS_PORTS]; /* that they capture */
	size_t ports_len;
};

/*
 * Read the file. Where it cannot be read or is not JSON, rc and error say so and the defaults are
 * kept. Keys of a wrong type count as missing.
 */
void settings_read(struct settings *settings, const char *path);

/*
 * Take "ADDR:PORT" or "[ADDR6]:PORT" apart. `address` has room for SETTINGS_TEXT. False: it is
 * neither.
 */
bool settings_split(const char *text, char *address, uint16_t *port);

#endif
