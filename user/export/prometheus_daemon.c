// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/attribute.h"
#include "export/prometheus_families.h"
#include "export/prometheus_write.h"

#define COUNTER "counter"
#define GAUGE   "gauge"

/* A sample with one label, of our own text. */
static void write_labelled(FILE *out, const char *name, const char *label, const char *value,
			   uint64_t count)
{
	fprintf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, count);
}

/* A family whose one sample is 1 and whose labels tell; `texts` are pairs of name and value. */
static void write_info(FILE *out, const char *name, const char *help, const char *const *texts,
		       size_t count)
{
	char *labels = NULL;
	size_t len;
	FILE *text = open_memstream(&labels, &len);

	if (!text)
		return;
	for (size_t i = 0; i + 1 < count; i += 2) {
		const char *value = texts[i + 1] ? texts[i + 1] : "";

		prometheus_write_label(text, texts[i], value, strlen(value));
	}
	if (fclose(text) == 0) {
		prometheus_write_family(out, name, GAUGE, help);
		prometheus_write_count(out, name, labels, 1);
	}
	free(labels);
}

static void write_process(FILE *out, const struct control_summary *summary)
{
	const char *build[] = {"version", summary->version, "openssl", summary->openssl};

	write_info(out, "ksplit_build_info", "Version of ksplitd and of OpenSSL.", build,
		   sizeof(build) / sizeof(build[0]));
	prometheus_write_family(out, "process_start_time_seconds", GAUGE,
				"Start of ksplitd, seconds since the epoch.");
	fprintf(out, "process_start_time_seconds %" PRId64 ".%03d\n", summary->start_ms / 1000,
		(int)(summary->start_ms % 1000));
	prometheus_write_single(out, "ksplit_degraded", GAUGE,
				"1: the daemon is not whole, ksplit-status says why.",
				summary->degraded != NULL);
	prometheus_write_single(out, "ksplit_draining", GAUGE,
				"1: no new connections are taken, the daemon is about to end.",
				summary->draining);
	prometheus_write_single(out, "ksplit_workers", GAUGE, "Worker threads.", summary->workers);
}

static void write_open(FILE *out, const struct control_summary *summary)
{
	prometheus_write_family(out, "ksplit_connections_by_state", GAUGE,
				"Open connections by state.");
	for (int i = 0; i < CONN_STATES; i++)
		write_labelled(out, "ksplit_connections_by_state", "state",
			       conn_state_name((enum conn_state)i), summary->open_by_state[i]);
	prometheus_write_single(out, "ksplit_connections_limit", GAUGE,
				"Connections that may be open at once.", summary->max_connections);
}

static void write_leaf_cache(FILE *out, const struct control_summary *summary)
{
	prometheus_write_single(out, "ksplit_leaf_cache_entries", GAUGE, "Forged leaves kept.",
				summary->leaf_cache.entries);
	prometheus_write_single(out, "ksplit_leaf_cache_hits_total", COUNTER,
				"Leaves found in the cache.", summary->leaf_cache.hits);
	prometheus_write_single(out, "ksplit_leaf_cache_misses_total", COUNTER,
				"Leaves not found in the cache.", summary->leaf_cache.misses);
	prometheus_write_single(out, "ksplit_leaf_cache_waited_total", COUNTER,
				"Waits for a leaf that another connection was having forged.",
				summary->leaf_cache.waited);
	prometheus_write_single(out, "ksplit_leaf_cache_evicted_total", COUNTER,
				"Leaves that made room for others.", summary->leaf_cache.evicted);
	prometheus_write_single(out, "ksplit_leaves_forged_total", COUNTER, "Leaves forged.",
				summary->leaf_cache.forged);
	prometheus_write_single(out, "ksplit_leaves_failed_total", COUNTER,
				"Leaves that could not be forged.", summary->leaf_cache.failed);
}

