// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes that are not in memory at the exit of a send: they are shown to the program once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "observe/stream_tap.h"
#include "sampler_rig.h"

#define PAGES	3
#define ENOUGH	20    /* second looks */
#define TRIES	200   /* connections, at most */
#define SENDS	200   /* by each: more requests than KSPLIT_PAIR_REQUESTS have to be answered */
#define HEAD	"GET /far HTTP/1.1\r\nHost: far.test\r\n"

static struct bpf_object_set *set; /* NULL: no BPF here */
static struct sampler *sampler;
static uint64_t next_conn = 1;

/* Pages that are in memory while somebody holds them: taking them away loses nothing. */
static struct {
	char *bytes;
	size_t page;
	atomic_bool over;
	pthread_t thread;
} mapped;

/* A request across two pages. */
static char *request;
static size_t request_len;

static void *take_away(void *arg)
{
	(void)arg;
	while (!atomic_load(&mapped.over)) {
		madvise(mapped.bytes, PAGES * mapped.page, MADV_DONTNEED);
		usleep(20); /* or what was just touched is away again at once, time after time */
	}
	return NULL;
}

static int make_request(void)
{
	int fd = memfd_create("request", MFD_CLOEXEC);

	mapped.page = (size_t)sysconf(_SC_PAGESIZE);
	if (fd < 0 || ftruncate(fd, (off_t)(PAGES * mapped.page)))
		return -1;
	mapped.bytes = mmap(NULL, PAGES * mapped.page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped.bytes == MAP_FAILED)
		return -1;
	request = mapped.bytes + mapped.page - sizeof(HEAD);
	strcpy(request, HEAD);
	for (int i = 0; i < 60; i++)
		strcat(request, "X-Filler: 0123456789012345678901234567890123456789\r\n");
	strcat(request, "\r\n");
	request_len = strlen(request);
	return 0;
}

static int group_setup(void **state)
{
	const struct sampler_options options = {.attach = KSPLIT_SAMPLER_FENTRY,
						.kernel_tls = line_has_kernel_tls()};
	const struct bpf_object_options load = bpf_rig_only(BPF_GROUP_FENTRY, false);
	char error[512];

	if (bpf_rig_setup(state) || make_request())
		return -1;
	if (bpf_rig_missing())
		return 0;
	if (bpf_object_load(&load, &set))
		return -1;
	if (sampler_new(&options, set, &sampler, error, sizeof(error)))
		print_message("%s\n", error);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	sampler_free(sampler);
	bpf_object_free(set);
	munmap(mapped.bytes, PAGES * mapped.page);
	return 0;
}

/* By a program at the exit of the send; where there should be one, it has to be there. */
static bool samples(enum sampler_place place)
{
	const char *expected = getenv("KSPLIT_EXPECT_KTLS");
	bool has = sampler_at(sampler, place) == KSPLIT_SAMPLER_FENTRY;

	if (!has)
		print_message("nothing to try: %s\n", sampler_why(sampler));
	assert_true(has || !expected || strcmp(expected, "1") != 0);
	return has;
}

static void begin_taking_away(void)
{
	atomic_store(&mapped.over, false);
	assert_int_equal(pthread_create(&mapped.thread, NULL, take_away, NULL), 0);
}

static void end_taking_away(void)
{
	atomic_store(&mapped.over, true);
	pthread_join(mapped.thread, NULL);
}

static bool is_asked(const struct sampler_line *line)
{
	const uint64_t *asked = sampler_look_asked(sampler, line->conn);

	return *asked == ksplit_stream_key(line->conn, KSPLIT_REQUESTS);
}

static void send_request(const struct sampler_line *line)
{
	assert_int_equal(send(line->fd[KSPLIT_REQUESTS], request, request_len, MSG_NOSIGNAL),
			 request_len);
	line_drain(line, KSPLIT_REQUESTS);
}

