// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protocols of lines: SMTP (RFC 3207), FTP (RFC 4217), POP3 (RFC 2595 4), IMAP (RFC 9051 6.2.1),
 * NNTP (RFC 4642), ManageSieve (RFC 5804 2.2), and CONNECT to a proxy of HTTP/1 (RFC 9110 9.3.6).
 */
#include <string.h>
#include <strings.h>

#include "relay/starttls_inner.h"

/* --- lines --- */

/* Note bytes up to the end of a line; how many. Whole: `unit` has it, without CR and LF. */
static size_t read_line(struct starttls_unit *unit, const uint8_t *data, size_t len, bool *whole)
{
	size_t used = 0;

	*whole = false;
	while (used < len && !*whole) {
		uint8_t byte = data[used++];

		if (byte == '\n')
			*whole = true;
		else
			starttls_unit_add(unit, byte);
	}
	if (*whole && unit->len && unit->len <= STARTTLS_UNIT && unit->bytes[unit->len - 1] == '\r')
		unit->len--;
	return used;
}

static bool begins(const uint8_t *line, size_t len, const char *word)
{
	size_t most = strlen(word);

	return len >= most && !strncasecmp((const char *)line, word, most);
}

/* The word alone; blanks may follow it. */
static bool is_word(const uint8_t *line, size_t len, const char *word)
{
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	return len == strlen(word) && begins(line, len, word);
}

static bool is_any(const uint8_t *line, size_t len, const char *const *words,
		   bool (*is)(const uint8_t *line, size_t len, const char *word))
{
	for (; *words; words++)
		if (is(line, len, *words))
			return true;
	return false;
}

/* --- commands --- */

/* After these the session goes on in plain: secrets, or a message. */
static const char *const plain_of_codes[] = {"AUTH ", "MAIL ", "DATA", "BDAT ", "USER ", NULL};
static const char *const plain_of_pop3[] = {"AUTH ", "APOP ", "USER ", "PASS ", NULL};
static const char *const plain_of_nntp[] = {"AUTHINFO ", "POST", "IHAVE ", "TAKETHIS ", NULL};
static const char *const plain_of_sieve[] = {"AUTHENTICATE ", NULL};
static const char *const plain_of_imap[] = {"LOGIN ", "AUTHENTICATE ", NULL};
static const char *const ftp_requests[] = {"AUTH TLS", "AUTH TLS-C", "AUTH SSL", "AUTH TLS-P",
					   NULL};

static enum starttls_verdict command_of_codes(struct starttls *dialogue, const uint8_t *line,
					      size_t len)
{
	bool ftp = is_any(line, len, ftp_requests, is_word);

	if (ftp || is_word(line, len, "STARTTLS")) {
		dialogue->protocol = ftp ? CONN_UPGRADE_FTP : CONN_UPGRADE_SMTP;
		return starttls_ask(dialogue);
	}
	return is_any(line, len, plain_of_codes, begins) ? STARTTLS_OVER : STARTTLS_GO_ON;
}

/* One word asks for TLS, and some others say that it will not come. */
static enum starttls_verdict command_of_words(struct starttls *dialogue, const uint8_t *line,
					      size_t len, const char *request,
					      const char *const *plain)
{
	if (is_word(line, len, request))
		return starttls_ask(dialogue);
	return is_any(line, len, plain, begins) ? STARTTLS_OVER : STARTTLS_GO_ON;
}

static enum starttls_verdict command_of_imap(struct starttls *dialogue, const uint8_t *line,
					     size_t len)
{
	const uint8_t *blank = memchr(line, ' ', len);
	size_t tag = blank ? (size_t)(blank - line) : len;
	const uint8_t *command = line + tag + 1;

	if (!blank || !tag || tag > sizeof(dialogue->tag))
		return STARTTLS_GO_ON;
	len -= tag + 1;
	if (is_any(command, len, plain_of_imap, begins))
		return STARTTLS_OVER;
	if (!is_word(command, len, "STARTTLS"))
		return STARTTLS_GO_ON;
	memcpy(dialogue->tag, line, tag);
	dialogue->tag_len = tag;
	return starttls_ask(dialogue);
}

static enum starttls_verdict command(struct starttls *dialogue)
{
	const uint8_t *line = dialogue->client.bytes;
	size_t len = starttls_unit_kept(&dialogue->client);

	switch (dialogue->protocol) {
	case CONN_UPGRADE_POP3: return command_of_words(dialogue, line, len, "STLS", plain_of_pop3);
	case CONN_UPGRADE_NNTP:
		return command_of_words(dialogue, line, len, "STARTTLS", plain_of_nntp);
	case CONN_UPGRADE_SIEVE:
		return command_of_words(dialogue, line, len, "STARTTLS", plain_of_sieve);
	case CONN_UPGRADE_IMAP: return command_of_imap(dialogue, line, len);
	default: return command_of_codes(dialogue, line, len);
	}
}

static enum starttls_verdict command_line(struct starttls *dialogue)
{
	enum starttls_verdict verdict = command(dialogue);

	dialogue->turn++;
	return verdict;
}

