// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "export/prometheus_families.h"
#include "export/prometheus_write.h"

#define FINGERPRINT_DIGITS 16 /* enough to tell one certificate from the one before it */

/* "kind=...,name=...,fingerprint=...", freed by the caller; NULL: out of memory. */
static char *labels_of(const struct control_cert *cert)
{
	char fingerprint[FINGERPRINT_DIGITS + 1], *labels = NULL;
	size_t len;
	FILE *text = open_memstream(&labels, &len);

	if (!text)
		return NULL;
	hex_print(fingerprint, cert->fingerprint, FINGERPRINT_DIGITS / 2);
	prometheus_write_label(text, "kind", cert->kind, strlen(cert->kind));
	prometheus_write_label(text, "name", cert->name, sizeof(cert->name));
	prometheus_write_label(text, "fingerprint", fingerprint, FINGERPRINT_DIGITS);
	if (fclose(text) == 0)
		return labels;
	free(labels);
	return NULL;
}

/* Is it listed before, too? A sample may be there once. */
static bool is_repeated(const struct control_certs *certs, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (memcmp(certs->certs[i].fingerprint, certs->certs[at].fingerprint,
			   sizeof(certs->certs[i].fingerprint)) == 0)
			return true;
	}
	return false;
}

int prometheus_families_certs(FILE *out, const struct control_certs *certs)
{
	static const char name[] = "ksplit_certificate_not_after_timestamp_seconds";

	prometheus_write_family(out, name, "gauge",
				"Until when the CA and the services' certificates are valid, "
				"seconds since the epoch.");
	for (size_t i = 0; i < certs->len; i++) {
		char *labels;

		if (is_repeated(certs, i))
			continue;
		labels = labels_of(&certs->certs[i]);
		if (!labels)
			return -ENOMEM;
		fprintf(out, "%s{%s} %" PRId64 "\n", name, labels, certs->certs[i].until_ms / 1000);
		free(labels);
	}
	return 0;
}