static size_t count_whole(const struct scan_events *events)
{
	size_t whole = 0;

	for (size_t i = 0; i < events->count; i++) {
		const struct ksplit_head_event *event = events->list[i];

		assert_int_equal(event->kind, KSPLIT_EVENT_HTTP1);
		whole += (event->flags & KSPLIT_HEAD_END) != 0;
		if (event->flags & KSPLIT_HEAD_END)
			assert_int_equal(event->message_bytes, request_len);
	}
	return whole;
}

/* As the relay does it. */
static void send_and_show(enum sampler_place place)
{
	struct sampler_line line;
	struct stream_tap tap;

	line_open(&line, sampler, place, next_conn++, false);
	tap = (struct stream_tap){.kind = KSPLIT_SAMPLER_FENTRY,
				  .conn = line.conn,
				  .fd = {line.fd[0], line.fd[1]},
				  .asked = sampler_look_asked(sampler, line.conn)};
	for (int i = 0; i < SENDS; i++) {
		send_request(&line);
		stream_tap_shown(&tap, KSPLIT_REQUESTS, request, request_len);
		assert_false(is_asked(&line));
		assert_true(line_poll(&line) >= 0);
	}
	assert_int_equal(count_whole(&line.events), SENDS);
	line_close(&line);
}

static void shown_once_more(enum sampler_place place)
{
	uint64_t again = sampler_count(sampler, SAMPLER_LOOKED_AGAIN);
	uint64_t unread = sampler_count(sampler, SAMPLER_UNREADABLE);
	int tries = 0;

	begin_taking_away();
	while (tries++ < TRIES && sampler_count(sampler, SAMPLER_LOOKED_AGAIN) < again + ENOUGH)
		send_and_show(place);
	end_taking_away();
	print_message("%d connections, %llu second looks\n", tries - 1,
		      (unsigned long long)(sampler_count(sampler, SAMPLER_LOOKED_AGAIN) - again));
	assert_true(sampler_count(sampler, SAMPLER_LOOKED_AGAIN) > again);
	assert_int_equal(sampler_count(sampler, SAMPLER_UNREADABLE), unread);
}

static void test_shown_once_more(void **state)
{
	(void)state;
	BPF_RIG_NEEDS_BPF();
	for (enum sampler_place place = SAMPLER_KERNEL_TLS; place <= SAMPLER_PLAIN_TCP; place++)
		if (samples(place))
			shown_once_more(place);
}

/* Nobody shows it: the stream is given up at the next send, is told of once, and others go on. */
static void test_not_shown(void **state)
{
	struct sampler_line line, other;
	uint64_t unread;
	int tries = 0;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	if (!samples(SAMPLER_PLAIN_TCP))
		return;
	unread = sampler_count(sampler, SAMPLER_UNREADABLE);
	line_open(&line, sampler, SAMPLER_PLAIN_TCP, next_conn++, false);
	line_open(&other, sampler, SAMPLER_PLAIN_TCP, next_conn++, false);
	begin_taking_away();
	while (tries++ < TRIES * SENDS && !is_asked(&line)) {
		if (tries % SENDS == 0) {
			line_close(&line);
			line_open(&line, sampler, SAMPLER_PLAIN_TCP, next_conn++, false);
		}
		send_request(&line);
		assert_true(line_poll(&line) >= 0);
	}
	end_taking_away();
	assert_true(is_asked(&line));
	line_send(&other, KSPLIT_REQUESTS, "GET /", 5);
	send_request(&line);
	line_send(&other, KSPLIT_REQUESTS, " HTTP/1.1\r\n\r\n", 13);
	send_request(&line);
	assert_int_equal(line_poll(&other), 2);
	assert_false(is_asked(&line));
	assert_int_equal(sampler_count(sampler, SAMPLER_UNREADABLE), unread + 1);
	assert_true(line_state(&line, KSPLIT_REQUESTS).skip == KSPLIT_SKIP_ALL);
	assert_string_equal(other.events.meaning[KSPLIT_REQUESTS].text,
			    "GET / HTTP/1.1~~[FWE 18/0]");
	line_close(&other);
	line_close(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shown_once_more),
		cmocka_unit_test(test_not_shown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