static enum starttls_verdict lines_client(struct starttls *dialogue, const uint8_t *data,
					  size_t len, size_t *take)
{
	return starttls_client_units(dialogue, data, len, take, read_line, command_line);
}

/* --- answers --- */

enum answer { ANSWER_WAIT, ANSWER_YES, ANSWER_NO };

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Three digits; a hyphen behind them says that more lines follow (RFC 5321 4.2.1, RFC 959 4.2). */
static enum answer answer_of_code(const uint8_t *line, size_t len, const char *code)
{
	if (len < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]))
		return ANSWER_WAIT;
	if (len > 3 && line[3] == '-')
		return ANSWER_WAIT;
	return memcmp(line, code, 3) ? ANSWER_NO : ANSWER_YES;
}

static enum answer answer_of_imap(const struct starttls *dialogue, const uint8_t *line, size_t len)
{
	size_t tag = dialogue->tag_len;

	if (len > 1 && line[0] == '*' && line[1] == ' ')
		return ANSWER_WAIT;
	if (len <= tag + 1 || memcmp(line, dialogue->tag, tag) || line[tag] != ' ')
		return ANSWER_NO;
	line += tag + 1;
	len -= tag + 1;
	return begins(line, len, "OK ") || is_word(line, len, "OK") ? ANSWER_YES : ANSWER_NO;
}

/* Capabilities may come before it; its text may be a literal, of which nothing may follow. */
static enum answer answer_of_sieve(const uint8_t *line, size_t len)
{
	if (len && line[0] == '"')
		return ANSWER_WAIT;
	return begins(line, len, "OK ") || is_word(line, len, "OK") ? ANSWER_YES : ANSWER_NO;
}

static enum answer answer(const struct starttls *dialogue)
{
	const uint8_t *line = dialogue->server.bytes;
	size_t len = starttls_unit_kept(&dialogue->server);

	switch (dialogue->protocol) {
	case CONN_UPGRADE_IMAP: return answer_of_imap(dialogue, line, len);
	case CONN_UPGRADE_POP3: return begins(line, len, "+OK") ? ANSWER_YES : ANSWER_NO;
	case CONN_UPGRADE_SIEVE: return answer_of_sieve(line, len);
	case CONN_UPGRADE_NNTP: return answer_of_code(line, len, "382");
	case CONN_UPGRADE_FTP: return answer_of_code(line, len, "234");
	default: return answer_of_code(line, len, "220");
	}
}

static enum starttls_verdict lines_server(struct starttls *dialogue, const uint8_t *data,
					  size_t len)
{
	size_t used = 0;

	while (used < len) {
		bool whole;

		used += read_line(&dialogue->server, data + used, len - used, &whole);
		if (!whole)
			break;
		if (dialogue->phase == STARTTLS_ASKED) {
			enum answer said = answer(dialogue);

			if (said == ANSWER_YES)
				return starttls_agree(dialogue, len - used);
			if (said == ANSWER_NO)
				dialogue->phase = STARTTLS_TALK;
		}
		dialogue->server.len = 0;
	}
	return STARTTLS_GO_ON;
}

const struct starttls_ops starttls_lines = {.client = lines_client, .server = lines_server};

/* --- CONNECT --- */

/* The first line of a request, or an empty line: the head's end. */
static enum starttls_verdict request_line(struct starttls *dialogue)
{
	const struct starttls_unit *line = &dialogue->client;

	if (!dialogue->in_head) {
		dialogue->in_head = begins(line->bytes, starttls_unit_kept(line), "CONNECT ");
		return dialogue->in_head ? STARTTLS_GO_ON : STARTTLS_OVER;
	}
	if (line->len)
		return STARTTLS_GO_ON;
	dialogue->in_head = dialogue->answered = dialogue->accepted = false;
	return starttls_ask(dialogue);
}

static enum starttls_verdict connect_client(struct starttls *dialogue, const uint8_t *data,
					    size_t len, size_t *take)
{
	return starttls_client_units(dialogue, data, len, take, read_line, request_line);
}

/* "HTTP/1.1 200": any 2xx (RFC 9110 9.3.6). */
static bool says_yes(const struct starttls_unit *line)
{
	return starttls_unit_kept(line) >= 12 &&
	       begins(line->bytes, starttls_unit_kept(line), "HTTP/1.") && line->bytes[8] == ' ' &&
	       line->bytes[9] == '2';
}

static enum starttls_verdict connect_server(struct starttls *dialogue, const uint8_t *data,
					    size_t len)
{
	size_t used = 0;

	/* The body of a refusal is nobody's concern. */
	while (used < len && dialogue->phase == STARTTLS_ASKED) {
		bool whole;

		used += read_line(&dialogue->server, data + used, len - used, &whole);
		if (!whole)
			return STARTTLS_GO_ON;
		if (!dialogue->answered)
			dialogue->accepted = says_yes(&dialogue->server);
		else if (!dialogue->server.len && dialogue->accepted)
			return starttls_agree(dialogue, len - used);
		else if (!dialogue->server.len)
			dialogue->phase = STARTTLS_TALK;
		dialogue->answered = true;
		dialogue->server.len = 0;
	}
	return STARTTLS_GO_ON;
}

const struct starttls_ops starttls_connect = {.client = connect_client, .server = connect_server};