static void write_session_cache(FILE *out, const struct control_summary *summary)
{
	prometheus_write_single(out, "ksplit_session_cache_entries", GAUGE,
				"Sessions of origins kept.", summary->session_cache.entries);
	prometheus_write_single(out, "ksplit_session_cache_evicted_total", COUNTER,
				"Sessions of origins that made room for others.",
				summary->session_cache.evicted);
}

static void write_signer(FILE *out, const struct control_summary *summary)
{
	static const char name[] = "ksplit_signer_requests_total";

	prometheus_write_single(out, "ksplit_signer_up", GAUGE,
				"1: the signing process, which has the CA's key, is there.",
				summary->signer.pid != 0);
	prometheus_write_family(out, name, COUNTER,
				"Leaves that were signed, not signed for want of time (busy, "
				"ca.sign_rate), refused, or failed because the process had gone.");
	write_labelled(out, name, "result", "signed", summary->signer.issued);
	write_labelled(out, name, "result", "busy", summary->signer.busy);
	write_labelled(out, name, "result", "refused", summary->signer.refused);
	write_labelled(out, name, "result", "failed", summary->signer.failed);
}

static void write_identities(FILE *out, const struct control_summary *summary)
{
	static const char name[] = "ksplit_identity_reloads_total";

	prometheus_write_single(out, "ksplit_identities", GAUGE,
				"Certificates that incoming calls are shown.", summary->identities);
	prometheus_write_family(out, name, COUNTER,
				"How often their files had changed, and were loaded or could not "
				"be used.");
	write_labelled(out, name, "result", "loaded", summary->identity_reloads);
	write_labelled(out, name, "result", "failed", summary->identity_reloads_failed);
}

static void write_stats(FILE *out, const struct stats_sum *stats)
{
	char name[96], help[96];

	for (int i = 0; i < STAT_COUNT; i++) {
		enum stats_counter counter = (enum stats_counter)i;

		snprintf(name, sizeof(name), "ksplit_%s_%s_total", stats_group(counter),
			 stats_name(counter));
		snprintf(help, sizeof(help), "Counter \"%s\" of \"%s\" in ksplit-status --json.",
			 stats_name(counter), stats_group(counter));
		prometheus_write_single(out, name, COUNTER, help, stats->counters[i]);
	}
}

static void write_reasons(FILE *out, const struct stats_sum *stats)
{
	static const char *const classes[] = {
		[KSPLIT_CLASS_END] = "end",
		[KSPLIT_CLASS_PASS] = "pass",
		[KSPLIT_CLASS_FALLBACK] = "fallback",
	};

	prometheus_write_family(out, "ksplit_reason_total", COUNTER,
				"Why connections ended (end), were passed through unread (pass), "
				"and why directions were not in kernel TLS (fallback).");
	for (int i = 0; i < KSPLIT_REASON_COUNT; i++) {
		enum ksplit_reason reason = (enum ksplit_reason)i;

		if (reason != KSPLIT_NONE)
			fprintf(out,
				"ksplit_reason_total{class=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				classes[ksplit_reason_class(reason)], ksplit_reason_name(reason),
				stats->reasons[i]);
	}
}

static void write_by_sampler(FILE *out, const char *name, const char *help,
			     const uint64_t counts[KSPLIT_SAMPLERS])
{
	prometheus_write_family(out, name, COUNTER, help);
	for (int i = KSPLIT_SAMPLER_NONE + 1; i < KSPLIT_SAMPLERS; i++)
		write_labelled(out, name, "sampler", observer_sampler_name((enum ksplit_sampler)i),
			       counts[i]);
}

