// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "cert_maker.h"
#include "pki/ca.h"

#define NOBODY 65534

static const struct cert_ext ca_exts[] = {
	{NID_basic_constraints, "critical,CA:TRUE"},
	{NID_key_usage, "critical,keyCertSign,cRLSign"},
	{NID_subject_key_identifier, "hash"},
	{0, NULL},
};

/* A folder, the paths of cert and key in it, a key made once. */
struct fixture {
	char folder[64];
	char cert[96], key[96];
	EVP_PKEY *pkey, *other;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->folder, "/tmp/ksplit-test-ca.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->cert, sizeof(f->cert), "%s/ca.pem", f->folder);
	snprintf(f->key, sizeof(f->key), "%s/ca-key.pem", f->folder);
	f->pkey = make_test_key("P-256");
	f->other = make_test_key("P-256");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->cert);
	unlink(f->key);
	assert_int_equal(rmdir(f->folder), 0);
	EVP_PKEY_free(f->pkey);
	EVP_PKEY_free(f->other);
	free(f);
	return 0;
}

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	return file;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = open_file(path, "w");

	fputs(text, file);
	fclose(file);
}

static void append_cert(const char *path, X509 *cert)
{
	FILE *file = open_file(path, "a");

	assert_int_equal(PEM_write_X509(file, cert), 1);
	fclose(file);
}

static void append_key(const char *path, EVP_PKEY *key)
{
	FILE *file = open_file(path, "a");

	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static void write_cert(const struct fixture *f, const struct cert_spec *spec)
{
	X509 *cert = make_test_cert(spec);

	unlink(f->cert);
	append_cert(f->cert, cert);
	X509_free(cert);
}

static void write_good(const struct fixture *f)
{
	write_cert(f, &(struct cert_spec){.cn = "CA", .key = f->pkey, .exts = ca_exts});
	unlink(f->key);
	append_key(f->key, f->pkey);
}

/* The form of OpenSSL before 1.0, behind what the file has already. */
static void append_traditional_key(const char *path, EVP_PKEY *key, const char *password)
{
	BIO *bio = BIO_new_file(path, "a");

	assert_non_null(bio);
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(
				 bio, key, password ? EVP_aes_128_cbc() : NULL,
				 (const unsigned char *)password,
				 password ? (int)strlen(password) : 0, NULL, NULL),
			 1);
	BIO_free(bio);
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Certificates, then the key that goes with them. Both, or nothing. */
static int load_both(const char *cert_file, const char *key_file, struct ca **ca, EVP_PKEY **key,
		     char *error, size_t error_len)
{
	int err = ca_load(cert_file, ca, error, error_len);

	if (err)
		return err;
	err = ca_load_key(key_file, cert_file, (*ca)->cert, key, error, error_len);
	if (err) {
		assert_null(*key);
		ca_free(*ca);
		*ca = NULL;
	}
	return err;
}

/* Loading fails with this error, and the line says all of these words; nothing stays behind. */
static void check_refused(const struct fixture *f, int err, const char *path, const char *what)
{
	struct ca *ca = NULL;
	EVP_PKEY *key = NULL;
	char error[512] = "";
	int before = open_files();

	assert_int_equal(load_both(f->cert, f->key, &ca, &key, error, sizeof(error)), err);
	assert_null(ca);
	if (!strstr(error, path) || !strstr(error, what))
		fail_msg("\"%s\" does not name \"%s\" and \"%s\"", error, path, what);
	assert_null(strchr(error, '\n'));
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(open_files(), before);
}

static struct ca *check_loads(const struct fixture *f, const char *key_file)
{
	struct ca *ca = NULL;
	EVP_PKEY *key = NULL;
	char error[512] = "";

	if (load_both(f->cert, key_file, &ca, &key, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(X509_check_private_key(ca->cert, key), 1);
	EVP_PKEY_free(key);
	assert_int_equal(ERR_peek_error(), 0);
	return ca;
}

static void loads_every_kind_of_key(void **state)
{
	static const char *const kinds[] = {"RSA-2048", "P-256",   "P-384",
					    "P-521",    "ED25519", "ED448"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EVP_PKEY *key = kinds[i][0] == 'E' ? EVP_PKEY_Q_keygen(NULL, NULL, kinds[i])
						   : make_test_key(kinds[i]);
		struct ca *ca;

		write_cert(f, &(struct cert_spec){.cn = "CA", .key = key, .exts = ca_exts});
		unlink(f->key);
		append_key(f->key, key);
		ca = check_loads(f, f->key);
		assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(ca->cert), key), 1);
		assert_int_equal(sk_X509_num(ca->chain), 0);
		ca_free(ca);
		EVP_PKEY_free(key);
	}
}

static void key_may_be_in_the_same_file(void **state)
{
	struct fixture *f = *state;

	write_good(f);
	append_key(f->cert, f->pkey);
	ca_free(check_loads(f, f->cert));
}

static void key_may_be_in_the_traditional_form(void **state)
{
	struct fixture *f = *state;

	write_good(f);
	write_text(f->key, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
			   "-----END EC PARAMETERS-----\n");
	append_traditional_key(f->key, f->pkey, NULL);
	ca_free(check_loads(f, f->key));
}

static void constraints_that_allow_a_leaf(void **state)
{
	static const struct cert_ext exts[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_ext_key_usage, "serverAuth"},
		{0, NULL},
	};
	struct fixture *f = *state;

	write_good(f);
	write_cert(f, &(struct cert_spec){.cn = "CA", .key = f->pkey, .exts = exts});
	ca_free(check_loads(f, f->key));
}

