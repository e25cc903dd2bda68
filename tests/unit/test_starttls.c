// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "relay/starttls.h"

#define HELLO "\x16\x03\x01\x02\x00\x01"

/* What one side says; the sides take turns as they are written down. */
struct said {
	bool client;
	const char *data;
	size_t len;
};

#define C(text) {true, text, sizeof(text) - 1}
#define S(text) {false, text, sizeof(text) - 1}

/* Relay it in pieces of at most `piece` bytes; the first verdict that is not GO_ON. */
static enum starttls_verdict talk_in(struct starttls *dialogue, const struct said *said, size_t len,
				     size_t piece)
{
	enum starttls_verdict verdict = STARTTLS_GO_ON;

	memset(dialogue, 0, sizeof(*dialogue));
	for (size_t i = 0; i < len && verdict == STARTTLS_GO_ON; i++) {
		const uint8_t *data = (const uint8_t *)said[i].data;
		size_t left = said[i].len;

		while (left && verdict == STARTTLS_GO_ON) {
			size_t now = left < piece ? left : piece, take = now;

			if (said[i].client)
				verdict = starttls_client(dialogue, data, now, &take);
			else
				verdict = starttls_server(dialogue, data, now);
			if (verdict != STARTTLS_GO_ON)
				break;
			assert_in_range(take, 1, now);
			data += take;
			left -= take;
		}
	}
	return verdict;
}

/* However the bytes are cut. Client and server speak in turn, so that no cut makes another order. */
static void expect(const struct said *said, size_t len, enum starttls_verdict verdict,
		   enum conn_upgrade protocol)
{
	for (size_t piece = 1; piece < 200; piece++) {
		struct starttls dialogue;

		assert_int_equal(talk_in(&dialogue, said, len, piece), verdict);
		if (verdict == STARTTLS_HELLO)
			assert_int_equal(dialogue.protocol, protocol);
	}
}

#define EXPECT(verdict, protocol, ...)                                                             \
	do {                                                                                       \
		static const struct said said[] = {__VA_ARGS__};                                   \
		expect(said, sizeof(said) / sizeof(said[0]), verdict, protocol);                   \
	} while (0)

/* --- lines --- */

static void smtp(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_SMTP, S("220-a\r\n220 b\r\n"), C("EHLO x\r\n"),
	       S("250-b\r\n250 STARTTLS\r\n"), C("STARTTLS\r\n"), S("220 go\r\n"), C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_SMTP, S("220 b\n"), C("ehlo x\n"), S("250 b\n"),
	       C("starttls \n"), S("220-go\n220 on\n"), C(HELLO));
	/* refused, then asked again */
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_SMTP, S("220 b\r\n"), C("STARTTLS\r\n"),
	       S("454 not now\r\n"), C("STARTTLS\r\n"), S("220 go\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, S("220 b\r\n"), C("STARTTLS\r\n"), S("454 no\r\n"), C("QUIT\r\n"),
	       S("221 bye\r\n"));
	/* a hello that nobody asked for is the origin's affair */
	EXPECT(STARTTLS_GO_ON, 0, S("220 b\r\n"), C("STARTTLS\r\n"), S("454 no\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, S("220 b\r\n"), C("EHLO x\r\n"), S("250 b\r\n"),
	       C("MAIL FROM:<a@b>\r\n"));
	EXPECT(STARTTLS_OVER, 0, S("220 b\r\n"), C("AUTH PLAIN AGEAYg==\r\n"));
	EXPECT(STARTTLS_GO_ON, 0, S("220 b\r\n"), C("STARTTLSX\r\n"), S("220 x\r\n"), C(HELLO));
}

