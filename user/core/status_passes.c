// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status_passes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/learned_pass.h"
#include "core/pass_list.h"
#include "core/server.h"

/* Entries have times of CLOCK_MONOTONIC; people have a wall clock. */
struct clocks {
	uint64_t monotonic_ms;
	int64_t wall_ms;
};

static void read_clocks(struct clocks *clocks)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	clocks->wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	clocks->monotonic_ms = worker_clock_us() / 1000;
}

/* 0 stays 0, which is "never". */
static int64_t wall_of(const struct clocks *clocks, uint64_t monotonic_ms)
{
	if (!monotonic_ms)
		return 0;
	return clocks->wall_ms + ((int64_t)monotonic_ms - (int64_t)clocks->monotonic_ms);
}

static void print_client(const uint8_t client[16], char *buf, size_t len)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];

	if (!memcmp(client, none, sizeof(none)))
		buf[0] = '\0';
	else if (!memcmp(client, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, client + 12, buf, (socklen_t)len);
	else
		inet_ntop(AF_INET6, client, buf, (socklen_t)len);
}

static void add(struct control_passes *out, const struct pass_entry *entry,
		const struct clocks *clocks)
{
	struct control_pass *pass = &out->passes[out->passes_len++];

	pass->reason = entry->key.reason;
	pass->rule = entry->key.rule == PASS_NO_RULE ? -1 : (int)entry->key.rule;
	print_client(entry->key.client, pass->client, sizeof(pass->client));
	memcpy(pass->name, entry->key.name, sizeof(pass->name));
	pass->count = entry->count;
	pass->last_ms = wall_of(clocks, entry->last_ms);
	pass->expires_ms = wall_of(clocks, entry->expires_ms);
}

static void add_all(struct control_passes *out, const struct pass_entry *entries, size_t len,
		    const struct clocks *clocks)
{
	for (size_t i = 0; i < len; i++)
		add(out, &entries[i], clocks);
}

static void fill_rules(struct control_passes *out, const struct policy *policy,
		       const struct pass_entry *counts, size_t counts_len,
		       const struct clocks *clocks)
{
	out->rules_len = policy->len;
	for (size_t i = 0; i < policy->len; i++)
		out->rules[i].comment = policy->rules[i].comment
						? strdup(policy->rules[i].comment)
						: NULL;
	for (size_t i = 0; i < counts_len; i++) {
		if (counts[i].key.rule >= policy->len)
			continue;
		out->rules[counts[i].key.rule].count = counts[i].count;
		out->rules[counts[i].key.rule].last_ms = wall_of(clocks, counts[i].last_ms);
	}
}

/* A rule that matched nothing so far is worth a row: it may be a slip. */
static void add_unused(struct control_passes *out)
{
	for (size_t i = 0; i < out->rules_len; i++)
		if (!out->rules[i].count)
			out->passes[out->passes_len++] = (struct control_pass){
				.reason = KSPLIT_PASS_RULE, .rule = (int)i};
}

static int compare(const void *a, const void *b)
{
	const struct control_pass *one = a, *two = b;

	return one->last_ms == two->last_ms ? 0 : one->last_ms > two->last_ms ? -1 : 1;
}

int status_read_passes(void *ctx, struct control_passes *out)
{
	struct server *server = ctx;
	struct generation *generation = server_generation(server);
	const struct config *config = generation->config;
	const struct policy *policy = &config->policy;
	struct pass_entry *passed = NULL, *learned = NULL, *counts = NULL;
	size_t passed_len = 0, learned_len = 0, counts_len = 0;
	struct clocks clocks;
	int err;

	read_clocks(&clocks);
	*out = (struct control_passes){
		.evicted = pass_list_evicted(server->passes),
		.learned_pass_ms = config->learned_pass,
		.learned_names = config->learned_names,
	};
	err = pass_list_read(server->passes, clocks.monotonic_ms, &passed, &passed_len);
	if (!err)
		err = learned_pass_read(server->learned, clocks.monotonic_ms, &learned,
					&learned_len);
	if (!err)
		err = pass_list_read(server->rule_counts, clocks.monotonic_ms, &counts,
				     &counts_len);
	out->passes = calloc(passed_len + learned_len + policy->len + 1, sizeof(*out->passes));
	out->rules = calloc(policy->len + 1, sizeof(*out->rules));
	if (!err && out->passes && out->rules) {
		add_all(out, passed, passed_len, &clocks);
		add_all(out, learned, learned_len, &clocks);
		fill_rules(out, policy, counts, counts_len, &clocks);
		add_unused(out);
		qsort(out->passes, out->passes_len, sizeof(*out->passes), compare);
	} else {
		control_passes_free(out);
		err = -ENOMEM;
	}
	free(passed);
	free(learned);
	free(counts);
	generation_put(generation);
	return err;
}
