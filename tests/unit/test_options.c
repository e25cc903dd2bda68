// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_file.h"
#include "config_same.h"
#include "core/options.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define ARGS_MAX   64

/* Enough for config_check; a test adds to it. */
#define WHOLE "--listen", "127.0.0.1:8443", "--to", "original", "--ca-cert", "/c", "--ca-key", "/k"

static struct config_file empty_file;
static struct config_file one_listener_file;

static int setup(void **state)
{
	static const char one[] =
		"{\"ca\": {\"cert\": \"/file-c\", \"key\": \"/file-k\"}, \"workers\": 3,\n"
		"\"listeners\": [{\"listen\": \"127.0.0.1:1\", \"to\": \"original\"}]}";

	(void)state;
	config_file_write(&empty_file, "{}", 2);
	config_file_write(&one_listener_file, one, strlen(one));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_file_remove(&empty_file);
	config_file_remove(&one_listener_file);
	return 0;
}

/* Read `-c FILE` and the arguments, which end with NULL. */
static int read_options(const struct config_file *file, struct config *config,
			const char *const *args, char *error, size_t error_len)
{
	char *argv[ARGS_MAX] = {(char *)(uintptr_t) "ksplitd", (char *)(uintptr_t) "-c",
				(char *)(uintptr_t)file->path};
	enum options_action action;
	int argc = 3, rc;

	for (; *args; args++)
		argv[argc++] = (char *)(uintptr_t)*args;
	config_init(config);
	rc = options_read(argc, argv, config, &action, error, error_len);
	assert_int_equal(action, OPTIONS_RUN);
	if (rc == 0)
		assert_string_equal(error, "");
	return rc;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_read(const struct config_file *file, struct config *config,
			const char *const *args)
{
	char error[1024];

	if (read_options(file, config, args, error, sizeof(error)))
		fail_msg("%s", error);
}

static void assert_refused(const struct config_file *file, const char *const *args,
			   const char *expected)
{
	struct config config;
	char error[1024];

	assert_int_equal(read_options(file, &config, args, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	config_free(&config);
}

static void test_every_option(void **state)
{
	struct config config, defaults, expected;

	(void)state;
	assert_read(&empty_file, &config,
		    ARGS("--check", "--foreground", "--listen", "127.0.0.1:8443", "--to",
			 "example.com:443", "--ca-cert", "/c", "--ca-key=/k", "--leaf-key", "P-384",
			 "--upstream-ca", "/u", "--upstream-verify", "require", "--relay", "splice",
			 "--ktls", "require", "--sampler", "user", "--sampler-attach", "fentry",
			 "--metrics", "[::1]:9464", "--otlp=https://h/v1/metrics", "--control",
			 "/ctl", "--access-log", "-", "--workers", "4", "--max-connections", "100",
			 "--deadline", "idle=5", "--deadline=peek=6", "--log-level", "debug"));
	config_init(&defaults);
	expected = defaults;
	expected.check = true;
	expected.foreground = true;
	expected.listeners_len = 1;
	expected.listeners[0] = (struct config_listener){
		.destination = DESTINATION_STATIC, .host = "example.com", .port = 443};
	expected.ca_cert = CONFIG_TEXT("/c");
	expected.ca_key = CONFIG_TEXT("/k");
	expected.leaf_key_type = CONFIG_TEXT("P-384");
	expected.upstream_ca = CONFIG_TEXT("/u");
	expected.verify = VERIFY_REQUIRE;
	expected.relay = RELAY_SPLICE;
	expected.ktls = KTLS_REQUIRE;
	expected.sampler = SAMPLER_USER;
	expected.sampling.attach = ATTACH_FENTRY;
	expected.metrics.prometheus = CONFIG_TEXT("[::1]:9464");
	expected.metrics.otlp_endpoint = CONFIG_TEXT("https://h/v1/metrics");
	expected.control = CONFIG_TEXT("/ctl");
	expected.access_log = CONFIG_TEXT("-");
	expected.workers = 4;
	expected.max_connections = 100;
	expected.deadlines.idle = 5;
	expected.deadlines.peek = 6;
	expected.log_level = LOG_LEVEL_DEBUG;
	config_expect_same(&config, &expected);
	config_free(&config);
	config_free(&defaults);
}

static void test_every_deadline(void **state)
{
	const struct config expected = {.deadlines = {.peek = 1,
						      .resolve = 2,
						      .connect = 3,
						      .upstream_handshake = 4,
						      .client_handshake = 5,
						      .idle = 6,
						      .close = 7,
						      .drain = 604800000}};
	struct config config;

	(void)state;
	assert_read(&empty_file, &config,
		    ARGS(WHOLE, "--deadline", "peek=1", "--deadline", "resolve=2", "--deadline",
			 "connect=3", "--deadline", "upstream_handshake=4", "--deadline",
			 "client_handshake=5", "--deadline", "idle=6", "--deadline", "close=7",
			 "--deadline", "drain=604800000"));
	config_expect_deadlines(&config, &expected);
	config_free(&config);
}

static void test_command_line_goes_over_file(void **state)
{
	struct config config;

	(void)state;
	assert_read(&one_listener_file, &config, ARGS("--ca-cert", "/x", "--control="));
	assert_string_equal(config.ca_cert, "/x");
	assert_string_equal(config.ca_key, "/file-k");
	assert_string_equal(config.control, "");
	assert_int_equal(config.workers, 3);
	config_free(&config);
	/* The last of several counts. */
	assert_read(&one_listener_file, &config, ARGS("--workers", "5", "--workers=6"));
	assert_int_equal(config.workers, 6);
	config_free(&config);
}

static void test_listeners_replace_those_of_the_file(void **state)
{
	struct config config;

	(void)state;
	assert_read(
		&one_listener_file, &config,
		ARGS("--listen", ":2", "--to", "tproxy", "--listen", "[::1]:3", "--to", "sni:443"));
	assert_int_equal(config.listeners_len, 2);
	assert_int_equal(ntohs(config.listeners[0].address.in.sin_port), 2);
	assert_int_equal(config.listeners[0].destination, DESTINATION_TPROXY);
	assert_int_equal(ntohs(config.listeners[1].address.in6.sin6_port), 3);
	assert_int_equal(config.listeners[1].destination, DESTINATION_SNI);
	assert_int_equal(config.listeners[1].port, 443);
	config_free(&config);
}

static void test_to_alone_changes_the_only_listener(void **state)
{
	struct config config;

	(void)state;
	assert_read(&one_listener_file, &config, ARGS("--to", "example.com:444"));
	assert_int_equal(config.listeners_len, 1);
	assert_int_equal(ntohs(config.listeners[0].address.in.sin_port), 1);
	assert_int_equal(config.listeners[0].destination, DESTINATION_STATIC);
	assert_string_equal(config.listeners[0].host, "example.com");
	assert_int_equal(config.listeners[0].port, 444);
	config_free(&config);
	assert_refused(&empty_file, ARGS("--to", "original"),
		       "--to: is \"original\", expected a --listen with it");
}

static void test_to_before_the_only_listen(void **state)
{
	struct config config;

	(void)state;
	assert_read(&one_listener_file, &config, ARGS("--to", "sni:5", "--listen", ":6"));
	assert_int_equal(config.listeners_len, 1);
	assert_int_equal(ntohs(config.listeners[0].address.in.sin_port), 6);
	assert_int_equal(config.listeners[0].destination, DESTINATION_SNI);
	config_free(&config);
	assert_refused(&one_listener_file,
		       ARGS("--to", "sni:5", "--listen", ":6", "--listen", ":7"),
		       "--to: is \"sni:5\", expected behind the --listen that it is for");
	assert_refused(&one_listener_file,
		       ARGS("--to", "sni:5", "--listen", ":6", "--to", "tproxy"),
		       "--to: is \"sni:5\", expected behind the --listen that it is for");
}

static void test_wrong_listeners(void **state)
{
	const char *many[2 * (CONFIG_MAX_LISTENERS + 1) + 1];
	size_t i;

	(void)state;
	assert_refused(&one_listener_file, ARGS("--listen", ":2"),
		       "listener 0.0.0.0:2: no destination, expected --to original, tproxy, "
		       "sni:PORT or HOST:PORT");
	assert_refused(&one_listener_file, ARGS("--listen", "localhost:2"),
		       "--listen: is \"localhost:2\", expected ADDR:PORT, [ADDR6]:PORT or :PORT "
		       "with a numeric address");
	assert_refused(&one_listener_file, ARGS("--to", "nowhere"),
		       "--to: is \"nowhere\", expected original, tproxy, sni:PORT, HOST:PORT or "
		       "[ADDR6]:PORT");
	assert_refused(&one_listener_file,
		       ARGS("--listen", ":2", "--to", "tproxy", "--to", "sni:1"),
		       "--to: is \"sni:1\", expected one for each --listen");
	assert_refused(&one_listener_file, ARGS("--to", "tproxy", "--to", "sni:1"),
		       "--to: is \"sni:1\", expected one for each --listen");
	for (i = 0; i <= CONFIG_MAX_LISTENERS; i++) {
		many[2 * i] = "--listen";
		many[2 * i + 1] = ":0";
	}
	many[2 * i] = NULL;
	assert_refused(&empty_file, many, "--listen: is \":0\", expected at most 16 listeners");
}

static void test_wrong_options(void **state)
{
	static const struct {
		const char *args[3], *expected;
	} cases[] = {
		{{"--relai", "x"}, "--relai: unknown option, did you mean --relay?"},
		{{"--relai=x"}, "--relai=x: unknown option, did you mean --relay?"},
		{{"--acces-log"}, "--acces-log: unknown option, did you mean --access-log?"},
		{{"--forground"}, "--forground: unknown option, did you mean --foreground?"},
		{{"--rel", "auto"}, "--rel: unknown option, see ksplitd --help"},
		{{"--"}, "--: unknown option, see ksplitd --help"},
		{{"--=x"}, "--=x: unknown option, see ksplitd --help"},
		{{"-x"}, "-x: unknown option, see ksplitd --help"},
		{{"-cfile"}, "-cfile: unknown option, see ksplitd --help"},
		{{"--c", "file"}, "--c: unknown option, see ksplitd --help"},
		{{"-relay", "auto"}, "-relay: unknown option, did you mean --relay?"},
		{{"-"}, "\"-\": unexpected argument, see ksplitd --help"},
		{{""}, "\"\": unexpected argument, see ksplitd --help"},
		{{"file.json"}, "\"file.json\": unexpected argument, see ksplitd --help"},
		{{"a\nb\x1b"}, "\"a\\x0ab\\x1b\": unexpected argument, see ksplitd --help"},
		{{"--workers"}, "--workers: needs a value"},
		{{"--control", "--check"}, "--control: needs a value"},
		{{"-c"}, "-c: needs a value"},
		{{"--check=1"}, "--check=1: takes no value"},
		{{"--foreground=true"}, "--foreground=true: takes no value"},
		{{"--print-rules", "nft"}, "\"nft\": unexpected argument, see ksplitd --help"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++)
		assert_refused(&one_listener_file, cases[i].args, cases[i].expected);
}

static void test_wrong_values(void **state)
{
	static const struct {
		const char *option, *value, *expected;
	} cases[] = {
		{"--relay", "fast", "--relay: is \"fast\", expected auto, splice, copy or user"},
		{"--relay", "", "--relay: is \"\", expected auto, splice, copy or user"},
		{"--ktls", "on", "--ktls: is \"on\", expected auto, off or require"},
		{"--upstream-verify", "no",
		 "--upstream-verify: is \"no\", expected mimic, require or off"},
		{"--leaf-key", "RSA",
		 "--leaf-key: is \"RSA\", expected P-256, P-384, RSA-2048 or RSA-3072"},
		{"--log-level", "7", "--log-level: is \"7\", expected error, warn, info or debug"},
		{"--ca-cert", "", "--ca-cert: is empty, expected a value"},
		{"--access-log", "", "--access-log: is empty, expected a value"},
		{"--upstream-ca", "a\tb",
		 "--upstream-ca: is \"a\\x09b\", expected a value without control characters"},
		{"--sampler", "x", "--sampler: is \"x\", expected auto, bpf, user or off"},
		{"--sampler-attach", "x",
		 "--sampler-attach: is \"x\", expected auto, fentry or sk_msg"},
		{"--metrics", "9464",
		 "\"metrics.prometheus\": is \"9464\", expected ADDR:PORT, [ADDR6]:PORT or :PORT "
		 "with a numeric address"},
		{"--otlp", "collector:4318",
		 "\"metrics.otlp.endpoint\": is \"collector:4318\", expected "
		 "http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"--deadline", "idle=0",
		 "--deadline idle: is 0, expected a whole number from 1 to 604800000"},
		{"--deadline",
		 "idle=", "--deadline idle: is \"\", expected a whole number from 1 to 604800000"},
		{"--deadline", "idle=5s",
		 "--deadline idle: is \"5s\", expected a whole number from 1 to 604800000"},
		{"--deadline", "idle",
		 "--deadline: is \"idle\", expected silence=MS, peek=MS, resolve=MS, connect=MS, "
		 "plain=MS, upstream_handshake=MS, client_handshake=MS, idle=MS, close=MS, drain=MS, "
		 "upgrade=MS or upgrade_drain=MS"},
		{"--deadline", "lunch=1",
		 "--deadline: is \"lunch=1\", expected silence=MS, peek=MS, resolve=MS, connect=MS, "
		 "plain=MS, upstream_handshake=MS, client_handshake=MS, idle=MS, close=MS, drain=MS, "
		 "upgrade=MS or upgrade_drain=MS"},
		{"--control", "relative",
		 "\"control\": is \"relative\", expected an absolute path, or --foreground"},
		{"--access-log", "-",
		 "\"access_log\": is \"-\", expected an absolute path, or --foreground"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++)
		assert_refused(&one_listener_file, ARGS(cases[i].option, cases[i].value),
			       cases[i].expected);
}

static void test_numbers_with_junk(void **state)
{
	static const char *const numbers[] = {
		"",
		" 1",
		"1 ",
		"+1",
		"-1",
		"1.0",
		"1e1",
		"0x1",
		"1k",
		"99999999999",
		"18446744073709551617",
	};
	char expected[128];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(numbers); i++) {
		snprintf(expected, sizeof(expected),
			 "--workers: is \"%s\", expected a whole number from 0 to 1024",
			 numbers[i]);
		assert_refused(&one_listener_file, ARGS("--workers", numbers[i]), expected);
	}
	assert_refused(&one_listener_file, ARGS("--workers", "1025"),
		       "--workers: is 1025, expected a whole number from 0 to 1024");
	assert_refused(&one_listener_file, ARGS("--max-connections", "2147483648"),
		       "--max-connections: is 2147483648, expected a whole number from 0 to "
		       "2147483647");
}

static void test_missing_parts(void **state)
{
	(void)state;
	assert_refused(&empty_file, ARGS("--listen", ":1", "--to", "original", "--ca-cert", "/c"),
		       "\"ca.key\": missing, expected a PEM file there or in --ca-key");
	assert_refused(&empty_file, ARGS("--ca-cert", "/c", "--ca-key", "/k"),
		       "\"listeners\": missing, expected at least one in the file, or --listen "
		       "ADDR:PORT --to DESTINATION");
}

static void test_errors_of_the_file(void **state)
{
	static const char *const args[] = {"--foreground", NULL};
	struct config_file file;
	struct config config;
	char error[256], expected[128];

	(void)state;
	config_file_write(&file, "{\n\"relay\": 1}", 13);
	assert_int_equal(read_options(&file, &config, args, error, sizeof(error)), -EINVAL);
	snprintf(expected, sizeof(expected),
		 "%s:2: \"relay\": is a number, expected auto, splice, copy or user", file.path);
	assert_string_equal(error, expected);
	config_free(&config);
	config_file_remove(&file);
	/* The same path, where nothing is any more: asked for by name, so an error. */
	assert_int_equal(read_options(&file, &config, args, error, sizeof(error)), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: cannot be read: No such file or directory",
		 file.path);
	assert_string_equal(error, expected);
	config_free(&config);
	file.path[0] = '\0';
	assert_refused(&file, args, "-c: is empty, expected a file");
}

/* Without -c, a default file that is not there is no error and leaves no text. */
static void test_default_file_may_be_missing(void **state)
{
	const char *const args[] = {"ksplitd", WHOLE};
	char *argv[LEN(args) + 1] = {NULL}, error[256] = "before";
	enum options_action action;
	struct config config;
	size_t i;

	(void)state;
	if (access(CONFIG_PATH, F_OK) == 0)
		return;
	for (i = 0; i < LEN(args); i++)
		argv[i] = (char *)(uintptr_t)args[i];
	config_init(&config);
	assert_int_equal(options_read((int)LEN(args), argv, &config, &action, error, sizeof(error)),
			 0);
	assert_string_equal(error, "");
	config_free(&config);
}

/* What an option prints on standard output; nothing after it is looked at. */
static void assert_prints(const char *option, const char *expected, char *text, size_t text_len)
{
	char *argv[] = {(char *)(uintptr_t) "ksplitd", (char *)(uintptr_t)option,
			(char *)(uintptr_t) "--nonsense", NULL};
	enum options_action action = OPTIONS_RUN;
	struct config config;
	char error[64];
	int fds[2], saved, rc;
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(fds[1], STDOUT_FILENO);
	config_init(&config);
	rc = options_read(3, argv, &config, &action, error, sizeof(error));
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], text, text_len - 1);
	close(fds[0]);
	config_free(&config);
	assert_int_equal(rc, 0);
	assert_int_equal(action, OPTIONS_EXIT);
	assert_true(n > 0);
	text[n] = '\0';
	assert_memory_equal(text, expected, strlen(expected));
}

static void test_print_rules(void **state)
{
	static const struct {
		const char *option;
		enum config_print_rules print;
	} rows[] = {
		{"--print-rules", PRINT_RULES},
		{"--print-rules=nft", PRINT_RULES_NFT},
		{"--print-rules=iptables", PRINT_RULES_IPTABLES},
		{"--check", PRINT_RULES_NO},
	};
	struct config config;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_read(&one_listener_file, &config, ARGS(rows[i].option));
		assert_int_equal(config.print_rules, rows[i].print);
		config_free(&config);
	}
	assert_refused(&one_listener_file, ARGS("--print-rules=ipfw"),
		       "--print-rules: is \"ipfw\", expected nft or iptables");
	assert_refused(&one_listener_file, ARGS("--print-rules="),
		       "--print-rules: is \"\", expected nft or iptables");
}

/* What is captured is led to the listeners that there are in the end, wherever they come from. */
static void test_capture_with_listeners_of_the_command_line(void **state)
{
	static const char text[] =
		"{\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}, \"foreground\": true,\n"
		"\"listeners\": [{\"listen\": \"127.0.0.1:8443\", \"to\": \"original\"}],\n"
		"\"capture\": {\"outgoing\": {}}}";
	struct config_file file;
	struct config config;
	char expected[256];

	(void)state;
	config_file_write(&file, text, strlen(text));
	assert_read(&file, &config, ARGS("--listen", "[::1]:9443", "--to", "original"));
	assert_int_equal(config.capture.parts[CAPTURE_OUTGOING].listener.sa.sa_family, 0);
	assert_int_equal(config.capture.parts[CAPTURE_OUTGOING].listener6.in6.sin6_port,
			 htons(9443));
	config_free(&config);
	snprintf(expected, sizeof(expected),
		 "%s:3: \"capture.outgoing.listener\": missing, and no listener fits: expected one "
		 "that leads to \"original\", on 127.0.0.1, [::1], 0.0.0.0 or [::], with a port "
		 "other than 0",
		 file.path);
	assert_refused(&file, ARGS("--listen", "127.0.0.1:9443", "--to", "sni:443"), expected);
	config_file_remove(&file);
}

static void test_help_and_version(void **state)
{
	static const char *const named[] = {
		"-c FILE",       "--check",           "--foreground", "--listen",
		"--to",          "--ca-cert",         "--ca-key",     "--leaf-key",
		"--upstream-ca", "--upstream-verify", "--relay",      "--ktls",
		"--sampler",     "--sampler-attach",  "--metrics",    "--otlp",
		"--control",     "--access-log",      "--workers",    "--max-connections",
		"--deadline",    "--log-level",       "--help",       "--version",
		"--print-rules", "--user",
	};
	char text[8192], *line, *rest;
	size_t i;

	(void)state;
	assert_prints("--version", "ksplitd ", text, sizeof(text));
	assert_prints("--help", "usage: ksplitd ", text, sizeof(text));
	for (i = 0; i < LEN(named); i++)
		assert_non_null(strstr(text, named[i]));
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		assert_in_range(strlen(line), 0, 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_every_deadline),
		cmocka_unit_test(test_command_line_goes_over_file),
		cmocka_unit_test(test_listeners_replace_those_of_the_file),
		cmocka_unit_test(test_to_alone_changes_the_only_listener),
		cmocka_unit_test(test_to_before_the_only_listen),
		cmocka_unit_test(test_wrong_listeners),
		cmocka_unit_test(test_wrong_options),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_numbers_with_junk),
		cmocka_unit_test(test_missing_parts),
		cmocka_unit_test(test_errors_of_the_file),
		cmocka_unit_test(test_default_file_may_be_missing),
		cmocka_unit_test(test_print_rules),
		cmocka_unit_test(test_capture_with_listeners_of_the_command_line),
		cmocka_unit_test(test_help_and_version),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
