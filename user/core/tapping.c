// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/tapping.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/server.h"

static struct taps_options options_of(const struct config_taps *taps)
{
	return (struct taps_options){
		.keylog = taps->keylog,
		.keylog_side = {[SIDE_CLIENT] = taps->keylog_side != TAPS_SIDE_UPSTREAM,
				[SIDE_UPSTREAM] = taps->keylog_side != TAPS_SIDE_CLIENT},
		.content = taps->content,
		.pcapng = taps->pcapng,
		.content_connection = (uint64_t)taps->content_connection << 10,
		.content_total = (uint64_t)taps->content_total << 20,
		.pcapng_connection = (uint64_t)taps->pcapng_connection << 10,
		.pcapng_file = (uint64_t)taps->pcapng_file << 20,
		.pcapng_files = taps->pcapng_files,
	};
}

static bool has_filter(const struct policy_rule *which)
{
	return which->sni_len || which->networks_len || which->ports_len;
}

bool tapping_warning(const struct config *config, char *out, size_t out_len)
{
	const struct config_taps *taps = &config->taps;
	const char *const names[] = {taps->keylog ? "session keys" : NULL,
				     taps->content ? "contents of connections" : NULL,
				     taps->pcapng ? "decrypted packets" : NULL};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i])
			used += (size_t)snprintf(out + used, out_len - used, "%s%s",
						 used ? ", " : "taps: ", names[i]);
	if (!used)
		return false;
	snprintf(out + used, out_len - used,
		 " %s written to files: who reads them reads what TLS was to protect, passwords "
		 "among it",
		 has_filter(&taps->which) ? "of some calls are" : "are");
	return true;
}

void tapping_warn(const struct config *config)
{
	char warning[400];

	if (tapping_warning(config, warning, sizeof(warning)))
		log_warn("%s", warning);
}

int tapping_prepare(struct server *server, const struct config *config, struct taps_change **out,
		    char *error, size_t error_len)
{
	const struct taps_options options = options_of(&config->taps);
	int err = taps_prepare(server->taps, &options, out, error, error_len);
	const size_t used = err ? strlen(error) : 0;

	if (err && config->user && used < error_len)
		snprintf(error + used, error_len - used, " (ksplitd runs as \"%.64s\")",
			 config->user);
	return err;
}

int tapping_start(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;
	struct taps_change *change;
	int err = tapping_prepare(server, config, &change, error, error_len);

	if (err)
		return err;
	taps_commit(change);
	tapping_warn(config);
	return 0;
}

void tapping_read(void *ctx, struct tap_status out[TAP_KINDS])
{
	struct server *server = ctx;

	taps_read(server->taps, out);
}

int tapping_switch(void *ctx, enum tap_kind kind, bool on, const char *by, char *error,
		   size_t error_len)
{
	struct server *server = ctx;
	int err = taps_switch(server->taps, kind, on, error, error_len);

	if (!err)
		log_warn("tap %s: switched %s by %s", tap_kind_name(kind), on ? "on" : "off", by);
	return err;
}
