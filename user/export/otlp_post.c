// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_post.h"

#include <cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <ksplit/text.h>
#include <ksplit/version.h>

#define ANSWER_MAX   65536
#define HEADER_MAX   65536 /* libcurl's own limit is 300 KiB */
#define METRICS_PATH "/v1/metrics"

struct otlp_post {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	const _Atomic uint32_t *mark; /* SO_MARK of its connections; NULL, or 0: none */
	bool busy;
	bool quoted; /* the collector's words may be passed on */
	char curl_error[CURL_ERROR_SIZE];
	char *text; /* of the answer, ANSWER_MAX + 1 */
	size_t text_len, header_len;
};

/* -- the endpoint -------------------------------------------------------------------------------
 */

/* The printable part of it: no user info, no query. */
static int url_name(CURLU *parsed, char **name)
{
	char *text = NULL;
	CURLUcode code = CURLUE_OK;

	for (CURLUPart part = CURLUPART_USER; !code && part <= CURLUPART_OPTIONS; part++)
		code = curl_url_set(parsed, part, NULL, 0);
	if (!code)
		code = curl_url_set(parsed, CURLUPART_QUERY, NULL, 0);
	if (!code)
		code = curl_url_get(parsed, CURLUPART_URL, &text, 0);
	*name = text ? strdup(text) : NULL;
	curl_free(text);
	return *name ? 0 : -ENOMEM;
}

static int url_copy(CURLU *parsed, char **url)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(parsed, CURLUPART_URL, &text, 0);

	*url = code == CURLUE_OK ? strdup(text) : NULL;
	curl_free(text);
	return *url ? 0 : -ENOMEM;
}

static bool url_part_is(CURLU *parsed, CURLUPart part, const char *wanted)
{
	char *text = NULL;
	bool same = curl_url_get(parsed, part, &text, 0) == CURLUE_OK && strcmp(text, wanted) == 0;

	curl_free(text);
	return same;
}

static int url_split(CURLU *parsed, char **url, char **name)
{
	int err;

	if (url_part_is(parsed, CURLUPART_PATH, "/") &&
	    curl_url_set(parsed, CURLUPART_PATH, METRICS_PATH, 0) != CURLUE_OK)
		return -ENOMEM;
	curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0);
	err = url_copy(parsed, url);
	if (err)
		return err;
	err = url_name(parsed, name);
	if (err) {
		free(*url);
		*url = NULL;
	}
	return err;
}

int otlp_url_parse(const char *endpoint, char **url, char **name, char *error, size_t len)
{
	CURLU *parsed = curl_url();
	CURLUcode code;
	int err = -EINVAL;

	*url = *name = NULL;
	if (!parsed)
		return -ENOMEM;
	code = curl_url_set(parsed, CURLUPART_URL, endpoint, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK)
		snprintf(error, len, "not a URL such as http://127.0.0.1:4318/v1/metrics: %s",
			 curl_url_strerror(code));
	else if (!url_part_is(parsed, CURLUPART_SCHEME, "http") &&
		 !url_part_is(parsed, CURLUPART_SCHEME, "https"))
		snprintf(error, len, "the URL must begin with http:// or https://");
	else
		err = url_split(parsed, url, name);
	curl_url_cleanup(parsed);
	return err;
}

/* -- what libcurl calls -------------------------------------------------------------------------
 */

/* More than is kept ends the transfer: the status is known by then. */
static size_t take_answer(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_post *post = ctx;

	n *= size;
	if (n > ANSWER_MAX - post->text_len)
		return 0;
	memcpy(post->text + post->text_len, data, n);
	post->text_len += n;
	return n;
}

static size_t take_header(char *data, size_t size, size_t n, void *ctx)
{
	struct otlp_post *post = ctx;

	(void)data;
	n *= size;
	post->header_len += n;
	return post->header_len > HEADER_MAX ? 0 : n;
}

/* -- life ---------------------------------------------------------------------------------------
 */

static bool add_header(struct otlp_post *post, const char *line)
{
	struct curl_slist *list = curl_slist_append(post->headers, line);

	if (list)
		post->headers = list;
	return list;
}

/* Where it may not be marked, no rules were loaded (core/capturing.c). */
static int mark_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	const struct otlp_post *post = ctx;
	const uint32_t mark = atomic_load(post->mark);

	(void)purpose;
	if (mark)
		setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	return CURL_SOCKOPT_OK;
}

/*
 * What does not change from one request to the next. QUICK_EXIT: whoever gives up a request does
 * not wait for the thread that still resolves its name.
 */
static bool easy_set_up(struct otlp_post *post, const char *url,
			const _Atomic uint32_t *mark)
{
	CURL *easy = post->easy;

	post->mark = mark;
	if (mark && (curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, mark_socket) ||
		     curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, post)))
		return false;

	return add_header(post, "Content-Type: application/json") &&
	       add_header(post, "Accept: application/json") && add_header(post, "Expect:") &&
	       !curl_easy_setopt(easy, CURLOPT_URL, url) &&
	       !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers) &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "ksplit/" KSPLIT_VERSION) &&
	       !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->curl_error) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEDATA, post) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERDATA, post);
}

int otlp_post_new(const char *url, const _Atomic uint32_t *mark, struct otlp_post **out)
{
	struct otlp_post *post = calloc(1, sizeof(*post));

	if (!post)
		return -ENOMEM;
	/* It could say what it was sent: the URL's password, or a token in its query. */
	post->quoted = !strpbrk(url, "@?");
	post->text = malloc(ANSWER_MAX + 1);
	post->multi = curl_multi_init();
	post->easy = curl_easy_init();
	if (!post->text || !post->multi || !post->easy || !easy_set_up(post, url, mark)) {
		otlp_post_free(post);
		return -ENOMEM;
	}
	*out = post;
	return 0;
}

