// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/version.h>

#include "core/config_address.h"
#include "core/config_capture.h"
#include "core/config_error.h"
#include "core/config_setting.h"

/* One option as it stands on the command line. */
struct option_given {
	char name[40];     /* without dashes */
	const char *value; /* NULL: a flag */
};

struct options {
	struct option_given *given;
	size_t given_len;
	const char *path; /* -c */
	struct config *config;
	bool listens;         /* --listen has replaced the file's listeners */
	bool has_to;          /* the last --listen has its --to */
	const char *early_to; /* a --to that stands before any --listen */
	char *error;
	size_t error_len;
};

/* Options that are not in config_settings; `value` says whether one follows. */
static const struct {
	const char *name;
	bool value;
} other_options[] = {
	{"c", true},      {"check", false},       {"deadline", true}, {"help", false},
	{"listen", true}, {"print-rules", false}, {"to", true},       {"version", false},
};

static const char usage[] =
	"usage: ksplitd [-c FILE] [OPTION]...\n"
	"\n"
	"TLS-intercepting proxy with the session keys in the kernel. Options override FILE\n"
	"(default " CONFIG_PATH ", if it is there). See ksplitd(8), ksplit.json(5).\n"
	"\n"
	"  -c FILE                      read this configuration\n"
	"  --check                      check this and the files it names, exit\n"
	"  --print-rules[=LANGUAGE]     print the rules for \"capture\" as they would be loaded, "
	"or,\n"
	"                               for hand use, in this language (nft, iptables); exit\n"
	"  --foreground                 stay in the foreground, log to stderr\n"
	"  --user NAME                  started as root, go on as this user\n"
	"  --listen ADDR:PORT           accept here ([ADDR6]:PORT, :PORT); repeatable\n"
	"  --to DESTINATION             where the --listen before it leads: original, tproxy,\n"
	"                               sni:PORT, HOST:PORT or [ADDR6]:PORT\n"
	"  --ca-cert FILE               CA certificate, then those above it (PEM)\n"
	"  --ca-key FILE                its private key (PEM)\n"
	"  --leaf-key TYPE              P-256 (default), P-384, RSA-2048, RSA-3072\n"
	"  --upstream-ca FILE           trust these for origins (default: system store)\n"
	"  --upstream-verify MODE       mimic (default), require, off\n"
	"  --relay MODE                 auto (default), splice, copy, user\n"
	"  --ktls MODE                  auto (default), off, require\n"
	"  --sampler MODE               auto (default), bpf, user, off\n"
	"  --sampler-attach POINT       auto (default), fentry, sk_msg\n"
	"  --metrics ADDR:PORT          Prometheus and a web page here (:PORT: loopback)\n"
	"  --otlp URL                   send metrics to this OTLP/HTTP receiver\n"
	"  --control PATH               control socket (\"\": none)\n"
	"  --access-log FILE            one JSON object a request and a connection (-: stdout)\n"
	"  --workers N                  threads (0: one per CPU)\n"
	"  --max-connections N          at once (0: what RLIMIT_NOFILE allows)\n"
	"  --deadline NAME=MS           silence, peek, resolve, connect, plain,\n"
	"                               upstream_handshake, client_handshake, idle,\n"
	"                               close, drain, upgrade, upgrade_drain; repeatable\n"
	"  --log-level LEVEL            error, warn, info (default), debug\n"
	"  --help                       this text\n"
	"  --version                    the version\n";

