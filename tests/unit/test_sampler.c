// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "ksplit.skel.h"
#include "sampler_rig.h"
#include "scan_rows.h"

static struct bpf_object_set *set; /* NULL: no BPF here */
static struct sampler *sampler;
static bool kernel_tls;
static uint64_t next_conn = 1;

static int group_setup(void **state)
{
	const struct sampler_options options = {.kernel_tls = kernel_tls = line_has_kernel_tls()};
	const struct bpf_object_options load = bpf_rig_options(false);
	char error[512];

	if (bpf_rig_setup(state))
		return -1;
	if (bpf_rig_missing())
		return 0;
	if (bpf_object_load(&load, &set) ||
	    sampler_new(&options, set, &sampler, error, sizeof(error)))
		return -1;
	print_message("%s\n", sampler_why(sampler));
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	sampler_free(sampler);
	bpf_object_free(set);
	return 0;
}

static bool is_bpf(enum sampler_place place)
{
	enum ksplit_sampler at = sampler_at(sampler, place);

	return at == KSPLIT_SAMPLER_FENTRY || at == KSPLIT_SAMPLER_SK_MSG;
}

static bool expects_ktls(void)
{
	const char *expected = getenv("KSPLIT_EXPECT_KTLS");

	return expected && strcmp(expected, "1") == 0;
}

/* Kernels before 5.17 have no bpf_loop: nothing to try there, and it is said. */
#define NEEDS_SAMPLER()                                                                            \
	do {                                                                                       \
		BPF_RIG_NEEDS_BPF();                                                               \
		if (!is_bpf(SAMPLER_PLAIN_TCP) && !is_bpf(SAMPLER_KERNEL_TLS)) {                   \
			print_message("nothing to try, no program samples here: %s\n",             \
				      sampler_why(sampler));                                       \
			assert_false(expects_ktls());                                              \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* Where kernel TLS is expected it has to be there, elsewhere there is nothing to try. */
static bool has_fentry(void)
{
	bool has = sampler_at(sampler, SAMPLER_KERNEL_TLS) == KSPLIT_SAMPLER_FENTRY;

	if (!has)
		print_message("kernel TLS: nothing to sample by fentry\n");
	assert_true(has || !expects_ktls());
	return has;
}

typedef void (*place_case)(enum sampler_place place);

static void each_place(place_case run)
{
	for (enum sampler_place place = SAMPLER_KERNEL_TLS; place <= SAMPLER_PLAIN_TCP; place++)
		if (is_bpf(place))
			run(place);
}

/* --- the choice --- */

static int make(const struct sampler_options *options, struct bpf_object_set *programs,
		enum ksplit_sampler at[SAMPLER_PLACES], char *error)
{
	struct sampler *made;
	int err;

	strcpy(error, "");
	err = sampler_new(options, programs, &made, error, 512);
	assert_non_null(made);
	assert_true(strlen(sampler_why(made)) > 0);
	for (int i = 0; i < SAMPLER_PLACES; i++)
		at[i] = sampler_at(made, i);
	sampler_free(made);
	assert_int_equal(err != 0, error[0] != '\0');
	assert_null(strchr(error, '\n'));
	return err;
}

static void test_modes_without_bpf(void **state)
{
	enum ksplit_sampler at[SAMPLER_PLACES];
	struct sampler_options options = {.kernel_tls = true};
	char error[512];

	(void)state;
	for (enum sampler_mode mode = SAMPLER_MODE_AUTO; mode <= SAMPLER_MODE_OFF; mode++) {
		options.mode = mode;
		options.attach = KSPLIT_SAMPLER_NONE;
		assert_int_equal(make(&options, NULL, at, error),
				 mode == SAMPLER_MODE_BPF ? -EOPNOTSUPP : 0);
		for (int i = 0; i < SAMPLER_PLACES; i++)
			assert_int_equal(at[i], mode == SAMPLER_MODE_OFF ? KSPLIT_SAMPLER_NONE
									 : KSPLIT_SAMPLER_USER);
		if (mode != SAMPLER_MODE_AUTO)
			continue;
		options.attach = KSPLIT_SAMPLER_FENTRY;
		assert_int_equal(make(&options, NULL, at, error), -EOPNOTSUPP);
		assert_non_null(strstr(error, "no BPF"));
		options.attach = KSPLIT_SAMPLER_SK_MSG;
		assert_int_equal(make(&options, NULL, at, error), -EOPNOTSUPP);
	}
}

/* What is forced is there, or it is an error that says why. */
static void expect_forced(enum ksplit_sampler attach, bool tls)
{
	const struct sampler_options options = {.attach = attach, .kernel_tls = tls};
	enum sampler_place place = tls ? SAMPLER_KERNEL_TLS : SAMPLER_PLAIN_TCP;
	enum ksplit_sampler at[SAMPLER_PLACES];
	char error[512];
	int err = make(&options, set, at, error);

	if (err)
		print_message("%s\n", error);
	assert_true(err == 0 || err == -EOPNOTSUPP);
	assert_int_equal(err == 0, at[place] == attach);
	assert_int_equal(at[SAMPLER_USER_TLS], KSPLIT_SAMPLER_USER);
}

static void test_modes(void **state)
{
	struct sampler_options options = {.mode = SAMPLER_MODE_BPF};
	enum ksplit_sampler at[SAMPLER_PLACES];
	char error[512];
	int err;

	(void)state;
	NEEDS_SAMPLER();
	for (int tls = 0; tls < 2; tls++) {
		expect_forced(KSPLIT_SAMPLER_FENTRY, tls);
		expect_forced(KSPLIT_SAMPLER_SK_MSG, tls);
	}
	err = make(&options, set, at, error);
	assert_int_equal(err == 0, at[SAMPLER_PLAIN_TCP] == KSPLIT_SAMPLER_SK_MSG);
	assert_int_equal(at[SAMPLER_KERNEL_TLS], KSPLIT_SAMPLER_USER);
	options.mode = SAMPLER_MODE_USER;
	assert_int_equal(make(&options, set, at, error), 0);
	assert_int_equal(at[SAMPLER_PLAIN_TCP], KSPLIT_SAMPLER_USER);
	options.mode = SAMPLER_MODE_OFF;
	assert_int_equal(make(&options, set, at, error), 0);
	assert_int_equal(at[SAMPLER_USER_TLS], KSPLIT_SAMPLER_NONE);
}

/* --- written once: the program and the daemon's own sampler tell the same --- */

static void compare_event(const struct ksplit_head_event *a, const struct ksplit_head_event *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->message_bytes, b->message_bytes);
	assert_int_equal(a->body_bytes, b->body_bytes);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->head, b->head, a->len);
	assert_int_equal(a->latency_ns != 0, b->latency_ns != 0);
	if (a->latency_ns)
		assert_true(a->latency_ns < a->first_ns);
}

