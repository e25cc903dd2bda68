// SPDX-License-Identifier: GPL-2.0-or-later
/* The signing process itself: started, asked, killed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "forge_rig.h"
#include "core/log.h"
#include "pki/ocsp_staple.h"
#include "pki/signer.h"
#include "pki/token_bucket.h"
#include "process_count.h"

static struct {
	char folder[64], key_file[96];
	struct ca ca;
	struct signer *signer;
	uint8_t *tbs;
	size_t tbs_len;
} test;

static int start_all(void **state)
{
	X509 *origin;
	FILE *file;
	int err;

	make_all(state);
	log_setup(LOG_LEVEL_ERROR, false);
	test.ca = (struct ca){.cert = made.cas[0].cert, .chain = made.cas[0].chain};
	strcpy(test.folder, "/tmp/ksplit-test-signer.XXXXXX");
	assert_non_null(mkdtemp(test.folder));
	snprintf(test.key_file, sizeof(test.key_file), "%s/ca.key", test.folder);
	file = fopen(test.key_file, "w");
	PEM_write_PrivateKey(file, made.cas[0].key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	origin = make_origin("origin.test", usual_exts);
	test.tbs =
		forge_tbs(&made.cas[0], origin, "a.test", made.leaf_keys[0], &test.tbs_len, &err);
	X509_free(origin);
	return err;
}

static int end_all(void **state)
{
	OPENSSL_free(test.tbs);
	unlink(test.key_file);
	rmdir(test.folder);
	return free_all(state);
}

static int try_start(const char *key_file, const char *user, uint32_t rate, char *error, size_t len)
{
	const struct signer_options options = {.ca = &test.ca,
					       .cert_file = "ca.pem",
					       .key_file = key_file,
					       .user = user,
					       .rate = rate,
					       .dies_with_parent = true};

	return signer_start(&options, &test.signer, error, len);
}

static void start(uint32_t rate)
{
	char error[512] = "";

	if (try_start(test.key_file, "nobody", rate, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(signer_listen(test.signer), 0);
}

static int stop(void **state)
{
	(void)state;
	signer_stop(test.signer);
	test.signer = NULL;
	return 0;
}

struct outcome {
	sem_t done;
	int err, calls;
	X509 *cert;
	uint8_t *staple;
	size_t staple_len;
};

static void take(void *arg, int err, const struct signed_leaf *leaf)
{
	struct outcome *outcome = arg;
	const uint8_t *at = err ? NULL : leaf->cert;

	outcome->err = err;
	outcome->calls++;
	if (!err)
		outcome->cert = d2i_X509(NULL, &at, (long)leaf->cert_len);
	if (!err && leaf->staple) {
		outcome->staple = OPENSSL_memdup(leaf->staple, leaf->staple_len);
		outcome->staple_len = leaf->staple_len;
	}
	sem_post(&outcome->done);
}

static void count(void *arg, int err, const struct signed_leaf *leaf)
{
	struct outcome *outcome = arg;

	(void)leaf;
	outcome->calls++;
	outcome->err |= err;
	sem_post(&outcome->done);
}

/* The outcome's error, too. */
static int ask_for(const uint8_t *tbs, size_t len, const struct revocation *revocation,
		   struct outcome *outcome)
{
	int err;

	*outcome = (struct outcome){0};
	sem_init(&outcome->done, 0, 0);
	err = signer_request(test.signer, tbs, len, revocation, take, outcome);
	if (!err)
		sem_wait(&outcome->done);
	return err ? err : outcome->err;
}

static int ask(const uint8_t *tbs, size_t len, X509 **cert)
{
	struct outcome outcome;
	int err = ask_for(tbs, len, NULL, &outcome);

	assert_null(outcome.staple);
	if (cert)
		*cert = outcome.cert;
	else
		X509_free(outcome.cert);
	return err;
}

static struct signer_stats stats(void)
{
	struct signer_stats stats;

	signer_read_stats(test.signer, &stats);
	return stats;
}

static void a_leaf_comes_back_signed(void **state)
{
	X509 *cert;

	(void)state;
	start(100);
	assert_int_equal(X509_ALGOR_cmp(signer_algorithm(test.signer),
					X509_get0_tbs_sigalg(made.cas[0].cert)),
			 0);
	assert_int_equal(ask(test.tbs, test.tbs_len, &cert), 0);
	assert_verifies(&made.cas[0], cert, "a.test");
	X509_free(cert);
}

