// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "load.h"

struct mode {
	const char *name;
	int (*run)(const struct options *options);
	const char *help;
};

static const struct mode modes[] = {
	{ "origin", origin_run, "answer; a line on stdin asks for the counters, its end ends it" },
	{ "connect", client_connect, "--count new connections with one small exchange each" },
	{ "download", client_download, "--count MiB down one connection" },
	{ "upload", client_upload, "--count MiB up one connection" },
	{ "small", client_small, "--count small exchanges over --connections connections" },
	{ "api", client_api, "--count API calls over --connections connections" },
	{ "idle", client_idle, "hold --count connections that had one exchange each" },
	{ "floor", floor_run, "seal and open --count MiB with AES-128-GCM" },
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

static _Noreturn void usage(void)
{
	fputs("usage: load MODE [--address A:P] [--ca F] [--cert F] [--key F] [--name N]\n"
	      "            [--ciphers LIST] [--plain] [--count N] [--connections N] "
	      "[--seconds N]\n",
	      stderr);
	for (size_t i = 0; i < MODES; i++)
		fprintf(stderr, "  %-9s %s\n", modes[i].name, modes[i].help);
	exit(2);
}

static void address_parse(struct sockaddr_in *address, char *text)
{
	char *port = strchr(text, ':');

	if (!port)
		usage();
	*port++ = '\0';
	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, text, &address->sin_addr) != 1)
		usage();
}

static unsigned long number_parse(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end || !number)
		usage();
	return number;
}

static void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "address", required_argument, NULL, 'a' },
		{ "ca", required_argument, NULL, 'A' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "name", required_argument, NULL, 'n' },
		{ "ciphers", required_argument, NULL, 'C' },
		{ "plain", no_argument, NULL, 'p' },
		{ "count", required_argument, NULL, 'N' },
		{ "connections", required_argument, NULL, 'K' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'a': address_parse(&options->address, optarg); break;
		case 'A': options->ca = optarg; break;
		case 'c': options->cert = optarg; break;
		case 'k': options->key = optarg; break;
		case 'n': options->name = optarg; break;
		case 'C': options->ciphers = optarg; break;
		case 'p': options->plain = true; break;
		case 'N': options->count = number_parse(optarg); break;
		case 'K': options->connections = number_parse(optarg); break;
		case 's': options->seconds = (unsigned int)number_parse(optarg); break;
		default: usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct options options = { .name = "bench.example", .count = 1, .connections = 1,
				   .seconds = 120 };
	const char *name = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < MODES; i++) {
		if (strcmp(modes[i].name, name))
			continue;
		options_parse(&options, argc - 1, argv + 1);
		/* The origin lives as long as the harness holds its input. */
		if (modes[i].run != origin_run)
			alarm(options.seconds);
		return modes[i].run(&options);
	}
	usage();
}