static void refuses_files_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;

	write_good(f);
	unlink(f->key);
	check_refused(f, -ENOENT, f->key, "No such file");
	write_good(f);
	unlink(f->cert);
	check_refused(f, -ENOENT, f->cert, "No such file");
	assert_int_equal(mkdir(f->cert, 0700), 0);
	check_refused(f, -EINVAL, f->cert, "Is a directory");
	assert_int_equal(rmdir(f->cert), 0);
}

static void refuses_a_file_without_permission(void **state)
{
	struct fixture *f = *state;
	uid_t uid = geteuid();

	write_good(f);
	chmod(f->folder, 0755);
	chmod(f->key, 0);
	if (uid == 0) /* whom no mode stops */
		assert_int_equal(seteuid(NOBODY), 0);
	check_refused(f, -EACCES, f->key, "Permission denied");
	if (uid == 0)
		assert_int_equal(seteuid(uid), 0);
}

static void refuses_what_is_not_pem(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	write_good(f);
	write_text(f->cert, "");
	check_refused(f, -EINVAL, f->cert, "no certificate in it");
	write_text(f->cert, "once upon a time\n");
	check_refused(f, -EINVAL, f->cert, "no certificate in it");
	write_text(f->cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	check_refused(f, -EINVAL, f->cert, "certificate 1 in it is damaged");
	write_good(f);
	file = open_file(f->cert, "a");
	fputs("-----BEGIN CERTIFICATE-----\nAAAA\n", file);
	fclose(file);
	check_refused(f, -EINVAL, f->cert, "certificate 2 in it is damaged");
	assert_int_equal(truncate(f->cert, 2 * 1024 * 1024), 0);
	check_refused(f, -EINVAL, f->cert, "larger than");
}

static void refuses_a_ca_outside_its_validity(void **state)
{
	struct fixture *f = *state;
	struct cert_spec spec = {.cn = "CA", .key = f->pkey, .exts = ca_exts};

	write_good(f);
	spec.from = -2 * DAY;
	spec.until = -DAY;
	write_cert(f, &spec);
	check_refused(f, -EINVAL, f->cert, "expired at 20");
	spec.from = DAY;
	spec.until = 2 * DAY;
	write_cert(f, &spec);
	check_refused(f, -EINVAL, f->cert, "not valid before 20");
}

static void refuses_what_may_not_sign(void **state)
{
	static const struct {
		const char *what;
		struct cert_ext exts[3];
	} rows[] = {
		{"is not a CA", {{0, NULL}}},
		{"is not a CA", {{NID_basic_constraints, "CA:FALSE"}, {0, NULL}}},
		{"lacks keyCertSign",
		 {{NID_basic_constraints, "CA:TRUE"}, {NID_key_usage, "cRLSign"}, {0, NULL}}},
		{"lacks serverAuth",
		 {{NID_basic_constraints, "CA:TRUE"},
		  {NID_ext_key_usage, "clientAuth"},
		  {0, NULL}}},
		{"malformed",
		 {{NID_basic_constraints, "CA:TRUE"},
		  {NID_basic_constraints, "CA:TRUE"},
		  {0, NULL}}},
	};
	struct fixture *f = *state;

	write_good(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_cert(f,
			   &(struct cert_spec){.cn = "CA", .key = f->pkey, .exts = rows[i].exts});
		check_refused(f, -EINVAL, f->cert, rows[i].what);
	}
	write_cert(f, &(struct cert_spec){.cn = "CA", .key = f->pkey, .v1 = true});
	check_refused(f, -EINVAL, f->cert, "is not a CA");
}

static void refuses_a_key_that_does_not_fit(void **state)
{
	struct fixture *f = *state;

	write_good(f);
	unlink(f->key);
	append_key(f->key, f->other);
	check_refused(f, -EINVAL, f->key, "does not belong to");
	check_refused(f, -EINVAL, f->cert, "does not belong to");
}

static void refuses_a_file_without_a_key(void **state)
{
	struct fixture *f = *state;
	X509 *cert;

	write_good(f);
	write_text(f->key, "");
	check_refused(f, -EINVAL, f->key, "no private key in it");
	cert = make_test_cert(&(struct cert_spec){.cn = "x", .key = f->pkey});
	append_cert(f->key, cert);
	X509_free(cert);
	check_refused(f, -EINVAL, f->key, "no private key in it");
	write_text(f->key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	check_refused(f, -EINVAL, f->key, "damaged");
}

static void refuses_an_encrypted_key(void **state)
{
	static const char password[] = "secret";
	struct fixture *f = *state;
	FILE *file;

	write_good(f);
	file = open_file(f->key, "w");
	PEM_write_PKCS8PrivateKey(file, f->pkey, EVP_aes_128_cbc(), password, 6, NULL, NULL);
	fclose(file);
	check_refused(f, -EINVAL, f->key, "password-protected");
	unlink(f->key);
	append_traditional_key(f->key, f->pkey, password);
	check_refused(f, -EINVAL, f->key, "password-protected");
}

/* root -> middle -> ca, written in this order: the CA first. */
struct tree {
	X509 *root, *middle, *ca;
};

static struct tree make_tree(const struct fixture *f, const char *root_constraints)
{
	struct cert_ext root_exts[] = {
		{NID_basic_constraints, root_constraints},
		{NID_subject_key_identifier, "hash"},
		{0, NULL},
	};
	struct tree t;

	t.root = make_test_cert(
		&(struct cert_spec){.cn = "root", .key = f->other, .exts = root_exts});
	t.middle = make_test_cert(&(struct cert_spec){.cn = "middle",
						      .key = f->other,
						      .issuer = t.root,
						      .issuer_key = f->other,
						      .exts = ca_exts});
	t.ca = make_test_cert(&(struct cert_spec){.cn = "ca",
						  .key = f->pkey,
						  .issuer = t.middle,
						  .issuer_key = f->other,
						  .exts = ca_exts});
	return t;
}

static void write_chain(const struct fixture *f, X509 *a, X509 *b, X509 *c)
{
	X509 *certs[] = {a, b, c};

	unlink(f->cert);
	for (int i = 0; i < 3 && certs[i]; i++)
		append_cert(f->cert, certs[i]);
}

static void free_tree(struct tree *t)
{
	X509_free(t->root);
	X509_free(t->middle);
	X509_free(t->ca);
}

static void chain_is_kept_without_its_root(void **state)
{
	struct fixture *f = *state;
	struct tree t = make_tree(f, "CA:TRUE,pathlen:2");
	struct ca *ca;

	write_good(f);
	write_chain(f, t.ca, t.middle, t.root);
	ca = check_loads(f, f->key);
	assert_int_equal(X509_cmp(ca->cert, t.ca), 0);
	assert_int_equal(sk_X509_num(ca->chain), 1);
	assert_int_equal(X509_cmp(sk_X509_value(ca->chain, 0), t.middle), 0);
	ca_free(ca);
	free_tree(&t);
}

/* The root is not sent to clients, but they hold us to what it says. */
static void name_constraints_of_the_root_are_kept(void **state)
{
	struct fixture *f = *state;
	struct tree t = make_tree(f, "CA:TRUE");
	struct ca *ca;

	write_good(f);
	ca = check_loads(f, f->key);
	assert_null(ca->constraints);
	ca_free(ca);
	add_test_ext(t.root, t.root, NID_name_constraints, "permitted;DNS:example.com");
	sign_test_cert(t.root, f->other);
	write_chain(f, t.ca, t.middle, t.root);
	ca = check_loads(f, f->key);
	assert_non_null(ca->constraints);
	ca_free(ca);
	free_tree(&t);
}

static void refuses_a_broken_chain(void **state)
{
	struct fixture *f = *state;
	struct tree t = make_tree(f, "CA:TRUE,pathlen:1");

	write_good(f);
	write_chain(f, t.ca, t.middle, t.root);
	check_refused(f, -EINVAL, f->cert, "certificate 3 allows 1 CAs below it (pathlen)");
	write_chain(f, t.ca, t.root, NULL);
	check_refused(f, -EINVAL, f->cert, "certificate 2 did not issue");
	write_chain(f, t.ca, t.ca, NULL);
	check_refused(f, -EINVAL, f->cert, "certificate 2 did not issue");
	free_tree(&t);
}

static void a_null_ca_can_be_freed(void **state)
{
	(void)state;
	ca_free(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(loads_every_kind_of_key),
		T(key_may_be_in_the_same_file),
		T(key_may_be_in_the_traditional_form),
		T(constraints_that_allow_a_leaf),
		T(refuses_files_that_cannot_be_read),
		T(refuses_a_file_without_permission),
		T(refuses_what_is_not_pem),
		T(refuses_a_ca_outside_its_validity),
		T(refuses_what_may_not_sign),
		T(refuses_a_key_that_does_not_fit),
		T(refuses_a_file_without_a_key),
		T(refuses_an_encrypted_key),
		T(chain_is_kept_without_its_root),
		T(name_constraints_of_the_root_are_kept),
		T(refuses_a_broken_chain),
		cmocka_unit_test(a_null_ca_can_be_freed),
	};
#undef T

	return cmocka_run_group_tests_name("ca", tests, NULL, NULL);
}
