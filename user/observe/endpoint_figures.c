// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/endpoint_figures.h"

#define HISTOGRAMS 6

/* All histograms of an endpoint, to do the same with each. */
static void list_histograms(struct endpoint *endpoint, struct histogram *list[HISTOGRAMS])
{
	list[0] = &endpoint->connect_us;
	list[1] = &endpoint->upstream_handshake_us;
	list[2] = &endpoint->client_handshake_us;
	list[3] = &endpoint->leaf_us;
	list[4] = &endpoint->lifetime_us;
	list[5] = &endpoint->rtt_us;
}

void endpoint_figures_free_copy(struct endpoint *endpoint)
{
	struct histogram *list[HISTOGRAMS];

	list_histograms(endpoint, list);
	for (int i = 0; i < HISTOGRAMS; i++)
		histogram_free(list[i]);
}

void endpoint_figures_free(struct endpoint_figures *figures)
{
	endpoint_figures_free_copy(&figures->endpoint);
}

int endpoint_figures_reserve(struct endpoint_figures *figures)
{
	struct histogram *list[HISTOGRAMS];
	int ret = 0;

	list_histograms(&figures->endpoint, list);
	for (int i = 0; i < HISTOGRAMS && !ret; i++)
		ret = histogram_reserve(list[i]);
	return ret;
}

void endpoint_figures_touch(struct endpoint_figures *figures, const struct aggregate_time *now)
{
	if (figures->endpoint.first_seen_ms == 0)
		figures->endpoint.first_seen_ms = now->wall_ms;
	figures->endpoint.last_seen_ms = now->wall_ms;
}

void endpoint_figures_connect(struct endpoint_figures *figures, bool passed,
			      const struct aggregate_time *now)
{
	figures->endpoint.connections++;
	figures->endpoint.passed += passed;
	rate_add(&figures->rate, now->monotonic_ms);
}

/* A phase was completed when the connection reached its relay, or at least a later phase. */
static bool phase_done(const struct conn_info *info, enum conn_state phase, bool opened)
{
	if (info->phase_us[phase] == 0)
		return false;
	/* A handshake before a pass-through was given up. */
	if (info->passed && phase != CONN_CONNECT)
		return false;
	for (int later = phase + 1; later <= CONN_RELAY && !opened; later++)
		opened = info->phase_us[later] > 0;
	return opened;
}

static void add_phases(struct endpoint *endpoint, const struct conn_info *info, bool opened)
{
	struct {
		enum conn_state phase;
		struct histogram *histogram;
	} const phases[] = {
		{CONN_CONNECT, &endpoint->connect_us},
		{CONN_UPSTREAM_HANDSHAKE, &endpoint->upstream_handshake_us},
		{CONN_LEAF, &endpoint->leaf_us},
		{CONN_CLIENT_HANDSHAKE, &endpoint->client_handshake_us},
	};
	uint64_t lifetime_us = 0;

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		if (phase_done(info, phases[i].phase, opened))
			(void)histogram_add(phases[i].histogram, info->phase_us[phases[i].phase]);
	for (int i = 0; i < CONN_STATES; i++)
		lifetime_us += info->phase_us[i];
	if (opened)
		(void)histogram_add(&endpoint->lifetime_us, lifetime_us);
}

static void add_relays(struct endpoint *endpoint, const struct conn_info *info)
{
	for (int i = 0; i < FLOWS; i++)
		if ((unsigned int)info->flow[i].relay <= CONN_RELAY_RAW)
			endpoint->relayed[info->flow[i].relay]++;
	if (info->passed)
		return;
	for (int i = 0; i < SIDES; i++) {
		/* A service in plain TCP has no keys that could be the kernel's. */
		if (info->incoming && !info->side[i].version)
			continue;
		endpoint->directions += 2;
		endpoint->kernel_directions += info->side[i].rx_kernel;
		endpoint->kernel_directions += info->side[i].tx_kernel;
	}
}

void endpoint_figures_end(struct endpoint_figures *figures, const struct conn_info *info,
			  const struct aggregate_tcp *tcp, bool opened)
{
	struct endpoint *endpoint = &figures->endpoint;

	endpoint->bytes_to_origin += info->flow[FLOW_TO_ORIGIN].bytes;
	endpoint->bytes_to_client += info->flow[FLOW_TO_CLIENT].bytes;
	add_phases(endpoint, info, opened);
	if (opened)
		add_relays(endpoint, info);
	if (!tcp)
		return;
	if (tcp->rtt_us > 0)
		(void)histogram_add(&endpoint->rtt_us, tcp->rtt_us);
	endpoint->retransmits += tcp->retransmits;
}

static void merge_seen(struct endpoint *into, const struct endpoint *from)
{
	if (into->first_seen_ms == 0 || from->first_seen_ms < into->first_seen_ms)
		into->first_seen_ms = from->first_seen_ms;
	if (from->last_seen_ms > into->last_seen_ms)
		into->last_seen_ms = from->last_seen_ms;
}

void endpoint_figures_merge(struct endpoint_figures *into, const struct endpoint_figures *from,
			    const struct aggregate_time *now)
{
	struct histogram *to_list[HISTOGRAMS], *from_list[HISTOGRAMS];
	struct endpoint copy = from->endpoint, *to = &into->endpoint;

	merge_seen(to, &copy);
	to->connections += copy.connections;
	to->open += copy.open;
	to->passed += copy.passed;
	to->failed += copy.failed;
	to->requests += copy.requests;
	to->failures += copy.failures;
	to->bytes_to_origin += copy.bytes_to_origin;
	to->bytes_to_client += copy.bytes_to_client;
	for (int i = 0; i <= CONN_RELAY_RAW; i++)
		to->relayed[i] += copy.relayed[i];
	to->kernel_directions += copy.kernel_directions;
	to->directions += copy.directions;
	to->retransmits += copy.retransmits;
	rate_merge(&into->rate, &from->rate, now->monotonic_ms);
	list_histograms(to, to_list);
	list_histograms(&copy, from_list);
	for (int i = 0; i < HISTOGRAMS; i++)
		(void)histogram_merge(to_list[i], from_list[i]);
}

int endpoint_figures_copy(struct endpoint *to, const struct endpoint_figures *from,
			  const struct aggregate_time *now)
{
	struct histogram *to_list[HISTOGRAMS], *from_list[HISTOGRAMS];
	struct endpoint copy = from->endpoint;
	int ret = 0;

	*to = copy;
	to->connections_per_second = rate_read(&from->rate, now->monotonic_ms);
	list_histograms(to, to_list);
	list_histograms(&copy, from_list);
	for (int i = 0; i < HISTOGRAMS; i++)
		histogram_init(to_list[i]);
	for (int i = 0; i < HISTOGRAMS && !ret; i++)
		ret = histogram_copy(to_list[i], from_list[i]);
	if (ret)
		endpoint_figures_free_copy(to);
	return ret;
}

size_t endpoint_figures_memory(const struct endpoint_figures *figures)
{
	struct endpoint copy = figures->endpoint;
	struct histogram *list[HISTOGRAMS];
	size_t sum = 0;

	list_histograms(&copy, list);
	for (int i = 0; i < HISTOGRAMS; i++)
		sum += histogram_memory(list[i]);
	return sum;
}
