// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/ocsp_staple.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "pki/pem_file.h"

#define CLOCK_SKEW 300 /* seconds that a responder's clock may be ahead of ours */

/* A response on its way through the checks. */
struct reading {
	const char *path;
	X509 *cert;
	X509 *issuer; /* NULL: not in the chain */
	STACK_OF(X509) *chain;
	char *error;
	size_t error_len;
};

static int refuse(const struct reading *reading, const char *why)
{
	snprintf(reading->error, reading->error_len, "%s: %s", reading->path, why);
	return -EINVAL;
}

static X509 *find_issuer(X509 *cert, STACK_OF(X509) *chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (X509_check_issued(sk_X509_value(chain, i), cert) == X509_V_OK)
			return sk_X509_value(chain, i);
	return NULL;
}

/* Is the response's certificate ours? By serial number alone where the issuer is not at hand. */
static bool is_about(const struct reading *reading, OCSP_SINGLERESP *single)
{
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
	ASN1_OBJECT *digest = NULL;
	ASN1_INTEGER *serial = NULL;
	const EVP_MD *md;
	OCSP_CERTID *own;
	bool same;

	if (!OCSP_id_get0_info(NULL, &digest, NULL, &serial, (OCSP_CERTID *)id) ||
	    ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(reading->cert)))
		return false;
	if (!reading->issuer)
		return true;
	md = EVP_get_digestbyobj(digest);
	own = md ? OCSP_cert_to_id(md, reading->cert, reading->issuer) : NULL;
	same = own && !OCSP_id_cmp(own, id);
	OCSP_CERTID_free(own);
	return same;
}

static OCSP_SINGLERESP *find_single(const struct reading *reading, OCSP_BASICRESP *basic)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		if (is_about(reading, single))
			return single;
	}
	return NULL;
}

/* Signed by the issuer, or by one whom the issuer lets sign responses. */
static bool is_signed(const struct reading *reading, OCSP_BASICRESP *basic)
{
	X509_STORE *trusted = X509_STORE_new();
	bool ok = trusted && X509_STORE_add_cert(trusted, reading->issuer) &&
		  X509_STORE_set_flags(trusted, X509_V_FLAG_PARTIAL_CHAIN) &&
		  OCSP_basic_verify(basic, reading->chain, trusted, 0) == 1;

	X509_STORE_free(trusted);
	return ok;
}

/* The time of a response; 0: none, or one that cannot be read. */
static time_t seconds_of(const ASN1_GENERALIZEDTIME *time)
{
	struct tm tm;

	return time && ASN1_TIME_to_tm(time, &tm) ? timegm(&tm) : 0;
}

static int check_single(const struct reading *reading, OCSP_SINGLERESP *single,
			struct ocsp_staple *out)
{
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	int status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);

	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return refuse(reading, "says that the certificate is revoked; replace the "
				       "certificate");
	if (status != V_OCSP_CERTSTATUS_GOOD)
		return refuse(reading, "says that the responder does not know the certificate");
	if (!OCSP_check_validity(from, until, CLOCK_SKEW, -1))
		return refuse(reading, "is out of date (or the clock is wrong); fetch a new one");
	out->from = seconds_of(from);
	out->until = seconds_of(until);
	return 0;
}

static int check_basic(const struct reading *reading, OCSP_BASICRESP *basic,
		       struct ocsp_staple *out)
{
	OCSP_SINGLERESP *single = find_single(reading, basic);

	if (!single)
		return refuse(reading, "is about another certificate; fetch one for this");
	if (reading->issuer && !is_signed(reading, basic))
		return refuse(reading, "is not signed by the certificate's issuer, nor by a "
				       "responder of it");
	return check_single(reading, single, out);
}

static int check(const struct reading *reading, const uint8_t *der, size_t len,
		 struct ocsp_staple *out)
{
	const uint8_t *at = der;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)len);
	OCSP_BASICRESP *basic = NULL;
	int err;

	if (!response || at != der + len) {
		err = refuse(reading, "not an OCSP response; expected DER (openssl ocsp -respout)");
	} else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
		err = refuse(reading, "the responder's answer is an error; fetch it again");
	} else {
		basic = OCSP_response_get1_basic(response);
		err = basic ? check_basic(reading, basic, out)
			    : refuse(reading, "of a kind other than id-pkix-ocsp-basic");
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return err;
}

int ocsp_staple_load(const char *path, X509 *cert, STACK_OF(X509) *chain, struct ocsp_staple *out,
		     char *error, size_t error_len)
{
	struct reading reading = {.path = path,
				  .cert = cert,
				  .issuer = find_issuer(cert, chain),
				  .chain = chain,
				  .error = error,
				  .error_len = error_len};
	struct ocsp_staple staple = {0};
	int err = pem_file_bytes(path, &staple.der, &staple.len, error, error_len);

	if (err)
		return err;
	ERR_set_mark();
	err = check(&reading, staple.der, staple.len, &staple);
	ERR_pop_to_mark();
	if (err)
		ocsp_staple_free(&staple);
	else
		*out = staple;
	return err;
}

static struct revocation revocation_of(int reason, const ASN1_GENERALIZEDTIME *at)
{
	const time_t now = time(NULL);
	struct revocation revocation = {.at = seconds_of(at), .reason = REVOCATION_NO_REASON};

	if (revocation.at < 0)
		revocation.at = 0;
	if (revocation.at > now)
		revocation.at = now;
	if (REVOCATION_REASON_OK(reason))
		revocation.reason = reason;
	return revocation;
}

static bool basic_revokes(const struct reading *reading, OCSP_BASICRESP *basic,
			  struct revocation *out)
{
	ASN1_GENERALIZEDTIME *at = NULL, *from = NULL, *until = NULL;
	OCSP_SINGLERESP *single = find_single(reading, basic);
	int reason = REVOCATION_NO_REASON;

	if (!single ||
	    OCSP_single_get0_status(single, &reason, &at, &from, &until) !=
		    V_OCSP_CERTSTATUS_REVOKED ||
	    !OCSP_check_validity(from, until, CLOCK_SKEW, -1) || !is_signed(reading, basic))
		return false;
	*out = revocation_of(reason, at);
	return true;
}

bool ocsp_staple_revokes(const uint8_t *der, size_t len, X509 *cert, STACK_OF(X509) *chain,
			 struct revocation *out)
{
	const struct reading reading = {
		.cert = cert, .issuer = find_issuer(cert, chain), .chain = chain};
	const uint8_t *at = der;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic = NULL;
	bool revokes;

	if (!reading.issuer)
		return false;
	ERR_set_mark();
	response = d2i_OCSP_RESPONSE(NULL, &at, (long)len);
	if (response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	revokes = basic && basic_revokes(&reading, basic, out);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_pop_to_mark();
	return revokes;
}

bool ocsp_staple_is_fresh(const struct ocsp_staple *staple, time_t now)
{
	return staple->der && now >= staple->from - CLOCK_SKEW &&
	       (!staple->until || now <= staple->until + CLOCK_SKEW);
}

int ocsp_staple_copy(struct ocsp_staple *to, const struct ocsp_staple *from)
{
	*to = *from;
	if (!from->der)
		return 0;
	to->der = OPENSSL_memdup(from->der, from->len);
	if (to->der)
		return 0;
	memset(to, 0, sizeof(*to));
	return -ENOMEM;
}

void ocsp_staple_free(struct ocsp_staple *staple)
{
	OPENSSL_free(staple->der);
	memset(staple, 0, sizeof(*staple));
}
