// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/bpf_object.h"
#include "observe/sampler_attach.h"
#include "observe/sampler_internal.h"
#include "observe/sampler_look.h"
#include "observe/sampler_probe.h"
#include "observe/sampler_ring.h"

static void say(struct sampler *sampler, const char *place, const char *text, int err)
{
	size_t used = strlen(sampler->why);

	snprintf(sampler->why + used, sizeof(sampler->why) - used, "%s%s: %s%s%s", used ? "; " : "",
		 place, text, err ? ": " : "", err ? strerror(-err) : "");
}

/* Set up, try, and leave it in place if it sees what it should. */
static bool choose(struct sampler *sampler, enum sampler_place place, enum ksplit_sampler kind,
		   const char *name)
{
	bool fentry = kind == KSPLIT_SAMPLER_FENTRY;
	enum bpf_group group = fentry ? BPF_GROUP_FENTRY : BPF_GROUP_SK_MSG;
	bool attached = fentry ? sampler->links_len : sampler->hash_attached;
	int err = 0;

	if (!sampler->set || !bpf_object_has(sampler->set, group)) {
		sampler->misses_spare |= sampler->set && !fentry && bpf_object_spared(sampler->set);
		say(sampler, name, sampler->set ? bpf_object_why(sampler->set, group)
					 : "no BPF: CAP_BPF and CAP_NET_ADMIN are needed",
		    0);
		return false;
	}
	if (!attached)
		err = fentry ? sampler_attach_fentry(sampler) : sampler_attach_sk_msg(sampler);
	sampler->at[place] = kind;
	if (!err)
		err = sampler_probe(sampler, place);
	if (!err) {
		say(sampler, name, "tried, and sees what is sent", 0);
		return true;
	}
	sampler->at[place] = KSPLIT_SAMPLER_NONE;
	if (err == -ENODATA)
		say(sampler, name, "tried, but nothing came out", 0);
	else if (err == -EINVAL && !fentry)
		say(sampler, name, "this kernel keeps sockmap and kernel TLS apart", 0);
	else
		say(sampler, name, "cannot be tried", err);
	if (!attached && fentry)
		sampler_detach_fentry(sampler);
	else if (!attached)
		sampler_detach_sk_msg(sampler);
	return false;
}

static bool wants(const struct sampler_options *options, enum ksplit_sampler kind)
{
	return options->attach == KSPLIT_SAMPLER_NONE || options->attach == kind;
}

/*
 * fentry first: a sockhash copies what splice would hand on, and hides sends after back-pressure.
 */
static void choose_at(struct sampler *sampler, const struct sampler_options *options,
		      enum sampler_place place)
{
	static const struct {
		enum ksplit_sampler kind;
		const char *name[SAMPLER_PLACES];
	} order[] = {
		{KSPLIT_SAMPLER_FENTRY,
		 {[SAMPLER_KERNEL_TLS] = "fentry on kernel TLS",
		  [SAMPLER_PLAIN_TCP] = "fentry on plain TCP"}},
		{KSPLIT_SAMPLER_SK_MSG,
		 {[SAMPLER_KERNEL_TLS] = "sk_msg on kernel TLS",
		  [SAMPLER_PLAIN_TCP] = "sk_msg on plain TCP"}},
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (wants(options, order[i].kind) &&
		    choose(sampler, place, order[i].kind, order[i].name[place]))
			return;
}

static void choose_all(struct sampler *sampler, const struct sampler_options *options)
{
	if (options->kernel_tls)
		choose_at(sampler, options, SAMPLER_KERNEL_TLS);
	else
		say(sampler, "kernel TLS", "not in use", 0);
	choose_at(sampler, options, SAMPLER_PLAIN_TCP);
}

static int check_forced(const struct sampler *sampler, const struct sampler_options *options,
			char *error, size_t error_len)
{
	enum ksplit_sampler kernel_tls = sampler->at[SAMPLER_KERNEL_TLS];
	bool plain = sampler->at[SAMPLER_PLAIN_TCP] != KSPLIT_SAMPLER_NONE;

	if (options->attach == KSPLIT_SAMPLER_NONE) {
		if (options->mode != SAMPLER_MODE_BPF || kernel_tls != KSPLIT_SAMPLER_NONE || plain)
			return 0;
	} else if (kernel_tls == options->attach ||
		   (!options->kernel_tls && sampler->at[SAMPLER_PLAIN_TCP] == options->attach)) {
		return 0;
	}
	snprintf(error, error_len,
		 "the BPF sampler is asked for, but this kernel does not do it (%s); set sampler "
		 "to auto",
		 sampler->why);
	return -EOPNOTSUPP;
}

int sampler_new(const struct sampler_options *options, struct bpf_object_set *set,
		struct sampler **out, char *error, size_t error_len)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	bool bpf = options->mode == SAMPLER_MODE_AUTO || options->mode == SAMPLER_MODE_BPF;
	int err = 0;

	*out = sampler;
	if (!sampler)
		return -ENOMEM;
	sampler->set = bpf ? set : NULL;
	if (options->mode == SAMPLER_MODE_OFF) {
		say(sampler, "sampler", "switched off in the configuration", 0);
		return 0;
	}
	if (bpf) {
		err = sampler_open_ring(sampler);
		if (err)
			say(sampler, "ring buffer", "cannot be read", err);
		if (!err && sampler_look_open(sampler))
			say(sampler, "second look", "cannot be mapped", errno);
		if (!err)
			choose_all(sampler, options);
		err = check_forced(sampler, options, error, error_len);
	} else {
		say(sampler, "sampler", "the daemon's own, as configured", 0);
	}
	/* What BPF does not see the daemon samples itself. */
	for (int i = 0; i < SAMPLER_PLACES; i++)
		if (sampler->at[i] == KSPLIT_SAMPLER_NONE)
			sampler->at[i] = KSPLIT_SAMPLER_USER;
	return err;
}

void sampler_free(struct sampler *sampler)
{
	if (!sampler)
		return;
	sampler_detach_fentry(sampler);
	sampler_detach_sk_msg(sampler);
	sampler_look_close(sampler);
	sampler_close_ring(sampler);
	free(sampler);
}

enum ksplit_sampler sampler_at(const struct sampler *sampler, enum sampler_place place)
{
	return sampler->at[place];
}

const char *sampler_why(const struct sampler *sampler)
{
	return sampler->why;
}

bool sampler_misses_spare(const struct sampler *sampler)
{
	return sampler->misses_spare;
}