bool otlp_post_busy(const struct otlp_post *post)
{
	return post->busy;
}

void otlp_post_abort(struct otlp_post *post)
{
	if (post->busy)
		curl_multi_remove_handle(post->multi, post->easy);
	post->busy = false;
}

void otlp_post_free(struct otlp_post *post)
{
	if (!post)
		return;
	otlp_post_abort(post);
	curl_easy_cleanup(post->easy);
	if (post->multi)
		curl_multi_cleanup(post->multi);
	curl_slist_free_all(post->headers);
	free(post->text);
	free(post);
}

/* -- a request ----------------------------------------------------------------------------------
 */

int otlp_post_start(struct otlp_post *post, const char *body, uint32_t timeout_ms)
{
	curl_off_t len = (curl_off_t)strlen(body);
	CURL *easy = post->easy;

	post->text_len = post->header_len = 0;
	post->curl_error[0] = '\0';
	if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, len) ||
	    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) ||
	    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ||
	    curl_multi_add_handle(post->multi, easy) != CURLM_OK)
		return -ENOMEM;
	post->busy = true;
	return 0;
}

static cJSON *read_object(struct otlp_post *post)
{
	post->text[post->text_len] = '\0';
	return cJSON_ParseWithLength(post->text, post->text_len);
}

/* A 64-bit integer is a string in protobuf's JSON, but readers take a number, too. */
static uint64_t read_count(const cJSON *item)
{
	int64_t n = cJSON_IsString(item) ? strtoll(item->valuestring, NULL, 10) : 0;

	if (cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e15)
		n = (int64_t)item->valuedouble;
	return n > 0 ? (uint64_t)n : 0;
}

/* Add the collector's own words. */
static void quote(const struct otlp_post *post, const cJSON *text, struct otlp_answer *answer)
{
	size_t len = strlen(answer->error);

	if (!post->quoted || !cJSON_IsString(text) || !text->valuestring[0])
		return;
	len += (size_t)snprintf(answer->error + len, sizeof(answer->error) - len, ": ");
	ksplit_text_escape(answer->error + len, sizeof(answer->error) - len, text->valuestring,
			   strlen(text->valuestring));
}

/* ExportMetricsServiceResponse. Words without rejected points are a warning. */
static void read_partial(struct otlp_post *post, struct otlp_answer *answer)
{
	cJSON *root = read_object(post);
	cJSON *partial = cJSON_GetObjectItemCaseSensitive(root, "partialSuccess");
	cJSON *rejected = cJSON_GetObjectItemCaseSensitive(partial, "rejectedDataPoints");
	cJSON *words = cJSON_GetObjectItemCaseSensitive(partial, "errorMessage");

	answer->rejected_points = read_count(rejected);
	if (answer->rejected_points)
		snprintf(answer->error, sizeof(answer->error),
			 "the collector rejects %" PRIu64 " data points", answer->rejected_points);
	else if (cJSON_IsString(words) && words->valuestring[0])
		snprintf(answer->error, sizeof(answer->error), "the collector warns");
	quote(post, words, answer);
	cJSON_Delete(root);
}

/* The body of a failure should be a google.rpc.Status, whose message is for developers. */
static void read_failure(struct otlp_post *post, long status, struct otlp_answer *answer)
{
	cJSON *root = read_object(post);

	snprintf(answer->error, sizeof(answer->error), "the collector answers with status %ld",
		 status);
	quote(post, cJSON_GetObjectItemCaseSensitive(root, "message"), answer);
	cJSON_Delete(root);
}

static void judge_status(struct otlp_post *post, long status, struct otlp_answer *answer)
{
	curl_off_t after = 0;

	if (status >= 200 && status < 300) {
		answer->result = OTLP_ACCEPTED;
		read_partial(post, answer);
		return;
	}
	read_failure(post, status, answer);
	answer->result = OTLP_REFUSED;
	if (status == 429 || status == 502 || status == 503 || status == 504) {
		answer->result = OTLP_AGAIN;
		if (curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &after) == CURLE_OK &&
		    after > 0)
			answer->retry_after_s = after;
	}
}

static void judge(struct otlp_post *post, CURLcode code, struct otlp_answer *answer)
{
	const char *why = post->curl_error[0] ? post->curl_error : curl_easy_strerror(code);
	long status = 0;

	memset(answer, 0, sizeof(*answer));
	curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
	/* CURLE_WRITE_ERROR: the answer was longer than what is read of it. */
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && status >= 200)) {
		judge_status(post, status, answer);
		return;
	}
	answer->result = OTLP_AGAIN;
	ksplit_text_escape(answer->error, sizeof(answer->error), why, strlen(why));
}

bool otlp_post_step(struct otlp_post *post, struct otlp_answer *answer)
{
	CURLMsg *message;
	int running, left;

	if (!post->busy)
		return false;
	curl_multi_perform(post->multi, &running);
	while ((message = curl_multi_info_read(post->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		judge(post, message->data.result, answer);
		otlp_post_abort(post);
		return true;
	}
	return false;
}

void otlp_post_wait(struct otlp_post *post, int ms)
{
	curl_multi_poll(post->multi, NULL, 0, ms, NULL);
}

void otlp_post_wake(struct otlp_post *post)
{
	curl_multi_wakeup(post->multi);
}