static int fail(struct options *options, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(struct options *options, const char *fmt, ...)
{
	char message[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	config_error_set(options->error, options->error_len, "%s", message);
	return -EINVAL;
}

/* Is there such an option, and does a value follow it? */
static bool option_known(const char *name, bool *value)
{
	const struct config_setting *setting = config_setting_find_option(name);
	size_t i;

	if (setting) {
		*value = setting->type != SETTING_BOOL;
		return true;
	}
	for (i = 0; i < sizeof(other_options) / sizeof(other_options[0]); i++) {
		if (strcmp(other_options[i].name, name) == 0) {
			*value = other_options[i].value;
			return true;
		}
	}
	return false;
}

static int fail_unknown(struct options *options, const char *argument, const char *name)
{
	struct config_suggestion suggestion = {.word = name};
	const struct config_setting *s;
	size_t i;

	for (s = config_settings; s->key; s++) {
		if (s->option)
			config_suggestion_offer(&suggestion, s->option, strlen(s->option));
	}
	for (i = 1; i < sizeof(other_options) / sizeof(other_options[0]); i++)
		config_suggestion_offer(&suggestion, other_options[i].name,
					strlen(other_options[i].name));
	if (suggestion.name)
		return fail(options, "%.80s: unknown option, did you mean --%s?", argument,
			    suggestion.name);
	return fail(options, "%.80s: unknown option, see ksplitd --help", argument);
}

/* argv[*index] and, if it needs one, its value behind it or behind an equals sign. */
static int option_split(struct options *options, char **argv, int argc, int *index)
{
	struct option_given *given = &options->given[options->given_len];
	const char *argument = argv[*index], *name, *equals = NULL;
	bool value;

	if (argument[0] != '-' || !argument[1])
		return fail(options, "\"%.80s\": unexpected argument, see ksplitd --help",
			    argument);
	name = argument + (argument[1] == '-' ? 2 : 1);
	if (argument[1] == '-')
		equals = strchr(name, '=');
	snprintf(given->name, sizeof(given->name), "%.*s",
		 (int)(equals ? equals - name : (ptrdiff_t)strlen(name)), name);
	/* The only short option is -c, and it has no long form. */
	if ((strcmp(given->name, "c") == 0) != (argument[1] != '-') ||
	    !option_known(given->name, &value))
		return fail_unknown(options, argument, given->name);
	given->value = equals ? equals + 1 : NULL;
	if (!value && equals && strcmp(given->name, "print-rules") != 0)
		return fail(options, "%.80s: takes no value", argument);
	if (value && !equals) {
		if (*index + 1 == argc || strncmp(argv[*index + 1], "--", 2) == 0)
			return fail(options, "%s: needs a value", argument);
		given->value = argv[++*index];
	}
	options->given_len++;
	return 0;
}

/* Take the command line apart; --help and --version are obeyed at once. */
static int options_split(struct options *options, int argc, char **argv,
			 enum options_action *action)
{
	const struct option_given *last;
	int i, rc;

	for (i = 1; i < argc; i++) {
		rc = option_split(options, argv, argc, &i);
		if (rc)
			return rc;
		last = &options->given[options->given_len - 1];
		if (strcmp(last->name, "help") == 0)
			fputs(usage, stdout);
		else if (strcmp(last->name, "version") == 0)
			puts("ksplitd " KSPLIT_VERSION);
		else if (strcmp(last->name, "c") == 0)
			options->path = last->value;
		if (strcmp(last->name, "help") == 0 || strcmp(last->name, "version") == 0) {
			*action = OPTIONS_EXIT;
			return 0;
		}
	}
	return 0;
}

static int set_listen(struct options *options, const char *value)
{
	struct config *config = options->config;
	struct config_listener listener = {.destination = DESTINATION_STATIC};
	const char *why;

	if (config_address_parse_listen(value, &listener, &why))
		return fail(options, "--listen: is \"%.256s\", %s", value, why);
	if (!options->listens)
		config->listeners_len = 0;
	options->listens = true;
	options->has_to = false;
	if (config->listeners_len == CONFIG_MAX_LISTENERS)
		return fail(options, "--listen: is \"%.256s\", expected at most %d listeners",
			    value, CONFIG_MAX_LISTENERS);
	config->listeners[config->listeners_len++] = listener;
	return 0;
}

static int set_to(struct options *options, const char *value)
{
	struct config *config = options->config;
	struct config_listener scratch = {.destination = DESTINATION_STATIC};
	const char *why;

	if (config_address_parse_destination(value, &scratch, &why))
		return fail(options, "--to: is \"%.256s\", %s", value, why);
	if (options->listens ? options->has_to : options->early_to != NULL)
		return fail(options, "--to: is \"%.256s\", expected one for each --listen", value);
	if (!options->listens) {
		options->early_to = value;
		return 0;
	}
	options->has_to = true;
	return config_parse_destination(value, &config->listeners[config->listeners_len - 1]);
}

/* A --to in front of everything: for the only --listen, or else the file's only listener. */
static int set_early_to(struct options *options)
{
	struct config *config = options->config;

	if (!options->early_to)
		return 0;
	if (config->listeners_len == 1 && !options->has_to)
		return config_parse_destination(options->early_to, &config->listeners[0]);
	if (config->listeners_len == 0)
		return fail(options, "--to: is \"%.256s\", expected a --listen with it",
			    options->early_to);
	return fail(options, "--to: is \"%.256s\", expected behind the --listen that it is for",
		    options->early_to);
}

static int set_deadline(struct options *options, const char *value)
{
	const struct config_setting *setting = NULL;
	const char *equals = strchr(value, '=');
	char key[96], why[320];

	if (equals) {
		snprintf(key, sizeof(key), "limits.deadlines_ms.%.*s", (int)(equals - value),
			 value);
		setting = config_setting_find_key(key);
	}
	if (!setting)
		return fail(options,
			    "--deadline: is \"%.80s\", expected silence=MS, peek=MS, resolve=MS, "
			    "connect=MS, plain=MS, upstream_handshake=MS, client_handshake=MS, idle=MS, close=MS, "
			    "drain=MS, upgrade=MS or upgrade_drain=MS",
			    value);
	if (config_setting_set_text(setting, options->config, equals + 1, why, sizeof(why)))
		return fail(options, "--deadline %.*s: %s", (int)(equals - value), value, why);
	return 0;
}

static int set_print_rules(struct options *options, const char *value)
{
	enum config_print_rules *print = &options->config->print_rules;

	if (!value)
		*print = PRINT_RULES;
	else if (strcmp(value, "nft") == 0)
		*print = PRINT_RULES_NFT;
	else if (strcmp(value, "iptables") == 0)
		*print = PRINT_RULES_IPTABLES;
	else
		return fail(options, "--print-rules: is \"%.80s\", expected nft or iptables",
			    value);
	return 0;
}

static int option_apply(struct options *options, const struct option_given *given)
{
	const struct config_setting *setting = config_setting_find_option(given->name);
	char why[320];
	int rc;

	if (setting && setting->type == SETTING_BOOL)
		return config_setting_set_bool(setting, options->config, true, why, sizeof(why));
	if (setting) {
		rc = config_setting_set_text(setting, options->config, given->value, why,
					     sizeof(why));
		if (rc)
			fail(options, "--%s: %s", given->name, why);
		return rc;
	}
	if (strcmp(given->name, "listen") == 0)
		return set_listen(options, given->value);
	if (strcmp(given->name, "to") == 0)
		return set_to(options, given->value);
	if (strcmp(given->name, "deadline") == 0)
		return set_deadline(options, given->value);
	if (strcmp(given->name, "print-rules") == 0)
		return set_print_rules(options, given->value);
	if (strcmp(given->name, "check") == 0)
		options->config->check = true;
	return 0;
}

/* The file; only the default one may be missing. */
static int options_read_file(struct options *options)
{
	const char *path = options->path ? options->path : CONFIG_PATH;
	int rc;

	if (!*path)
		return fail(options, "-c: is empty, expected a file");
	rc = config_read_file(options->config, path, options->error, options->error_len);
	options->config->has_file = !rc;
	if (rc != -ENOENT || options->path)
		return rc;
	options->error[0] = '\0';
	return 0;
}

static int options_apply(struct options *options)
{
	size_t i;
	int rc = options_read_file(options);

	for (i = 0; i < options->given_len && rc == 0; i++)
		rc = option_apply(options, &options->given[i]);
	if (rc == 0)
		rc = set_early_to(options);
	if (rc == 0)
		rc = config_capture_resolve(options->config,
					    options->path ? options->path : CONFIG_PATH,
					    options->error, options->error_len);
	if (rc == 0)
		rc = config_check(options->config, options->error, options->error_len);
	return rc;
}

int options_read(int argc, char **argv, struct config *config, enum options_action *action,
		 char *error, size_t error_len)
{
	struct options options = {.config = config, .error = error, .error_len = error_len};
	int rc;

	*action = OPTIONS_RUN;
	error[0] = '\0';
	options.given = calloc((size_t)argc + 1, sizeof(*options.given));
	if (!options.given) {
		config_error_set(error, error_len, "out of memory");
		return -ENOMEM;
	}
	rc = options_split(&options, argc, argv, action);
	if (rc == 0 && *action == OPTIONS_RUN)
		rc = options_apply(&options);
	free(options.given);
	return rc;
}
