/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call of an API as it is seen in the wild: what an SDK sends, with a token of 200 bytes and a
 * body of JSON, and what nginx answers. Fields are many and of usual length, unlike those of the
 * other small load, whose request is one long cookie.
 */
#ifndef BENCH_API_H
#define BENCH_API_H

#define API_PATH "/api/"

#define API_REQUEST \
	"POST /api/v1/shops/8412/orders?expand=lines&locale=en HTTP/1.1\r\n" \
	"Host: bench.example\r\n" \
	"User-Agent: bench-sdk/4.12.0 (Linux; x86_64) Python/3.11.2 requests/2.32.3\r\n" \
	"Accept: application/json\r\n" \
	"Accept-Encoding: gzip, deflate, br\r\n" \
	"Connection: keep-alive\r\n" \
	"Authorization: Bearer not-a-real-token.not-a-real-token.not-a-real-token.not-a-real-t" \
	"oken.not-a-real-token.not-a-real-token.not-a-real-token.not-a-real-token.not" \
	"-a-real-token.not-a-real-token.not-a-real-token.not-a-\r\n" \
	"Content-Type: application/json; charset=utf-8\r\n" \
	"Content-Length: 154\r\n" \
	"X-Request-Id: 3f2b8c1e-9d47-4a6b-8f05-27c1d9e4b6a0\r\n" \
	"X-Client-Version: 4.12.0\r\n" \
	"X-Trace: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n" \
	"\r\n" \
	"{\"order\":{\"customer\":81723,\"currency\":\"EUR\"," \
	"\"lines\":[{\"article\":\"a-4711\",\"count\":2},{\"article\":\"b-0815\",\"count\":1}]," \
	"\"note\":\"leave it with the neighbour\"}}"

#define API_RESPONSE_BODY 640 /* as API_RESPONSE says */
#define API_RESPONSE \
	"HTTP/1.1 200 OK\r\n" \
	"Server: nginx\r\n" \
	"Date: Sun, 22 Nov 2026 08:30:00 GMT\r\n" \
	"Content-Type: application/json; charset=utf-8\r\n" \
	"Content-Length: 640\r\n" \
	"Connection: keep-alive\r\n" \
	"ETag: W/\"280-5KxwQ0o9pXl2mU7bYt4sVn1eGzA\"\r\n" \
	"Cache-Control: private, max-age=0, must-revalidate\r\n" \
	"\r\n"

#endif