static void write_sampler(FILE *out, const struct observer_status *observer)
{
	const char *info[] = {"kernel_tls", observer_sampler_name(observer->kernel_tls),
			      "plain",      observer_sampler_name(observer->plain),
			      "user",       observer_sampler_name(observer->user),
			      "why",        observer->why};

	write_info(
		out, "ksplit_sampler_info",
		"Which sampler reads streams of kernel TLS, of plain TCP and of OpenSSL, and why.",
		info, sizeof(info) / sizeof(info[0]));
	prometheus_write_single(out, "ksplit_sampler_timings", GAUGE,
				"1: the sock_ops program is attached.", observer->timings);
	prometheus_write_single(out, "ksplit_sampler_processes", GAUGE,
				"1: the connect hook is attached.", observer->processes);
	write_by_sampler(out, "ksplit_sampler_connections_total", "Connections sampled.",
			 observer->connections);
	write_by_sampler(out, "ksplit_sampler_events_total", "Head events taken.",
			 observer->events);
}

static void write_losses(FILE *out, const struct observer_status *observer)
{
	prometheus_write_single(out, "ksplit_sampler_ring_size_bytes", GAUGE,
				"Size of the BPF ring buffer; 0: none.", observer->ring_bytes);
	prometheus_write_single(out, "ksplit_sampler_ring_dropped_total", COUNTER,
				"Head events that the BPF ring buffer had no room for.",
				observer->ring_dropped);
	prometheus_write_single(out, "ksplit_sampler_queue_dropped_total", COUNTER,
				"Head events that a worker's queue had no room for.",
				observer->queue_dropped);
	prometheus_write_single(out, "ksplit_sampler_lost_bytes_total", COUNTER,
				"Bytes that went out unseen by an sk_msg program.",
				observer->lost_bytes);
	prometheus_write_family(out, "ksplit_sampler_troubles_total", COUNTER,
				"Connections that were not decoded to their end.");
	for (unsigned int i = HTTP_TROUBLE_NONE + 1; i < HTTP_TROUBLES; i++)
		write_labelled(out, "ksplit_sampler_troubles_total", "trouble",
			       attribute_trouble(i), observer->troubles[i]);
	prometheus_write_single(out, "ksplit_connections_not_http_total", COUNTER,
				"Connections that are neither HTTP/1 nor HTTP/2.",
				observer->not_http);
}

/* The text of the last error is in ksplit-status alone: no label for what changes at every turn. */
static void write_otlp(FILE *out, const struct otlp_stats *otlp)
{
	static const char name[] = "ksplit_otlp_exports_total";

	prometheus_write_family(out, name, COUNTER,
				"OTLP exports that were taken by the collector (exported), refused "
				"by it for good (refused), dropped for want of room in the queue "
				"(dropped), not made for want of memory (unmade).");
	write_labelled(out, name, "result", "exported", otlp->exported);
	write_labelled(out, name, "result", "refused", otlp->failed);
	write_labelled(out, name, "result", "dropped", otlp->dropped);
	write_labelled(out, name, "result", "unmade", otlp->unmade);
	prometheus_write_single(out, "ksplit_otlp_exports_queued", GAUGE,
				"OTLP exports that wait to be sent, or for an answer.",
				otlp->queued);
	prometheus_write_single(out, "ksplit_otlp_requests_retried_total", COUNTER,
				"OTLP requests that were sent again.", otlp->retried);
	prometheus_write_single(out, "ksplit_otlp_points_rejected_total", COUNTER,
				"Data points that the collector rejected of exports it took.",
				otlp->rejected_points);
}