static void what_is_no_leaf_is_refused(void **state)
{
	static uint8_t huge[SIGNER_TBS_MAX + 1];
	uint8_t *der = NULL, *tbs = NULL;
	int len = i2d_re_X509_tbs(made.cas[0].cert, &tbs);

	(void)state;
	start(100);
	/* the CA's own certificate */
	assert_int_equal(ask(tbs, (size_t)len, NULL), -EACCES);
	assert_int_equal(ask(huge, sizeof(huge) - 1, NULL), -EACCES);
	assert_int_equal(ask(huge, sizeof(huge), NULL), -EMSGSIZE);
	assert_int_equal(ask(test.tbs, 0, NULL), -EACCES);
	/* and it is as well as before */
	assert_int_equal(ask(test.tbs, test.tbs_len, NULL), 0);
	assert_int_equal(stats().refused, 3);
	assert_int_equal(stats().issued, 1);
	assert_int_equal(stats().busy + stats().failed, 0);
	OPENSSL_free(der);
	OPENSSL_free(tbs);
}

/* Behind its filter of system calls, too. */
static void a_revoked_leaf_comes_with_its_response(void **state)
{
	const struct revocation since = {.at = time(NULL) - 7 * DAY, .reason = 1};
	const struct revocation coming = {.at = time(NULL) + DAY, .reason = 1};
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct revocation said;
	struct outcome outcome;

	(void)state;
	start(100);
	assert_int_equal(ask_for(test.tbs, test.tbs_len, &since, &outcome), 0);
	assert_verifies(&made.cas[0], outcome.cert, "a.test");
	assert_non_null(outcome.staple);
	sk_X509_push(chain, outcome.cert);
	sk_X509_push(chain, made.cas[0].cert);
	assert_true(ocsp_staple_revokes(outcome.staple, outcome.staple_len, outcome.cert, chain,
					&said));
	assert_int_equal(said.at, since.at);
	assert_int_equal(said.reason, since.reason);
	OPENSSL_free(outcome.staple);
	X509_free(outcome.cert);
	sk_X509_free(chain);
	assert_int_equal(ask_for(test.tbs, test.tbs_len, &coming, &outcome), -EACCES);
	assert_null(outcome.staple);
	assert_int_equal(stats().issued, 1);
	assert_int_equal(stats().refused, 1);
	assert_int_equal(ask(test.tbs, test.tbs_len, NULL), 0);
}

static void more_than_the_rate_is_busy(void **state)
{
	int signed_ones = 0, busy = 0;

	(void)state;
	start(1);
	for (int i = 0; i < 50; i++) {
		int err = ask(test.tbs, test.tbs_len, NULL);

		signed_ones += err == 0;
		busy += err == -EBUSY;
	}
	assert_int_equal(signed_ones + busy, 50);
	assert_true(signed_ones >= 1);
	assert_true(busy >= 1);
	assert_int_equal(stats().issued, signed_ones);
	assert_int_equal(stats().busy, busy);
}

static void a_bucket_fills_with_time(void **state)
{
	struct token_bucket bucket;
	int taken = 0;

	(void)state;
	token_bucket_init(&bucket, 10, 1000);
	while (token_bucket_take(&bucket, 1000))
		taken++;
	assert_int_equal(taken, 10);
	assert_false(token_bucket_take(&bucket, 1000 + 99999));
	assert_true(token_bucket_take(&bucket, 1000 + 100000));
	assert_false(token_bucket_take(&bucket, 1000 + 100001));
	for (taken = 0; token_bucket_take(&bucket, 3600000000);)
		taken++;
	assert_int_equal(taken, 10);
}

/* "Name:\tvalue\n" of /proc/PID/status as a number. */
static unsigned long long status_of(pid_t pid, const char *name, int base)
{
	char path[64], line[256];
	unsigned long long value = ~0ULL;
	size_t len = strlen(name);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtoull(line + len + 1, NULL, base);
	fclose(file);
	return value;
}

static void it_has_no_rights_and_no_descriptor_but_its_socket(void **state)
{
	int other = open("/dev/null", O_RDONLY); /* without O_CLOEXEC: a fork has it */
	pid_t pid;
	char path[64];

	(void)state;
	start(100);
	pid = signer_pid(test.signer);
	assert_true(pid > 0);
	for (const char *const *set = (const char *const[]){"CapInh", "CapPrm", "CapEff", "CapAmb",
							    NULL};
	     *set; set++)
		assert_int_equal(status_of(pid, *set, 16), 0);
	assert_int_equal(status_of(pid, "Seccomp", 10), 2); /* a filter, proc(5) */
	assert_int_equal(status_of(pid, "NoNewPrivs", 10), 1);
	assert_int_equal(status_of(pid, "Threads", 10), 1);
	if (geteuid() == 0) {
		assert_true(status_of(pid, "Uid", 10) > 0);
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
		assert_int_equal(count_entries(path), 3); /* "." and ".." */
	}
	close(other);
}

