// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The metrics port of ksplitd on made-up figures, until standard input ends; prints "port N".
 *
 *   metrics_server fixed|growing|empty|dying
 *
 * fixed: always the same figures; growing: more at each request; empty: none yet; dying: growing,
 * and after four requests every further one fails.
 */
#include <stdio.h>
#include <unistd.h>

#include "../unit/metrics_maker.h"
#include "export/metrics_http.h"

int main(int argc, char **argv)
{
	const char *how = argc == 2 ? argv[1] : "";
	struct made_source made = {
		.empty = !strcmp(how, "empty"),
		.growing = !strcmp(how, "growing") || !strcmp(how, "dying"),
		.answers_left = strcmp(how, "dying") ? 0 : 4,
	};
	struct metrics_source source;
	struct metrics_http *http;
	char error[200], byte;

	if (!made.empty && !made.growing && strcmp(how, "fixed")) {
		fprintf(stderr, "usage: metrics_server fixed|growing|empty|dying\n");
		return 64;
	}
	make_source(&made, &source);
	if (metrics_http_open(":0", -1, &source, &http, error, sizeof(error)) != 0) {
		fprintf(stderr, "metrics_server: %s\n", error);
		return 1;
	}
	printf("port %u\n", metrics_http_port(http));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	metrics_http_close(http);
	return 0;
}
