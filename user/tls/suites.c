// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/suites.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* SignatureScheme (RFC 8446 4.2.3) */
enum {
	RSA_PKCS1_SHA256 = 0x0401,
	ECDSA_P256_SHA256 = 0x0403,
	RSA_PKCS1_SHA384 = 0x0501,
	ECDSA_P384_SHA384 = 0x0503,
	RSA_PKCS1_SHA512 = 0x0601,
	ECDSA_P521_SHA512 = 0x0603,
	RSA_PSS_RSAE_SHA256 = 0x0804,
	RSA_PSS_RSAE_SHA384 = 0x0805,
	RSA_PSS_RSAE_SHA512 = 0x0806,
	ED25519 = 0x0807,
	ED448 = 0x0808,
	RSA_PSS_PSS_SHA256 = 0x0809,
	RSA_PSS_PSS_SHA512 = 0x080b,
};

/* NamedGroup (RFC 8446 4.2.7); those of TLS_GROUPS (tls/openssl_compat.h) */
enum { GROUP_P256 = 23, GROUP_P384 = 24, GROUP_P521 = 25, GROUP_X25519 = 29, GROUP_X448 = 30 };

struct suite {
	uint16_t id;
	bool tls13; /* with a key of any kind */
	bool rsa;   /* TLS 1.2: with an RSA key; else with one for ECDSA or EdDSA */
	bool group; /* TLS 1.2: needs one */
};

struct tls_suites {
	size_t len;
	struct suite at[];
};

int tls_suites_new(SSL_CTX *ctx, struct tls_suites **out)
{
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
	int n = sk_SSL_CIPHER_num(all);
	struct tls_suites *suites =
		calloc(1, sizeof(*suites) + (size_t)(n > 0 ? n : 0) * sizeof(suites->at[0]));

	if (!suites)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		int auth = SSL_CIPHER_get_auth_nid(cipher);

		if (auth != NID_auth_any && auth != NID_auth_rsa && auth != NID_auth_ecdsa)
			continue;
		suites->at[suites->len++] = (struct suite){
			.id = SSL_CIPHER_get_protocol_id(cipher),
			.tls13 = auth == NID_auth_any,
			.rsa = auth == NID_auth_rsa,
			.group = SSL_CIPHER_get_kx_nid(cipher) == NID_kx_ecdhe,
		};
	}
	*out = suites;
	return 0;
}

void tls_suites_free(struct tls_suites *suites)
{
	free(suites);
}

static bool has_any(const struct client_hello_codes *codes, const uint16_t *wanted, size_t len)
{
	for (size_t i = 0; i < codes->len; i++)
		for (size_t k = 0; k < len; k++)
			if (codes->at[i] == wanted[k])
				return true;
	return false;
}

static bool has(const struct client_hello_codes *codes, uint16_t code)
{
	return has_any(codes, &code, 1);
}

static bool common_group(const struct client_hello_codes *groups)
{
	static const uint16_t ours[] = {GROUP_X25519, GROUP_P256, GROUP_X448, GROUP_P384,
					GROUP_P521};

	return has_any(groups, ours, LEN(ours));
}

/* Those of the keys with which the client can verify a handshake of TLS 1.3. */
static unsigned int usable_in_tls13(const struct client_hello *hello, unsigned int keys)
{
	static const uint16_t rsa[] = {RSA_PSS_RSAE_SHA256, RSA_PSS_RSAE_SHA384,
				       RSA_PSS_RSAE_SHA512};
	unsigned int usable = keys & TLS_KEY_ECDSA;

	if (has_any(&hello->signatures, rsa, LEN(rsa)))
		usable |= keys & TLS_KEY_RSA;
	if (has(&hello->signatures, ECDSA_P256_SHA256))
		usable |= keys & TLS_KEY_P256;
	if (has(&hello->signatures, ECDSA_P384_SHA384))
		usable |= keys & TLS_KEY_P384;
	return common_group(&hello->groups) ? usable : 0;
}

/* The same for TLS 1.2, where a signature's digest is not bound to a curve, but the curve is one of
 * the groups. */
