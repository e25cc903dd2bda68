/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_ORIGIN_FAULTS_H
#define KSPLIT_TLS_ORIGIN_FAULTS_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include <ksplit/origin_fault.h>

/* Sets of faults (enum ksplit_origin_fault), as OpenSSL finds them and as clients are told. */

/*
 * The fault that an error of X509_verify_cert(3) is. `depth` is where in the chain, 0: the origin's
 * own `cert`, which may be NULL. Whatever else there is counts as untrusted.
 */
uint32_t origin_fault_of_error(int error, int depth, X509 *cert);

/* The alert that tells a client best (RFC 8446 6.2). `faults` is not 0. */
uint8_t origin_faults_alert(uint32_t faults);

#define ORIGIN_FAULTS_PRINTED 192 /* bytes that hold all of them */

/* "expired, wrong_name"; "none". At most `len` bytes with the NUL. Returns buf. */
const char *origin_faults_print(uint32_t faults, char *buf, size_t len);

#endif