static void bytes_where_one_side_had_to_wait(void **state)
{
	(void)state;
	/* behind the command */
	EXPECT(STARTTLS_PIPELINED, 0, S("220 b\r\n"), C("STARTTLS\r\nRSET\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("220 b\r\n"), C("STARTTLS\r\n" HELLO));
	EXPECT(STARTTLS_PIPELINED, 0, S("+OK\r\n"), C("STLS\r\nUSER a\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("* OK x\r\n"), C("a STARTTLS\r\nb LOGIN x y\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, C("\0\0\0\x08\x04\xd2\x16\x2f" HELLO));
	/* before it, unanswered */
	EXPECT(STARTTLS_PIPELINED, 0, S("220 b\r\n"), C("EHLO x\r\nSTARTTLS\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("+OK\r\n"), C("CAPA\r\nSTLS\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("220 b\r\n"), C("EHLO x\r\n"), S("250-half an ans"),
	       C("STARTTLS\r\n"));
	/* behind the answer */
	EXPECT(STARTTLS_PIPELINED, 0, S("220 b\r\n"), C("STARTTLS\r\n"),
	       S("220 go\r\n250 evil\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, C("\0\0\0\x08\x04\xd2\x16\x2f"), S("SE"));
	EXPECT(STARTTLS_PIPELINED, 0, C("CONNECT a:443 HTTP/1.1\r\n\r\n"),
	       S("HTTP/1.1 200 OK\r\n\r\n220 mail\r\n"));
}

static void ftp(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_FTP, S("220 f\r\n"), C("AUTH TLS\r\n"),
	       S("234-yes\r\n oh yes\r\n234 go\r\n"), C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_FTP, S("220 f\r\n"), C("FEAT\r\n"),
	       S("211-x\r\n AUTH TLS\r\n211 x\r\n"), C("auth ssl\r\n"), S("234 go\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, S("220 f\r\n"), C("AUTH TLS\r\n"), S("534 no\r\n"),
	       C("USER a\r\n"));
	EXPECT(STARTTLS_GO_ON, 0, S("220 f\r\n"), C("AUTH TLS\r\n"), S("220 what?\r\n"), C(HELLO));
}

static void imap(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_IMAP, S("* OK hi\r\n"), C("a CAPABILITY\r\n"),
	       S("* CAPABILITY STARTTLS\r\na OK x\r\n"), C("b starttls\r\n"),
	       S("* OK just so\r\nb OK go\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, S("* OK hi\r\n"), C("b STARTTLS\r\n"), S("b NO\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, S("* OK hi\r\n"), C("b STARTTLS\r\n"), S("a OK go\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, S("* OK hi\r\n"), C("b LOGIN a b\r\n"));
	EXPECT(STARTTLS_OVER, 0, S("* OK hi\r\n"), C("b authenticate PLAIN\r\n"));
	EXPECT(STARTTLS_GO_ON, 0, S("* OK hi\r\n"), C(" STARTTLS\r\n"), S(" OK go\r\n"), C(HELLO));
}

static void pop3(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_POP3, S("+OK\r\n"), C("STLS\r\n"), S("+OK\r\n"),
	       C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_POP3, S("+OK hi\r\n"), C("CAPA\r\n"),
	       S("+OK\r\nSTLS\r\n.\r\n"), C("STLS\r\n"), S("+OK\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, S("+OK hi\r\n"), C("STLS\r\n"), S("-ERR\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, S("+OK hi\r\n"), C("USER a\r\n"));
}

static void nntp(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_NNTP, S("200 news\r\n"), C("CAPABILITIES\r\n"),
	       S("101 so\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"), C("STARTTLS\r\n"),
	       S("382 go\r\n"), C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_NNTP, S("201 news\r\n"), C("starttls\r\n"),
	       S("580 no\r\n"), C("STARTTLS\r\n"), S("382\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, S("200 news\r\n"), C("STARTTLS\r\n"), S("580 no\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, S("200 news\r\n"), C("AUTHINFO USER a\r\n"));
	EXPECT(STARTTLS_OVER, 0, S("200 news\r\n"), C("POST\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("200 news\r\n"), C("STARTTLS\r\nDATE\r\n"));
	EXPECT(STARTTLS_PIPELINED, 0, S("200 news\r\n"), C("STARTTLS\r\n"),
	       S("382 go\r\n101 evil\r\n"));
}

#define SIEVE S("\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n")

static void sieve(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_SIEVE, SIEVE, C("STARTTLS\r\n"), S("OK\r\n"), C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_SIEVE, S("\"SASL\" \"\"\r\nOK\r\n"),
	       C("CAPABILITY\r\n"), SIEVE, C("Starttls\r\n"), S("OK \"go\"\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, SIEVE, C("STARTTLS\r\n"), S("NO \"not now\"\r\n"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, SIEVE, C("STARTTLS\r\n"), S("OKAY\r\n"), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, SIEVE, C("AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\n"));
	/* the text as a literal: it lies behind the line */
	EXPECT(STARTTLS_PIPELINED, 0, SIEVE, C("STARTTLS\r\n"), S("OK {2}\r\ngo\r\n"));
	EXPECT(STARTTLS_GO_ON, 0, SIEVE, C("STARTTLS\r\n"), S("NO {4}\r\nOK\r\n\r\n"), C(HELLO));
	/* a greeting in quotes that is another's */
	EXPECT(STARTTLS_MAYBE, 0, S("\"Hello\"\r\n"), C("a"), S("b"), C(HELLO));
}

static void a_line_without_end(void **state)
{
	static char line[4096];
	const struct said said[] = {S("220 b\r\n"), {true, line, sizeof(line)}, C("\r\n"),
				    S("500 what?\r\n"), C("STARTTLS\r\n"), S("220 go\r\n"),
				    C(HELLO)};

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "STARTTLS", 8);
	expect(said, sizeof(said) / sizeof(said[0]), STARTTLS_HELLO, CONN_UPGRADE_SMTP);
}

static void connect_to_a_proxy(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_CONNECT,
	       C("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
	       S("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
	       C("CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: Basic xx\r\n\r\n"),
	       S("HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"), C(HELLO));
	EXPECT(STARTTLS_PIPELINED, 0, C("CONNECT a:443 HTTP/1.1\r\n\r\n" HELLO));
	EXPECT(STARTTLS_OVER, 0, C("CONNECT a:443 HTTP/1.1\r\n\r\n"), S("HTTP/1.1 502 No\r\n\r\n"),
	       C("GET http://a/ HTTP/1.1\r\n"));
}

/* --- XMPP --- */

#define STREAM(to) "<?xml version='1.0'?><stream:stream xmlns='jabber:client' " to ">"
#define XMPP_TLS   " xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
#define FEATURES   "<stream:features><starttls" XMPP_TLS "><required/></starttls></stream:features>"
#define OPENED	   C(STREAM("to='a'")), S(STREAM("from='a'") FEATURES)

static void xmpp(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_XMPP, OPENED, C("<starttls" XMPP_TLS "/>"),
	       S("<proceed" XMPP_TLS "/>"), C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_XMPP, C("<stream:stream to=\"a>b'<\">\n"),
	       S(STREAM("from='a'")), S(FEATURES), C(" \n<starttls" XMPP_TLS "></starttls>"),
	       S(" <proceed" XMPP_TLS "></proceed>"), C(HELLO));
	/* of another namespace, and what only looks so */
	EXPECT(STARTTLS_GO_ON, 0, OPENED, C("<starttls xmlns='urn:x'/>"),
	       S("<proceed" XMPP_TLS "/>"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, OPENED, C("<starttlsx" XMPP_TLS "/>"),
	       S("<proceed" XMPP_TLS "/>"), C(HELLO));
	EXPECT(STARTTLS_PIPELINED, 0, OPENED, C("<starttls" XMPP_TLS "/>"),
	       S("<proceed xmlns='urn:x'/>"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, OPENED, C("<starttls" XMPP_TLS "/>"),
	       S("<failure" XMPP_TLS "/></stream:stream>"), C(HELLO));
}

static void xmpp_without_tls(void **state)
{
	(void)state;
	EXPECT(STARTTLS_OVER, 0, OPENED, C("<auth mechanism='PLAIN'>AGEAYg==</auth>"));
	EXPECT(STARTTLS_OVER, 0, OPENED, C("<message><body>hi"));
	/* where one side had to wait */
	EXPECT(STARTTLS_PIPELINED, 0, OPENED, C("<starttls" XMPP_TLS "/>" HELLO));
	EXPECT(STARTTLS_PIPELINED, 0, OPENED, C("<starttls" XMPP_TLS "/>"),
	       S("<proceed" XMPP_TLS "/><evil/>"));
	EXPECT(STARTTLS_PIPELINED, 0, C(STREAM("to='a'") "<starttls" XMPP_TLS "/>"));
	EXPECT(STARTTLS_PIPELINED, 0, OPENED, C("<enable/><starttls" XMPP_TLS "/>"));
	EXPECT(STARTTLS_PIPELINED, 0, OPENED, S("<half"), C("<starttls" XMPP_TLS "/>"));
	/* XML, and not XMPP */
	EXPECT(STARTTLS_MAYBE, 0, C("<?xml version='1.0'?><epp><hello/></epp>"), S("<greeting/>"),
	       C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, C("<"), S("<"), C("<<<"), S("<"), C(HELLO));
}

/* --- packets --- */

#define LDAP_START(id)                                                                             \
	"\x30\x1d\x02\x01" id "\x77\x18\x80\x16"                                                   \
	"1.3.6.1.4.1.1466.20037"
#define LDAP_DONE(id, code) "\x30\x0c\x02\x01" id "\x78\x07\x0a\x01" code "\x04\x00\x04\x00"

static void ldap(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_LDAP, C(LDAP_START("\x01")), S(LDAP_DONE("\x01", "\0")),
	       C(HELLO));
	/* long lengths, and a search with its answers before */
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_LDAP, C("\x30\x84\0\0\0\x06\x02\x01\x01\x63\x01\0"),
	       S("\x30\x06\x02\x01\x01\x64\x01\0\x30\x06\x02\x01\x01\x65\x01\0"),
	       C("\x30\x81\x1e\x02\x01\x02\x77\x81\x18\x80\x16"
		 "1.3.6.1.4.1.1466.20037"),
	       S(LDAP_DONE("\x02", "\0")), C(HELLO));
	EXPECT(STARTTLS_OVER, 0, C(LDAP_START("\x01")), S(LDAP_DONE("\x01", "\x35")),
	       C("\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\0\x80\0"));
	/* another's answer */
	EXPECT(STARTTLS_PIPELINED, 0, C(LDAP_START("\x01")), S(LDAP_DONE("\x02", "\0")), C(HELLO));
	EXPECT(STARTTLS_PIPELINED, 0, C(LDAP_START("\x01") LDAP_START("\x02")));
	/* no LDAP after all */
	EXPECT(STARTTLS_GO_ON, 0, C("0123456789"), S("x"), C("0123"));
	EXPECT(STARTTLS_GO_ON, 0, C("\x30\x80\x02\x01\x01"));
	EXPECT(STARTTLS_OVER, 0, C(LDAP_START("\x01")), S("\x31\x00"));
}

static void ldap_with_long_messages(void **state)
{
	static char search[6 + 300] = "\x30\x82\x01\x2e\x02\x01\x01\x63";
	static char bind[6 + 300] = "\x30\x82\x01\x2e\x02\x01\x01\x60";
	const struct said in_order[] = {{true, search, 4 + 0x12e}, S("\x30\x06\x02\x01\x01\x65\x01\0"),
					C(LDAP_START("\x02")), S(LDAP_DONE("\x02", "\0")), C(HELLO)};
	const struct said logged_in[] = {{true, bind, 4 + 0x12e}};

	(void)state;
	expect(in_order, 5, STARTTLS_HELLO, CONN_UPGRADE_LDAP);
	expect(logged_in, 1, STARTTLS_OVER, 0);
}

static void postgresql(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_POSTGRESQL, C("\0\0\0\x08\x04\xd2\x16\x2f"), S("S"),
	       C(HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_POSTGRESQL, C("\0\0\0\x08\x04\xd2\x16\x30"), S("N"),
	       C("\0\0\0\x08\x04\xd2\x16\x2f"), S("S"), C(HELLO));
	/* in plain: nothing of what it then says is looked at */
	EXPECT(STARTTLS_GO_ON, 0, C("\0\0\0\x08\x04\xd2\x16\x2f"), S("N"),
	       C("\0\0\0\x16\0\x03\0\0user\0a\0\0"), S("R"));
	EXPECT(STARTTLS_OVER, 0, C("\0\0\0\x08\x04\xd2\x16\x2f"), S("E"));
	EXPECT(STARTTLS_OVER, 0, C("\0\0\0\x08\x04\xd2\x16\x30"), S("G"));
	EXPECT(STARTTLS_GO_ON, 0, C("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02"));
}

#define MYSQL_GREETING "\x0f\0\0\0\x0a" "8.0.36\0\x01\0\0\0abc"
#define ZEROS23	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void mysql(void **state)
{
	(void)state;
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_MYSQL, S(MYSQL_GREETING),
	       C("\x20\0\0\x01\x85\xae\x7f\0\0\0\0\x01\x21" ZEROS23 HELLO));
	EXPECT(STARTTLS_HELLO, CONN_UPGRADE_MYSQL, S(MYSQL_GREETING),
	       C("\x20\0\0\x01\x85\xae\x7f\0\0\0\0\x01\x21" ZEROS23), C(HELLO));
	/* without the flag; a login in plain; another packet */
	EXPECT(STARTTLS_OVER, 0, S(MYSQL_GREETING),
	       C("\x20\0\0\x01\x85\xa6\x7f\0\0\0\0\x01\x21" ZEROS23));
	EXPECT(STARTTLS_OVER, 0, S(MYSQL_GREETING), C("\x54\0\0\x01\x85\xae\x7f\0"));
	EXPECT(STARTTLS_OVER, 0, S(MYSQL_GREETING), C("\x20\0\0\x02\x85\xae\x7f\0"));
	/* the server speaks where it has to wait */
	EXPECT(STARTTLS_PIPELINED, 0, S(MYSQL_GREETING),
	       C("\x20\0\0\x01\x85\xae\x7f\0\0\0\0\x01\x21" ZEROS23), S("\xff"));
}

/* --- all others --- */

static void an_unknown_protocol(void **state)
{
	(void)state;
	EXPECT(STARTTLS_MAYBE, 0, S("OK \"x\"\r\n"), C("STARTTLS\r\n"), S("OK\r\n"), C(HELLO));
	EXPECT(STARTTLS_MAYBE, 0, C("\x05\x01\x00"), S("\x05\x00"), C("\x05\x01\x00\x01"),
	       S("\x05\x00"), C(HELLO));
	/* not the client's turn */
	EXPECT(STARTTLS_GO_ON, 0, C("a"), C(HELLO));
	EXPECT(STARTTLS_GO_ON, 0, C("a"), S("b"), C("c" HELLO));
	EXPECT(STARTTLS_OVER, 0, S("SSH-2.0-x\r\n"));
	EXPECT(STARTTLS_MAYBE, 0, S("ab"), C(HELLO));
}

static void what_was_no_hello_is_plain(void **state)
{
	struct starttls dialogue = {0};
	static const uint8_t bytes[] = HELLO;
	size_t take;

	(void)state;
	assert_int_equal(starttls_server(&dialogue, (const uint8_t *)"hello\n", 6), STARTTLS_GO_ON);
	assert_int_equal(starttls_client(&dialogue, bytes, 6, &take), STARTTLS_MAYBE);
	/* held: the same bytes once more */
	assert_int_equal(starttls_client(&dialogue, bytes, 6, &take), STARTTLS_MAYBE);
	starttls_client_plain(&dialogue);
	assert_int_equal(starttls_client(&dialogue, bytes, 6, &take), STARTTLS_GO_ON);
	assert_int_equal(take, 6);
}

static bool http(const char *text)
{
	return starttls_is_http((const uint8_t *)text, strlen(text));
}

static void requests_of_http(void **state)
{
	(void)state;
	assert_true(http("GET / HTTP/1.1\r\nHost: a\r\n"));
	assert_true(http("G"));
	assert_true(http("PROPFIND /"));
	assert_true(http("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	assert_true(http("BREW /pot HTTP/1.1\r\n"));
	assert_false(http("CONNECT a:443 HTTP/1.1\r\n\r\n"));
	assert_false(http("EHLO a\r\n"));
	assert_false(http("PASS x\r\n"));
	assert_false(http("brew /pot HTTP/1.1\r\n"));
	assert_false(http(" HTTP/1.1\r\n"));
	assert_false(http("\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smtp),
		cmocka_unit_test(bytes_where_one_side_had_to_wait),
		cmocka_unit_test(ftp),
		cmocka_unit_test(imap),
		cmocka_unit_test(pop3),
		cmocka_unit_test(nntp),
		cmocka_unit_test(sieve),
		cmocka_unit_test(xmpp),
		cmocka_unit_test(xmpp_without_tls),
		cmocka_unit_test(a_line_without_end),
		cmocka_unit_test(connect_to_a_proxy),
		cmocka_unit_test(ldap),
		cmocka_unit_test(ldap_with_long_messages),
		cmocka_unit_test(postgresql),
		cmocka_unit_test(mysql),
		cmocka_unit_test(an_unknown_protocol),
		cmocka_unit_test(what_was_no_hello_is_plain),
		cmocka_unit_test(requests_of_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