static unsigned int usable_in_tls12(const struct client_hello *hello, unsigned int keys)
{
	static const uint16_t rsa[] = {RSA_PKCS1_SHA256,    RSA_PKCS1_SHA384,
				       RSA_PKCS1_SHA512,    RSA_PSS_RSAE_SHA256,
				       RSA_PSS_RSAE_SHA384, RSA_PSS_RSAE_SHA512};
	static const uint16_t ecdsa[] = {ECDSA_P256_SHA256, ECDSA_P384_SHA384, ECDSA_P521_SHA512};
	const bool any_signature = !hello->signatures.there;
	const bool any_group = !hello->groups.there;
	unsigned int usable = keys & TLS_KEY_ECDSA;

	if (any_signature || has_any(&hello->signatures, rsa, LEN(rsa)))
		usable |= keys & TLS_KEY_RSA;
	if (!any_signature && !has_any(&hello->signatures, ecdsa, LEN(ecdsa)))
		return usable;
	if (any_group || has(&hello->groups, GROUP_P256))
		usable |= keys & TLS_KEY_P256;
	if (any_group || has(&hello->groups, GROUP_P384))
		usable |= keys & TLS_KEY_P384;
	return usable;
}

static bool suite_fits(const struct suite *suite, const struct client_hello *hello, bool tls13,
		       unsigned int usable)
{
	if (suite->tls13 != tls13)
		return false;
	if (tls13)
		return usable != 0;
	if (suite->group && hello->groups.there && !common_group(&hello->groups))
		return false;
	return usable & (suite->rsa ? (unsigned int)TLS_KEY_RSA : ~(unsigned int)TLS_KEY_RSA);
}

static bool fits_in(const struct tls_suites *suites, const struct client_hello *hello, bool tls13,
		    unsigned int usable)
{
	for (size_t i = 0; i < hello->ciphers_len; i++)
		for (size_t k = 0; k < suites->len; k++)
			if (suites->at[k].id == hello->ciphers[i] &&
			    suite_fits(&suites->at[k], hello, tls13, usable))
				return true;
	return false;
}

bool tls_suites_fit(const struct tls_suites *suites, const struct client_hello *hello,
		    unsigned int keys)
{
	if (hello->offers_tls13)
		return fits_in(suites, hello, true, usable_in_tls13(hello, keys));
	return hello->offers_tls12 && fits_in(suites, hello, false, usable_in_tls12(hello, keys));
}

bool client_hello_verifies(const struct client_hello *hello, const X509_ALGOR *algorithm)
{
	static const struct {
		int nid;
		uint16_t first, last; /* any from first to last */
	} schemes[] = {
		{NID_ecdsa_with_SHA256, ECDSA_P256_SHA256, ECDSA_P256_SHA256},
		{NID_ecdsa_with_SHA384, ECDSA_P384_SHA384, ECDSA_P384_SHA384},
		{NID_ecdsa_with_SHA512, ECDSA_P521_SHA512, ECDSA_P521_SHA512},
		{NID_sha256WithRSAEncryption, RSA_PKCS1_SHA256, RSA_PKCS1_SHA256},
		{NID_rsassaPss, RSA_PSS_RSAE_SHA256, RSA_PSS_RSAE_SHA512},
		{NID_rsassaPss, RSA_PSS_PSS_SHA256, RSA_PSS_PSS_SHA512},
		{NID_ED25519, ED25519, ED25519},
		{NID_ED448, ED448, ED448},
	};
	const struct client_hello_codes *said =
		hello->cert_signatures.there ? &hello->cert_signatures : &hello->signatures;
	const ASN1_OBJECT *object = NULL;
	bool known = false;
	int nid;

	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	nid = OBJ_obj2nid(object);
	for (size_t i = 0; i < LEN(schemes); i++) {
		if (schemes[i].nid != nid)
			continue;
		known = true;
		for (size_t k = 0; k < said->len; k++)
			if (said->at[k] >= schemes[i].first && said->at[k] <= schemes[i].last)
				return true;
	}
	return !known || !said->there;
}