static void when_it_dies_requests_fail_and_nothing_hangs(void **state)
{
	struct outcome outcomes[64] = {0};
	pid_t pid;

	(void)state;
	start(1000);
	pid = signer_pid(test.signer);
	kill(pid, SIGSTOP);
	for (size_t i = 0; i < LEN(outcomes); i++) {
		sem_init(&outcomes[i].done, 0, 0);
		assert_int_equal(signer_request(test.signer, test.tbs, test.tbs_len, NULL, take,
						&outcomes[i]),
				 0);
	}
	kill(pid, SIGKILL);
	for (size_t i = 0; i < LEN(outcomes); i++) {
		sem_wait(&outcomes[i].done);
		assert_int_equal(outcomes[i].err, -EPIPE);
		assert_int_equal(outcomes[i].calls, 1);
	}
	assert_int_equal(ask(test.tbs, test.tbs_len, NULL), -EPIPE);
	assert_int_equal(signer_pid(test.signer), 0);
	assert_int_equal(stats().failed, LEN(outcomes) + 1);
	assert_int_equal(stats().issued, 0);
	waitpid(pid, NULL, 0);
}

/* A process that does not read: what the socket cannot hold is refused at once, not waited for. */
static void a_full_socket_is_busy(void **state)
{
	static struct outcome outcome; /* of all of them */
	int sent = 0, err;

	(void)state;
	start(1000000);
	sem_init(&outcome.done, 0, 0);
	kill(signer_pid(test.signer), SIGSTOP);
	while (!(err = signer_request(test.signer, test.tbs, test.tbs_len, NULL, count, &outcome)))
		sent++;
	assert_int_equal(err, -EBUSY);
	assert_true(sent > 50);
	kill(signer_pid(test.signer), SIGCONT);
	for (int i = 0; i < sent; i++)
		sem_wait(&outcome.done);
	assert_int_equal(outcome.calls, sent);
	assert_int_equal(stats().issued, sent);
	assert_int_equal(stats().busy, 1);
	assert_int_equal(outcome.err, 0);
}

static void stopping_fails_what_is_on_its_way(void **state)
{
	struct outcome outcome = {0};
	int fds, threads = count_threads();

	(void)state;
	fds = count_fds();
	start(100);
	sem_init(&outcome.done, 0, 0);
	kill(signer_pid(test.signer), SIGSTOP);
	assert_int_equal(signer_request(test.signer, test.tbs, test.tbs_len, NULL, take, &outcome), 0);
	kill(signer_pid(test.signer), SIGKILL);
	stop(NULL);
	assert_int_equal(outcome.calls, 1);
	assert_int_equal(outcome.err, -EPIPE);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(count_entries("/proc/self/task"), threads);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void why_it_cannot_start_is_told(void **state)
{
	char error[512] = "";

	(void)state;
	assert_int_equal(try_start("/nowhere/ca.key", "nobody", 1, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/nowhere/ca.key: No such file"));
	assert_null(test.signer);
	if (geteuid() != 0)
		return;
	assert_true(try_start(test.key_file, "no-such-user", 1, error, sizeof(error)) < 0);
	assert_non_null(strstr(error, "\"ca.signer_user\""));
	assert_non_null(strstr(error, "no-such-user"));
	assert_true(try_start(test.key_file, "root", 1, error, sizeof(error)) < 0);
	assert_non_null(strstr(error, "root"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
#define T(test) cmocka_unit_test_teardown(test, stop)
	const struct CMUnitTest tests[] = {
		T(a_leaf_comes_back_signed),
		T(what_is_no_leaf_is_refused),
		T(a_revoked_leaf_comes_with_its_response),
		T(more_than_the_rate_is_busy),
		T(a_bucket_fills_with_time),
		T(it_has_no_rights_and_no_descriptor_but_its_socket),
		T(when_it_dies_requests_fail_and_nothing_hangs),
		T(a_full_socket_is_busy),
		T(stopping_fails_what_is_on_its_way),
		T(why_it_cannot_start_is_told),
	};

	return cmocka_run_group_tests(tests, start_all, end_all);
}