static void compare_events(const struct scan_events *kernel, const struct scan_events *user)
{
	for (enum ksplit_stream stream = 0; stream < KSPLIT_STREAMS; stream++) {
		size_t i = 0, k = 0;

		for (; i < kernel->count; i++) {
			if (kernel->list[i]->stream != stream)
				continue;
			while (k < user->count && user->list[k]->stream != stream)
				k++;
			assert_true(k < user->count);
			compare_event(kernel->list[i], user->list[k++]);
		}
		while (k < user->count && user->list[k]->stream != stream)
			k++;
		assert_int_equal(k, user->count);
	}
}

/* The same pieces into both; `by_splice`: those that need not be seen. */
static void send_both(struct sampler_line *line, struct scan_run *run, enum ksplit_stream stream,
		      const char *text, bool by_splice)
{
	size_t len = strlen(text), done = 0;

	while (done < len) {
		uint64_t skip = line_state(line, stream).skip;
		size_t part = len - done;

		assert_true(skip == run->pair.stream[stream].skip);
		if (run->cut == SCAN_CUT_BYTES)
			part = 1;
		else if (run->cut == SCAN_CUT_RANDOM)
			part = 1 + scan_random(&run->random) % 1000;
		if (part > len - done)
			part = len - done;
		if (by_splice && skip && part > skip)
			part = (size_t)skip;
		if (by_splice && skip)
			line_splice(line, stream, text + done, part);
		else
			line_send(line, stream, text + done, part);
		scan_run_feed(run, stream, text + done, part);
		done += part;
		assert_int_equal(line_state(line, stream).total, done);
	}
	assert_true(line_poll(line) >= 0);
	scan_run_take(run);
}

