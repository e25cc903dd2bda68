// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing_inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/self_test.h"
#include "core/server.h"

#define SELF_TEST_MS 4000

bool capturing_can_mark(const struct capture *capture, char *why, size_t why_len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &capture->mark, sizeof(capture->mark)))
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(why, why_len,
			 "ksplitd's own calls cannot be marked (SO_MARK: %s), so rules would "
			 "capture them; run it as root or with CAP_NET_ADMIN",
			 strerror(err));
	return !err;
}

static bool test(struct capturing *capturing, const struct sockaddr *listener, const struct ca *ca,
		 char *error, size_t error_len)
{
	return self_test_run(capturing->self_test, listener, ca ? ca->cert : NULL, SELF_TEST_MS,
			     error, error_len) == 0;
}

static bool listener_works(struct capturing *capturing, const struct sockaddr *listener, char *why,
			   size_t why_len)
{
	const struct ca *ca = capturing->server->generation->issuer->ca;
	union conn_address address = {0};
	char error[200], name[64];

	if (test(capturing, listener, ca, error, sizeof(error)))
		return true;
	/* During a reload new listeners go by the next generation, and the others not yet. */
	if (capturing->next_ca && capturing->next_ca != ca &&
	    test(capturing, listener, capturing->next_ca, error, sizeof(error)))
		return true;
	memcpy(&address, listener,
	       listener->sa_family == AF_INET6 ? sizeof(address.in6) : sizeof(address.in));
	snprintf(why, why_len, "the self-test of listener %s failed: %s",
		 conn_address_print(&address, name, sizeof(name)), error);
	pthread_mutex_lock(&capturing->lock);
	capturing->status.self_test_failed++;
	pthread_mutex_unlock(&capturing->lock);
	return false;
}

static bool same_listener(const union capture_address *a, const union capture_address *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* A call through every listener that rules lead to, each once. */
static bool listeners_work(struct capturing *capturing, char *why, size_t why_len)
{
	const union capture_address *tested[2 * CAPTURE_KINDS];
	size_t count = 0;

	for (size_t i = 0; i < CAPTURE_HOOK; i++) {
		const struct capture_part *part = &capturing->capture->parts[i];
		const union capture_address *both[] = {&part->listener, &part->listener6};

		for (size_t j = 0; j < 2 && part->given; j++) {
			bool known = !both[j]->sa.sa_family;

			for (size_t k = 0; k < count && !known; k++)
				known = same_listener(tested[k], both[j]);
			if (known)
				continue;
			if (!listener_works(capturing, &both[j]->sa, why, why_len))
				return false;
			tested[count++] = both[j];
		}
	}
	return true;
}

bool capturing_try(struct capturing *capturing, char *why, size_t why_len)
{
	return capturing_can_mark(capturing->capture, why, why_len) &&
	       listeners_work(capturing, why, why_len);
}
