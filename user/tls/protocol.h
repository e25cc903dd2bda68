/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_PROTOCOL_H
#define KSPLIT_TLS_PROTOCOL_H

/* Numbers of the TLS protocol that more than one file needs. */

/* Protocol versions on the wire (RFC 5246 6.2.1, RFC 8446 4.2.1). */
#define VERSION_TLS12 0x0303
#define VERSION_TLS13 0x0304

/* Content types (RFC 8446 5.1). */
#define TLS_CT_CHANGE_CIPHER_SPEC 20
#define TLS_CT_ALERT              21
#define TLS_CT_HANDSHAKE          22
#define TLS_CT_DATA               23

/* Longest plaintext of a record (RFC 8446 5.1). */
#define TLS_RECORD_PLAINTEXT 16384

/* Alert levels and descriptions (RFC 8446 6, RFC 5246 7.2, RFC 6066 9). */
#define ALERT_WARNING 1
#define ALERT_FATAL   2

#define ALERT_CLOSE_NOTIFY        0
#define ALERT_UNEXPECTED_MESSAGE  10
#define ALERT_BAD_RECORD_MAC      20
#define ALERT_HANDSHAKE_FAILURE   40
#define ALERT_BAD_CERTIFICATE     42
#define ALERT_CERTIFICATE_UNKNOWN 46
#define ALERT_UNKNOWN_CA          48
#define ALERT_ACCESS_DENIED       49
#define ALERT_PROTOCOL_VERSION    70
#define ALERT_INTERNAL_ERROR      80
#define ALERT_USER_CANCELED       90
#define ALERT_NO_RENEGOTIATION    100
#define ALERT_UNRECOGNIZED_NAME   112
#define ALERT_ECH_REQUIRED        121 /* RFC 9849 11.2 */

#endif