static void same_row(enum sampler_place place, const struct scan_row *row, struct scan_run *run,
		     bool by_splice)
{
	struct sampler_line line;

	line_open(&line, sampler, place, next_conn++, false);
	scan_run_begin(run, false);
	send_both(&line, run, KSPLIT_REQUESTS, row->requests, by_splice);
	send_both(&line, run, KSPLIT_RESPONSES, row->responses, by_splice);
	compare_events(&line.events, &run->events);
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		struct ksplit_stream_state kernel = line_state(&line, i);
		const struct ksplit_stream_state *user = &run->pair.stream[i];

		assert_int_equal(kernel.mode, user->mode);
		assert_int_equal(kernel.flags, user->flags);
		assert_int_equal(kernel.sequence, user->sequence);
		assert_int_equal(kernel.sampler, sampler_at(sampler, place));
	}
	scan_run_end(run);
	line_close(&line);
}

static void same_rows(enum sampler_place place)
{
	struct scan_run run;

	scan_run_new(&run, 512);
	run.random = 5;
	for (size_t i = 0; i < SCAN_ROWS; i++) {
		const struct scan_row *row = &scan_rows[i];

		run.cut = SCAN_CUT_WHOLE;
		same_row(place, row, &run, false);
		same_row(place, row, &run, true);
		run.cut = SCAN_CUT_RANDOM;
		same_row(place, row, &run, true);
		run.cut = SCAN_CUT_BYTES;
		if (strlen(row->requests) + strlen(row->responses) < 300)
			same_row(place, row, &run, i % 2);
	}
	scan_run_free(&run);
}

static void test_same_as_user(void **state)
{
	uint64_t dropped;

	(void)state;
	NEEDS_SAMPLER();
	dropped = sampler_count(sampler, SAMPLER_DROPPED);
	each_place(same_rows);
	assert_int_equal(sampler_count(sampler, SAMPLER_DROPPED), dropped);
	assert_int_equal(sampler_count(sampler, SAMPLER_NO_ROOM), 0);
}

/* --- large bodies --- */

static void large_body(enum sampler_place place)
{
	static const char request[] = "PUT /large HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n";
	static char body[100000];
	struct sampler_line line;
	uint64_t events = sampler_count(sampler, SAMPLER_EVENTS);

	line_open(&line, sampler, place, next_conn++, false);
	line_send(&line, KSPLIT_REQUESTS, request, strlen(request));
	for (int i = 0; i < 30; i++) {
		assert_int_equal(line_state(&line, KSPLIT_REQUESTS).skip,
				 3000000 - i * sizeof(body));
		if (i % 2)
			line_send(&line, KSPLIT_REQUESTS, body, sizeof(body));
		else
			line_splice(&line, KSPLIT_REQUESTS, body, sizeof(body));
	}
	assert_int_equal(line_poll(&line), 2);
	assert_string_equal(line.events.meaning[KSPLIT_REQUESTS].text,
			    "PUT /large HTTP/1.1~Content-Length: 3000000~~[FWE 3000048/3000000]");
	assert_int_equal(sampler_count(sampler, SAMPLER_EVENTS), events + 2);
	assert_int_equal(line_state(&line, KSPLIT_REQUESTS).total, 3000048);
	line_close(&line);
}

static void test_large_body(void **state)
{
	(void)state;
	NEEDS_SAMPLER();
	each_place(large_body);
}

/* --- what is not seen, and what is not data --- */

/* A head that is spliced into kernel TLS cannot be read there: it is said. */
static void test_spliced_head(void **state)
{
	struct sampler_line line;
	uint64_t unreadable;

	(void)state;
	NEEDS_SAMPLER();
	if (!has_fentry())
		return;
	unreadable = sampler_count(sampler, SAMPLER_UNREADABLE);
	line_open(&line, sampler, SAMPLER_KERNEL_TLS, next_conn++, false);
	line_splice(&line, KSPLIT_REQUESTS, GET_WIRE, strlen(GET_WIRE));
	line_send(&line, KSPLIT_REQUESTS, GET_WIRE, strlen(GET_WIRE));
	assert_int_equal(line_poll(&line), 1);
	assert_string_equal(line.events.meaning[KSPLIT_REQUESTS].text, "LOST");
	assert_true(line_state(&line, KSPLIT_REQUESTS).skip == KSPLIT_SKIP_ALL);
	assert_true(sampler_count(sampler, SAMPLER_UNREADABLE) >= unreadable);
	line_close(&line);
}