/* By rules, and by connect hook: the same families under two prefixes. */
static void write_capture_by(FILE *out, const char *prefix, const char *what,
			     const struct capture_status *capture)
{
	char name[96], help[200];

	snprintf(name, sizeof(name), "%s_state", prefix);
	snprintf(help, sizeof(help), "1 for the state that capture by %s is in.", what);
	prometheus_write_family(out, name, GAUGE, help);
	for (unsigned int i = 0; i < CAPTURE_STATES; i++)
		write_labelled(out, name, "state", capture_state_name((enum capture_state)i),
			       capture->state == i);
	snprintf(name, sizeof(name), "%s_loads_total", prefix);
	snprintf(help, sizeof(help), "How often capture by %s was switched on.", what);
	prometheus_write_single(out, name, COUNTER, help, capture->loaded);
	snprintf(name, sizeof(name), "%s_withdrawals_total", prefix);
	snprintf(help, sizeof(help),
		 "How often capture by %s was withdrawn: by command, by the watchdog, with its "
		 "keeper, at the end.",
		 what);
	prometheus_write_family(out, name, COUNTER, help);
	for (unsigned int i = 0; i < CAPTURE_WITHDRAWALS; i++)
		write_labelled(out, name, "reason",
			       capture_withdrawal_name((enum capture_withdrawal)i),
			       capture->withdrawn[i]);
	snprintf(name, sizeof(name), "%s_self_tests_failed_total", prefix);
	snprintf(help, sizeof(help), "Self-tests before capture by %s that failed.", what);
	prometheus_write_single(out, name, COUNTER, help, capture->self_test_failed);
}

static void write_capture(FILE *out, const struct control_summary *summary)
{
	write_capture_by(out, "ksplit_capture", "rules", &summary->capture);
	write_capture_by(out, "ksplit_capture_hook", "connect hook", &summary->hook);
	prometheus_write_single(out, "ksplit_capture_hook_wanted", GAUGE,
				"Cgroups and units that the connect hook is configured for.",
				summary->hook_wanted);
	prometheus_write_single(out, "ksplit_capture_hook_attached", GAUGE,
				"How many of these are there, and steered.",
				summary->hook_attached);
}

static void write_reloads(FILE *out, const struct reload_status *reload)
{
	static const char name[] = "ksplit_reloads_total";

	prometheus_write_family(out, name, COUNTER,
				"Reloads of the configuration: that were done, and that failed and "
				"changed nothing.");
	write_labelled(out, name, "result", "done", reload->done);
	write_labelled(out, name, "result", "failed", reload->failed);
	prometheus_write_single(out, "ksplit_reload_failed", GAUGE,
				"1: the last reload failed.", reload->last_failed);
	prometheus_write_single(out, "ksplit_old_configurations", GAUGE,
				"Configurations before the present one that open connections "
				"still go by.",
				reload->old);
}

static void write_aggregate(FILE *out, const struct aggregate_snapshot *aggregate)
{
	prometheus_write_single(out, "ksplit_series", GAUGE,
				"Series of requests told, \"other\" included.",
				aggregate->series_len);
	prometheus_write_single(out, "ksplit_series_limit", GAUGE,
				"Series that are kept beside \"other\".", aggregate->max_series);
	prometheus_write_single(out, "ksplit_series_evicted_total", COUNTER,
				"Series that made room for heavier ones and were added to "
				"\"other\".",
				aggregate->series_evicted);
	prometheus_write_single(out, "ksplit_endpoints", GAUGE, "Origins told, \"other\" included.",
				aggregate->endpoints_len);
	prometheus_write_single(out, "ksplit_endpoints_limit", GAUGE,
				"Origins that are kept beside \"other\".",
				aggregate->max_endpoints);
	prometheus_write_single(out, "ksplit_aggregate_memory_bytes", GAUGE,
				"Memory behind series and endpoints.", aggregate->memory);
}

void prometheus_families_daemon(FILE *out, const struct metrics_moment *moment)
{
	write_process(out, &moment->summary);
	write_open(out, &moment->summary);
	write_stats(out, &moment->stats);
	write_reasons(out, &moment->stats);
	write_leaf_cache(out, &moment->summary);
	write_session_cache(out, &moment->summary);
	if (moment->summary.has_signer)
		write_signer(out, &moment->summary);
	if (moment->summary.identities)
		write_identities(out, &moment->summary);
	write_capture(out, &moment->summary);
	write_reloads(out, &moment->summary.reload);
	write_sampler(out, &moment->observer);
	write_losses(out, &moment->observer);
	if (moment->has_otlp)
		write_otlp(out, &moment->otlp);
	write_aggregate(out, &moment->aggregate);
}
