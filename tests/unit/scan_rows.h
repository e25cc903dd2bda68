/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SCAN_ROWS_H
#define KSPLIT_TESTS_SCAN_ROWS_H

/*
 * Connections of HTTP/1 and others, and what a sampler has to tell of them (scan_rig.h), the
 * decoder then: "METHOD host path status type request/body response/body", "+" where a path was
 * cut, "-" where something is not there, "!" where the response did not come to its end.
 */

struct scan_row {
	const char *name;
	const char *requests, *responses, *after; /* `after`: requests once more */
	const char *meaning[2];
	const char *decoded;
};

#define OK_WIRE  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_TOLD  "HTTP/1.1 200 ~Content-Length: 0~~[FWE 38/0]"
#define GET_WIRE "GET / HTTP/1.1\r\n\r\n"
#define GET_TOLD "GET / HTTP/1.1~~[FWE 18/0]"
#define X8       "xxxxxxxx"
#define X64      X8 X8 X8 X8 X8 X8 X8 X8
#define X512     X64 X64 X64 X64 X64 X64 X64 X64

static const struct scan_row scan_rows[] = {
	{"no body",
	 "GET /a/b HTTP/1.1\r\nHost: h:80\r\nCookie: SECRET\r\nAccept: */*\r\n\r\n",
	 "HTTP/1.1 204 No SECRET\r\nServer: SECRET\r\n\r\n",
	 NULL,
	 {"GET /a/b HTTP/1.1~Host: h:80~~[FWE 62/0]", "HTTP/1.1 204 ~~[FWEB 42/0]"},
	 "GET h:80 /a/b 204 - 62/0 42/0\n"},
	{"content length",
	 "POST /p HTTP/1.1\r\nhOST: h\r\nContent-length: 9 \r\nContent-Type: a/b\r\n\r\nSECRET..\n",
	 "HTTP/1.0 200 OK\r\nContent-Type: text/html; "
	 "charset=x\r\nCONTENT-LENGTH:\t6\r\n\r\nSECRET",
	 NULL,
	 {"POST /p HTTP/1.1~hOST: h~Content-length: 9 ~Content-Type: a/b~~[FWE 77/9]",
	  "HTTP/1.0 200 ~Content-Type: text/html; charset=x~CONTENT-LENGTH:\t6~~[FWE 80/6]"},
	 "POST h /p 200 text/html 77/9 80/6\n"},
	{"chunked",
	 "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n"
	 "3;SECRET=SECRET\r\nabc\r\n0a\t\r\nSECRET\r\n\r\n\r\n0\r\nTrailer: SECRET\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, ChunkeD \t\r\n\r\n"
	 "6\r\nSECRET\r\n000\r\n\r\n" OK_WIRE,
	 "GET /2 HTTP/1.1\r\n\r\n",
	 {"PUT /c HTTP/1.1~Transfer-Encoding: chunked~Host: h~~[FWE 117/13]"
	  "GET /2 HTTP/1.1~~[FWE 19/0]",
	  "HTTP/1.1 200 ~Transfer-Encoding: gzip, ChunkeD \t~~[FWE 73/6]" OK_TOLD},
	 "PUT h /c 200 - 117/13 73/6\nGET - /2 200 - 19/0 38/0\n"},
	{"long chunk extension",
	 "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	 "00005 ; a=" X512 X512 X512 "\r\nabcde\r\n0;" X512 X64 "\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	 "1;" X512 X64 "\r\n\n\r\n0\r\nA: " X512 X512 "\r\n\r\n",
	 NULL,
	 {"PUT /c HTTP/1.1~Transfer-Encoding: chunked~~[FWE 2184/5]",
	  "HTTP/1.1 200 ~Transfer-Encoding: chunked~~[FWE 1664/1]"},
	 "PUT - /c 200 - 2184/5 1664/1\n"},
	{"HEAD and 304",
	 "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /n HTTP/1.1\r\n\r\n" GET_WIRE,
	 "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	 "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" OK_WIRE,
	 NULL,
	 {"HEAD /h HTTP/1.1~Host: h~~[FWE 29/0]GET /n HTTP/1.1~~[FWE 19/0]" GET_TOLD,
	  "HTTP/1.1 200 ~Content-Length: 1000~~[FWEB 41/0]"
	  "HTTP/1.1 304 ~Content-Length: 5~~[FWEB 48/0]" OK_TOLD},
	 "HEAD h /h 200 - 29/0 41/0\nGET - /n 304 - 19/0 48/0\nGET - / 200 - 18/0 38/0\n"},
	{"interim",
	 "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: SECRET\r\n\r\n" OK_WIRE,
	 NULL,
	 {"POST / HTTP/1.1~Content-Length: 2~~[FWE 62/2]",
	  "HTTP/1.1 100 ~~[FWEB 25/0]HTTP/1.1 103 ~~[FWEB 36/0]" OK_TOLD},
	 "POST - / 200 - 62/2 38/0\n"},
	{"upgrade",
	 "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	 "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nSECRET HTTP/1.1 200 OK\r\n\r\n",
	 "GET /SECRET HTTP/1.1\r\n\r\n",
	 {"GET /ws HTTP/1.1~~[FWE 40/0]", "HTTP/1.1 101 ~~[FWEBU 46/0]"},
	 "GET - /ws 101 - 40/0 46/0\n"},
	{"CONNECT",
	 "CONNECT SECRET:SECRET@h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nSECRET",
	 "\x16\x03SECRET",
	 {"CONNECT h:443 HTTP/1.1~Host: h:443~~[FWE 53/0]",
	  "HTTP/1.1 200 ~Content-Length: 3~~[FWEBU 38/0]"},
	 "CONNECT h:443  200 - 53/0 38/0\n"},
	{"CONNECT refused",
	 "CONNECT h:443 HTTP/1.1\r\n\r\n",
	 "HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno\n" OK_WIRE,
	 GET_WIRE,
	 {"CONNECT h:443 HTTP/1.1~~[FWE 26/0]" GET_TOLD,
	  "HTTP/1.1 403 ~Content-Length: 3~~[FWE 41/3]" OK_TOLD},
	 "CONNECT h:443  403 - 26/0 41/3\nGET - / 200 - 18/0 38/0\n"},
	{"until close",
	 GET_WIRE,
	 "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nSECRET\r\n\r\nSECRET",
	 NULL,
	 {GET_TOLD, "HTTP/1.0 200 ~Content-Type: a/b~~[FWE 54/16]"},
	 "GET - / 200 a/b 18/0 54/16\n"},
	{"aborted",
	 "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nSEC",
	 NULL,
	 {"POST / HTTP/1.1~Content-Length: 5~~[FWEA 41/3]",
	  "HTTP/1.1 200 ~Transfer-Encoding: chunked~~[FWEA 53/3]"},
	 "POST - / 200! - 41/3 53/3\n"},
	{"absolute form",
	 "GET http://SECRET:SECRET@h:81/p/q?x=SECRET&y HTTP/1.1\r\n\r\n"
	 "GET http://h?x=SECRET/SECRET&y=http://SECRET HTTP/1.1\r\n\r\n"
	 "GET http://SECRET@h HTTP/1.1\r\n\r\n"
	 "OPTIONS * HTTP/1.1\r\n\r\n",
	 "",
	 NULL,
	 {"GET /p/q?x&y HTTP/1.1~~[FWE 57/0]GET /?x&y HTTP/1.1~~[FWE 57/0]"
	  "GET / HTTP/1.1~~[FWE 32/0]OPTIONS * HTTP/1.1~~[FWE 22/0]",
	  ""},
	 "GET - /p/q?x&y 0! - 57/0 0/0\nGET - /?x&y 0! - 57/0 0/0\nGET - / 0! - 32/0 0/0\n"
	 "OPTIONS - * 0! - 22/0 0/0\n"},
	{"query",
	 "GET /?a=SECRET&b&c=&=SECRET&d=SECRET=SECRET?SECRET#SECRET HTTP/1.1\r\n\r\n"
	 "GET x?y=http://h/SECRET HTTP/1.1\r\n\r\nGET x?y=SECRET@SECRET HTTP/1.1\r\n\r\n"
	 "GET /x#?SECRET HTTP/1.1\r\n\r\n",
	 "",
	 NULL,
	 {"GET /?a&b&c&&d HTTP/1.1~~[FWE 70/0]GET x?y HTTP/1.1~~[FWE 36/0]"
	  "GET x?y HTTP/1.1~~[FWE 34/0]GET /x HTTP/1.1~~[FWE 27/0]",
	  ""},
	 NULL},
	{"long request line",
	 "GET /" X512 X512 X512 "?a=SECRET HTTP/1.1\r\nHost: h\r\n\r\n" GET_WIRE,
	 OK_WIRE OK_WIRE,
	 NULL,
	 {"GET /" X64 X64 X64 X64 X64 X64 X64 X8 X8 X8 X8 X8 X8 X8
	  "xxx~Host: h~~[FWEC 1572/0]" GET_TOLD,
	  OK_TOLD OK_TOLD},
	 "GET h /" X64 X64 X64 X64 X64 X64 X64 X8 X8 X8 X8 X8 X8 X8
	 "xxx+ 200 - 1572/0 38/0\nGET - / 200 - 18/0 38/0\n"},
	{"long fields",
	 "GET / HTTP/1.1\r\nCookie: " X512 X512 X512 X512 X512 X512 X512 X512 X512 X512 X512 X512
		 X512 X512 X512 X512 X512 X512 "SECRET\r\nHost: h\r\n\r\n",
	 "HTTP/1.1 200 " X512 X512 "\r\nContent-Type: " X512 "\r\nContent-Length: 0\r\n\r\n",
	 NULL,
	 {"GET / HTTP/1.1~Host: h~~[FWE 9259/0]", "HTTP/1.1 200 ~Content-Length: 0~~[FWE 1588/0]"},
	 "GET h / 200 - 9259/0 1588/0\n"},
	{"folded fields",
	 "GET / HTTP/1.1\r\nX: SECRET\r\n SECRET\r\nHost: h\r\n\tSECRET\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
	 NULL,
	 {"GET / HTTP/1.1~Host: h~~[FWE 56/0]", "HTTP/1.1 200 ~Transfer-Encoding:~LOST"},
	 NULL},
	{"bare line feeds",
	 "\r\n\n\r\nGET / HTTP/1.1\nHost: h\n\n",
	 "\r\nHTTP/1.1 200\n\nbody",
	 NULL,
	 {"GET / HTTP/1.1~Host: h~~[FWE 29/0]", "HTTP/1.1 200 ~~[FWE 20/4]"},
	 "GET h / 200 - 29/0 20/4\n"},
	{"HTTP/0.9", "GET /SECRET\r\n", "<html>SECRET", NULL, {"OTHER", "OTHER"}, ""},
	{"TLS", "\x16\x03\x01SECRET", "\x16\x03\x03SECRET", NULL, {"OTHER", "OTHER"}, ""},
	{"SMTP", "EHLO SECRET\r\n", "220 SECRET\r\n", NULL, {"OTHER", "OTHER"}, ""},
	{"not HTTP any more",
	 "GET / HTTP/1.1\r\n\r\nSECRET\r\n",
	 "HTTP/1.1 20x\r\n",
	 NULL,
	 {GET_TOLD "LOST", "OTHER"},
	 NULL},
	{"broken chunk sizes",
	 "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3g\r\nSECRET",
	 NULL,
	 {"PUT / HTTP/1.1~Transfer-Encoding: chunked~~LOST",
	  "HTTP/1.1 200 ~Transfer-Encoding: chunked~~LOST"},
	 NULL},
	{"broken lengths",
	 "PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
	 NULL,
	 {"PUT / HTTP/1.1~Content-Length: 5~LOST", "HTTP/1.1 200 ~LOST"},
	 NULL},
	{"more broken lengths",
	 "PUT / HTTP/1.1\r\nContent-Length: 1234567890123456789\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
	 NULL,
	 {"PUT / HTTP/1.1~LOST", "HTTP/1.1 200 ~LOST"},
	 NULL},
	{"length and chunks",
	 "PUT / HTTP/1.1\r\nContent-Length: 5\r\n"
	 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET_WIRE,
	 OK_WIRE OK_WIRE,
	 NULL,
	 {"PUT / HTTP/1.1~Content-Length: 5~Transfer-Encoding: chunked~~"
	  "[FWE 70/0]" GET_TOLD,
	  OK_TOLD OK_TOLD},
	 "PUT - / 200 - 70/0 38/0\nGET - / 200 - 18/0 38/0\n"},
	{"length twice",
	 "PUT / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok" GET_WIRE,
	 "",
	 NULL,
	 {"PUT / HTTP/1.1~Content-Length: 2~Content-Length: 2~~[FWE 58/2]" GET_TOLD, ""},
	 NULL},
	{"chunk sizes without end",
	 "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000001\r\nx\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: " X512 "chunked\r\n\r\n",
	 NULL,
	 {"PUT / HTTP/1.1~Transfer-Encoding: chunked~~LOST", "HTTP/1.1 200 ~LOST"},
	 NULL},
};

#define SCAN_ROWS (sizeof(scan_rows) / sizeof(*scan_rows))

#endif
