// SPDX-License-Identifier: GPL-2.0-or-later
#include "show.h"

#include <errno.h>
#include <libgen.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "file.h"
#include "say.h"

#define SOON_DAYS 30

__attribute__((format(printf, 2, 3))) static void warn(struct show *show, const char *fmt, ...)
{
	va_list args;

	if (show->warning_count == SHOW_WARNINGS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(show->warnings[show->warning_count++], sizeof(show->warnings[0]), fmt, args);
	va_end(args);
}

static void read_subject(struct show *show)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long len;

	if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(show->cert), 0,
				      XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		len = BIO_get_mem_data(bio, &bytes);
		snprintf(show->subject, sizeof(show->subject), "%.*s", (int)len, bytes);
	}
	BIO_free(bio);
}

static void read_serial(struct show *show)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(show->cert), NULL);
	char *text = number ? BN_bn2hex(number) : NULL;

	snprintf(show->serial, sizeof(show->serial), "%s", text ? text : "");
	OPENSSL_free(text);
	BN_free(number);
}

static void read_key_type(struct show *show)
{
	EVP_PKEY *key = X509_get0_pubkey(show->cert);
	char group[40] = "";

	if (key && EVP_PKEY_is_a(key, "EC") &&
	    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		snprintf(show->key_type, sizeof(show->key_type), "EC %s",
			 strcmp(group, "prime256v1") == 0 ? "P-256" : group);
	else if (key)
		snprintf(show->key_type, sizeof(show->key_type), "%s %d bits",
			 EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

static void time_text(const ASN1_TIME *time, char text[static SHOW_TIME_MAX])
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(time, &tm) ||
	    !strftime(text, SHOW_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(text, SHOW_TIME_MAX, "unreadable");
}

static void read_validity(struct show *show)
{
	const ASN1_TIME *until = X509_get0_notAfter(show->cert);
	int days = 0, seconds = 0;

	time_text(X509_get0_notBefore(show->cert), show->from);
	time_text(until, show->until);
	ASN1_TIME_diff(&days, &seconds, NULL, until);
	show->days_left = days;
	if (days < 0 || seconds < 0)
		warn(show,
		     "expired at %s: every client refuses its leaves; make a new one with "
		     "`ksplit-ca init --force` and install it",
		     show->until);
	else if (days < SOON_DAYS)
		warn(show,
		     "expires in %d days, at %s; make a new one with `ksplit-ca init` in "
		     "another folder, install both, then change ksplit.json",
		     days, show->until);
	if (X509_cmp_current_time(X509_get0_notBefore(show->cert)) > 0)
		warn(show, "is not valid before %s; check the clock", show->from);
}

static void read_certificate(struct show *show)
{
	read_subject(show);
	read_serial(show);
	read_key_type(show);
	authority_fingerprint(show->cert, show->fingerprint);
	read_validity(show);
	show->path_length = X509_get_pathlen(show->cert);
	show->constraints = X509_get_ext_d2i(show->cert, NID_name_constraints, NULL, NULL);
	if (X509_check_ca(show->cert) != 1)
		warn(show, "is not a CA: ksplitd and every client refuse it");
}

static void check_folder(struct show *show, const char *path)
{
	char folder[FILE_PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	if (stat(dirname(folder), &st) == 0 && (st.st_mode & 022) && !(st.st_mode & S_ISVTX))
		warn(show,
		     "%s: others than its owner may write to this folder, and so replace "
		     "the CA; chmod go-w",
		     folder);
}

static void read_key(struct show *show)
{
	struct stat st;
	int fits;

	if (stat(show->key_path, &st)) {
		snprintf(show->key_state, sizeof(show->key_state), "%s",
			 errno == ENOENT ? "is not here" : strerror(errno));
		return;
	}
	if (st.st_mode & 077)
		warn(show, "%s: mode %04o, so that others may read the key; chmod 600",
		     show->key_path, (unsigned int)(st.st_mode & 07777));
	check_folder(show, show->key_path);
	fits = authority_key_fits(show->cert, show->key_path);
	if (fits == 1)
		snprintf(show->key_state, sizeof(show->key_state), "fits, mode %04o, owner %u",
			 (unsigned int)(st.st_mode & 07777), (unsigned int)st.st_uid);
	else if (fits == -EACCES)
		snprintf(show->key_state, sizeof(show->key_state), "not readable for this user");
	else
		snprintf(show->key_state, sizeof(show->key_state), "does not fit");
	if (fits == 0)
		warn(show, "%s: is not the key of %s", show->key_path, show->cert_path);
	else if (fits < 0 && fits != -EACCES)
		warn(show, "%s: no private key without password in it (%s)", show->key_path,
		     strerror(-fits));
}

static void add_store(void *ctx, const char *kind, const char *where, enum store_result result)
{
	struct show *show = ctx;
	struct show_store *more = reallocarray(show->stores, show->store_count + 1, sizeof(*more));

	if (!more)
		return;
	show->stores = more;
	more[show->store_count++] = (struct show_store){strdup(kind), strdup(where), result};
}

static void find_stores(struct show *show, const struct options *options)
{
	struct store_report report = {.tell = add_store, .ctx = show};
	struct store_job job;

	if (store_job_fill(&job, STORE_FIND, show->cert, options) == 0 &&
	    (store_each(&job, options, &report) || report.failed))
		warn(show, "not every store could be looked into, or is in order");
	store_job_free(&job);
}

static void show_free(struct show *show)
{
	size_t i;

	for (i = 0; i < show->store_count; i++) {
		free(show->stores[i].kind);
		free(show->stores[i].where);
	}
	free(show->stores);
	NAME_CONSTRAINTS_free(show->constraints);
	X509_free(show->cert);
}

int command_show(const struct options *options)
{
	struct show show = {.cert_path = options->cert, .key_path = options->key};
	int rc = authority_read(options->cert, &show.cert);

	if (!rc) {
		read_certificate(&show);
		read_key(&show);
		find_stores(&show, options);
		if (options->json)
			show_print_json(&show);
		else
			show_print_text(&show);
		rc = show.warning_count ? CA_PARTLY : CA_OK;
	}
	show_free(&show);
	return rc;
}
