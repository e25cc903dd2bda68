// SPDX-License-Identifier: GPL-2.0-or-later
/* What a flow takes: its share of a turn, pipes, and the time for its last words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "process_count.h"
#include "relay_rig.h"

#define MIB (1 << 20)

static struct lab lab;

static int setup(void **state)
{
	(void)state;
	lab_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

static uint64_t endless_reads;

static enum end_event endless_read(struct relay_end *end, void *buf, size_t size, size_t *len,
				   uint8_t alert[2])
{
	(void)end;
	(void)alert;
	memset(buf, 0, size);
	*len = size;
	endless_reads++;
	return END_DATA;
}

static bool never_pending(const struct relay_end *end)
{
	(void)end;
	return false;
}

static int swallow(struct relay_end *end, const void *buf, size_t len)
{
	(void)end;
	(void)buf;
	(void)len;
	return 0;
}

static int no_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	(void)end;
	(void)level;
	(void)description;
	return 0;
}

static int no_renewal(struct relay_end *end)
{
	(void)end;
	return 0;
}

/* A source that never runs dry and a sink that takes everything: the turn ends all the same. */
static void test_fair_share(void **state)
{
	static const struct relay_rx_ops endless = {endless_read, never_pending};
	static const struct relay_tx_ops hungry = {swallow, no_alert, no_renewal};
	const struct relay_options options = {.choice = RELAY_CHOICE_COPY};
	struct relay_rig rig;

	(void)state;
	relay_rig_open(&rig, &lab, &options);
	rig.side[SIDE_CLIENT].end.rx = &endless;
	rig.side[SIDE_UPSTREAM].end.tx = &hungry;
	for (int turn = 1; turn <= 3; turn++) {
		endless_reads = 0;
		assert_int_equal(relay_rig_pump(&rig, FLOW_TO_ORIGIN), RELAY_MORE);
		assert_in_range(endless_reads, 1, 64);
		assert_int_equal(rig.info[FLOW_TO_ORIGIN].bytes,
				 (uint64_t)turn * endless_reads * SCRATCH_LEN);
	}
	relay_rig_close(&rig);
}

/* No pipe to be had: by hand then, and all bytes arrive. */
static void test_no_pipe(void **state)
{
	const struct relay_options options = {.choice = RELAY_CHOICE_SPLICE};
	struct stream stream, *streams[FLOWS] = {&stream, NULL};
	struct rlimit limit, low;
	struct relay_rig rig;

	(void)state;
	relay_rig_open(&rig, &lab, &options);
	stream_open(&stream, MIB, 50000);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	relay_rig_run(&rig, streams);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rig.info[0].bytes, MIB);
	assert_int_equal(rig.info[0].spliced, 0);
	free(stream.bytes);
	relay_rig_close(&rig);
}

/* A flow that is given up in the middle keeps no descriptor, and its bytes reach nobody else. */
static void test_release(void **state)
{
	const struct relay_options options = {.choice = RELAY_CHOICE_SPLICE,
					      .upstream.narrow = true};
	struct stream stream;
	struct relay_rig rig;
	int fds;

	(void)state;
	relay_rig_open(&rig, &lab, &options);
	fds = count_fds();
	stream_open(&stream, 4 * MIB, 300000);
	for (int i = 0; i < 10000 && rig.result[0] != RELAY_WAIT_SINK; i++) {
		stream_write(&stream, relay_rig_from(&rig, FLOW_TO_ORIGIN));
		relay_rig_pump(&rig, FLOW_TO_ORIGIN);
	}
	assert_int_equal(rig.result[0], RELAY_WAIT_SINK);
	assert_int_equal(rig.pipes.lent, 1);
	relay_flow_release(&rig.flow[FLOW_TO_ORIGIN], &rig.env);
	assert_int_equal(rig.pipes.lent, 0);
	pipe_pool_free(&rig.pipes);
	assert_int_equal(count_fds(), fds);
	free(stream.bytes);
	relay_rig_close(&rig);
}

/* The socket is full at the very moment of the close_notify: it waits, and goes out before the FIN.
 */
static void last_words(struct relay_rig *rig, bool then_fin)
{
	struct peer *from = relay_rig_from(rig, FLOW_TO_CLIENT);
	struct peer *to = relay_rig_to(rig, FLOW_TO_CLIENT);
	static uint8_t bytes[60000];
	int size = 1, alert;

	fill_random(bytes, sizeof(bytes));
	assert_int_equal(peer_write(from, bytes, sizeof(bytes)), sizeof(bytes));
	relay_rig_until(rig, FLOW_TO_CLIENT, RELAY_WAIT_SOURCE);
	while (rig->info[FLOW_TO_CLIENT].bytes < sizeof(bytes))
		relay_rig_pump(rig, FLOW_TO_CLIENT);
	assert_true(out_buffer_empty(&rig->side[SIDE_CLIENT].out));
	setsockopt(rig->side[SIDE_CLIENT].fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	SSL_shutdown(from->ssl);
	if (then_fin)
		shutdown(from->fd, SHUT_WR);
	for (int i = 0; i < 10; i++) {
		relay_rig_pump(rig, FLOW_TO_CLIENT);
		poll(NULL, 0, 1);
	}
	assert_int_not_equal(rig->result[FLOW_TO_CLIENT], RELAY_FINISHED);
	peer_expect(to, bytes, sizeof(bytes));
	relay_rig_until(rig, FLOW_TO_CLIENT, RELAY_FINISHED);
	assert_int_equal(next_event(to, &alert), PEER_CLOSE_NOTIFY);
	if (then_fin) {
		relay_rig_until_phase(rig, FLOW_TO_CLIENT, RELAY_DONE);
		expect_fin(to);
	}
}

static void test_last_words(void **state)
{
	(void)state;
	/* The first suite is of TLS 1.2, the last of 1.3: what ends a flow is the same for all of a
	 * version, and so narrow a window opens by TCP's probes, seconds apart. */
	for (size_t i = 0; i < 4; i++) {
		const struct tls_suite *suite = &tls_suites[i < 2 ? 0 : TLS_SUITES - 1];
		const struct relay_options options = {.client = {.suite = suite},
						      .upstream = {.suite = suite}};
		struct relay_rig rig;

		relay_rig_open(&rig, &lab, &options);
		/* A window that is smaller than what is on its way. */
		setsockopt(relay_rig_to(&rig, FLOW_TO_CLIENT)->fd, SOL_SOCKET, SO_RCVBUF,
			   &(int){8192}, sizeof(int));
		last_words(&rig, i % 2);
		relay_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fair_share),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_last_words),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
