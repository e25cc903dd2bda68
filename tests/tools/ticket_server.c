// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An origin whose session tickets are large: ticket_server PORT CERT KEY BYTES. Serves one
 * connection of 127.0.0.1 after another, echoes what comes, and says on standard output of each
 * whether it was resumed. Ends when its standard input does.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t ticket_bytes;

/* What the application adds to a ticket makes it as long (SSL_CTX_set_session_ticket_cb(3)). */
static int on_ticket(SSL *ssl, void *arg)
{
	void *data = calloc(1, ticket_bytes);
	int done = data && SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data,
							   ticket_bytes);

	(void)arg;
	free(data);
	return done;
}

static SSL_TICKET_RETURN on_ticket_back(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
					size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)ssl;
	(void)session;
	(void)name;
	(void)name_len;
	(void)arg;
	if (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_USE_RENEW;
	return SSL_TICKET_RETURN_IGNORE_RENEW;
}

static void serve(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	char buf[4096];
	int n;

	if (!ssl || !SSL_set_fd(ssl, fd) || SSL_accept(ssl) != 1) {
		printf("failed\n");
		ERR_print_errors_fp(stderr);
	} else {
		printf("%s %s\n", SSL_get_version(ssl),
		       SSL_session_reused(ssl) ? "resumed" : "new");
		while ((n = SSL_read(ssl, buf, sizeof(buf))) > 0 && SSL_write(ssl, buf, n) == n)
			;
		ERR_print_errors_fp(stdout);
		SSL_shutdown(ssl);
	}
	fflush(stdout);
	SSL_free(ssl);
	close(fd);
}

static int listen_on(const char *port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons((uint16_t)atoi(port)),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 8)) {
		perror("ticket_server");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd wait[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (argc != 5 || !ctx || !SSL_CTX_use_certificate_chain_file(ctx, argv[2]) ||
	    !SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) ||
	    !SSL_CTX_set_session_ticket_cb(ctx, on_ticket, on_ticket_back, NULL)) {
		fprintf(stderr, "ticket_server PORT CERT KEY BYTES\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	ticket_bytes = (size_t)atol(argv[4]);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	wait[1].fd = listen_on(argv[1]);
	while (poll(wait, 2, -1) > 0 && !wait[0].revents)
		serve(ctx, accept(wait[1].fd, NULL, NULL));
	SSL_CTX_free(ctx);
	return 0;
}