static void send_alert(int fd)
{
	char control[CMSG_SPACE(1)] = {0}, bytes[2] = {1, 0};
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = 21;
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), sizeof(bytes));
}

static void test_alert_is_no_data(void **state)
{
	struct sampler_line line;

	(void)state;
	NEEDS_SAMPLER();
	if (!has_fentry())
		return;
	line_open(&line, sampler, SAMPLER_KERNEL_TLS, next_conn++, false);
	line_send(&line, KSPLIT_REQUESTS, "GET / HT", 8);
	send_alert(line.fd[KSPLIT_REQUESTS]);
	assert_int_equal(line_state(&line, KSPLIT_REQUESTS).total, 8);
	line_send(&line, KSPLIT_REQUESTS, "TP/1.1\r\n\r\n", 10);
	assert_int_equal(line_poll(&line), 1);
	assert_string_equal(line.events.meaning[KSPLIT_REQUESTS].text, GET_TOLD);
	line_close(&line);
}

/* Disarmed, nothing is told; an unarmed socket has no state. */
static void disarmed(enum sampler_place place)
{
	struct ksplit_stream_state state;
	struct sampler_line line;

	line_open(&line, sampler, place, next_conn++, false);
	sampler_disarm(sampler, line.conn, line.fd);
	assert_int_equal(sampler_read(sampler, line.fd[0], &state), -ENOENT);
	assert_int_equal(send(line.fd[0], GET_WIRE, strlen(GET_WIRE), MSG_NOSIGNAL),
			 strlen(GET_WIRE));
	assert_int_equal(line_poll(&line), 0);
	line_close(&line);
}

static void test_disarmed(void **state)
{
	(void)state;
	NEEDS_SAMPLER();
	each_place(disarmed);
}

/* --- the ring is written over --- */

#define MARKER "marker-that-must-go"

static bool ring_has_marker(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = page + 2 * sampler_ring_bytes(sampler);
	int fd = bpf_map__fd(bpf_object_skeleton(set)->maps.heads);
	void *ring = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)page);
	bool found;

	assert_true(ring != MAP_FAILED);
	found = memmem(ring, size, MARKER, strlen(MARKER)) != NULL;
	munmap(ring, size);
	return found;
}

static void ignore(void *ctx, const struct ksplit_head_event *event)
{
	(void)event;
	++*(int *)ctx;
}

static void wiped(enum sampler_place place)
{
	static const char request[] = "GET /" MARKER " HTTP/1.1\r\nHost: " MARKER "\r\n\r\n";
	struct sampler_line line;
	int came = 0;

	line_open(&line, sampler, place, next_conn++, false);
	for (int i = 0; i < 20; i++)
		line_send(&line, KSPLIT_REQUESTS, request, strlen(request));
	assert_int_equal(line_poll(&line), 20);
	assert_true(ring_has_marker());
	sampler_wipe(sampler, ignore, &came);
	assert_int_equal(came, 0);
	assert_false(ring_has_marker());
	line_send(&line, KSPLIT_REQUESTS, GET_WIRE, strlen(GET_WIRE));
	assert_int_equal(line_poll(&line), 1); /* and it works on */
	line_close(&line);
}

static void test_wipe(void **state)
{
	(void)state;
	NEEDS_SAMPLER();
	assert_int_equal(sampler_ring_bytes(sampler), 1 << 20);
	assert_true(sampler_wait_fd(sampler) >= 0);
	each_place(wiped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes_without_bpf),
		cmocka_unit_test(test_same_as_user),
		cmocka_unit_test(test_large_body),
		cmocka_unit_test(test_spliced_head),
		cmocka_unit_test(test_alert_is_no_data),
		cmocka_unit_test(test_disarmed),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
