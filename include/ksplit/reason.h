/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_REASON_H
#define KSPLIT_REASON_H

/*
 * Every pass-through, every fallback and every end of a connection has one of these reasons: it is
 * counted in the statistics, printed in the access log, in the daemon's log and by ksplit-status.
 * The names are part of the user interface: never rename one, only add.
 *
 * X(identifier, class, name, text)
 *   class  END: why a connection ended; PASS: why its bytes were passed raw;
 *          FALLBACK: why one direction of one socket is not in the kernel.
 *   name   what status, log and metrics print; text says it to a person.
 */
#define KSPLIT_REASONS(X)                                                                          \
	X(NONE, END, "none", "nothing to tell (still open)")                                       \
	X(CLOSED, END, "closed", "both sides closed in order")                                     \
	X(TRUNCATED_BY_CLIENT, END, "truncated_by_client", "client: FIN without close_notify")     \
	X(TRUNCATED_BY_ORIGIN, END, "truncated_by_origin", "origin: FIN without close_notify")     \
	X(RESET_BY_CLIENT, END, "reset_by_client", "client reset the connection")                  \
	X(RESET_BY_ORIGIN, END, "reset_by_origin", "origin reset the connection")                  \
	X(ALERT_FROM_CLIENT, END, "alert_from_client", "client sent a fatal alert; forwarded")     \
	X(ALERT_FROM_ORIGIN, END, "alert_from_origin", "origin sent a fatal alert; forwarded")     \
	X(CLIENT_GONE, END, "client_gone", "client left before its handshake was complete")        \
	X(PEEK_TIMEOUT, END, "peek_timeout", "no complete ClientHello within the deadline")        \
	X(RESOLVE_FAILED, END, "resolve_failed", "the name in the SNI has no address")             \
	X(RESOLVE_TIMEOUT, END, "resolve_timeout", "DNS did not answer within the deadline")       \
	X(SNI_MISSING, END, "sni_missing", "destination is the SNI and the client sent none")      \
	X(DESTINATION_UNKNOWN, END, "destination_unknown", "no original destination recorded")     \
	X(DESTINATION_SELF, END, "destination_self", "the call was for ksplitd itself, or its own")\
	X(CONNECT_FAILED, END, "connect_failed", "origin refused or unreachable")                  \
	X(CONNECT_TIMEOUT, END, "connect_timeout", "origin did not accept within the deadline")    \
	X(UPSTREAM_TIMEOUT, END, "upstream_handshake_timeout", "origin's handshake took too long") \
	X(UPSTREAM_FAILED, END, "upstream_handshake_failed", "TLS handshake with origin failed")   \
	X(UPSTREAM_UNVERIFIED, END, "upstream_unverified", "origin's certificate did not verify")  \
	X(VERSION_REFUSED, END, "version_refused", "a TLS version that the policy does not allow") \
	X(FORGE_FAILED, END, "forge_failed", "no leaf could be made from the origin's")            \
	X(CLIENT_TIMEOUT, END, "client_handshake_timeout", "client's handshake took too long")     \
	X(CLIENT_FAILED, END, "client_handshake_failed", "TLS handshake with client failed")       \
	X(LEAF_REJECTED, END, "leaf_rejected", "client refused the forged leaf")                   \
	X(BAD_ORIGIN_REFUSED, END, "bad_origin_refused",                                           \
	  "client refused a leaf that shows what is wrong with the origin's certificate")          \
	X(GUESS_WRONG, END, "guess_wrong",                                                         \
	  "the origin was not as known: ended before anything was sent to it")                     \
	X(KTLS_REQUIRED, END, "ktls_required", "kernel TLS is required and was not possible")      \
	X(IDLE_TIMEOUT, END, "idle_timeout", "no byte in either direction within the deadline")    \
	X(CLOSE_TIMEOUT, END, "close_timeout", "the peer did not take our close in time")          \
	X(BAD_RECORD_CLIENT, END, "bad_record_from_client", "client: broken TLS record")           \
	X(BAD_RECORD_ORIGIN, END, "bad_record_from_origin", "origin: broken TLS record")           \
	X(UNEXPECTED_RECORD_CLIENT, END, "unexpected_record_from_client",                          \
	  "client: handshake or unknown record that cannot be relayed")                            \
	X(UNEXPECTED_RECORD_ORIGIN, END, "unexpected_record_from_origin",                          \
	  "origin: handshake or unknown record that cannot be relayed")                            \
	X(KEY_UPDATE, END, "key_update_unsupported", "KeyUpdate on a kernel that cannot rekey")    \
	X(CERTIFICATE_ASKED, END, "certificate_asked",                                             \
	  "origin asked for a client certificate in mid connection, which the client alone has")   \
	X(RECORD_LIMIT, END, "record_limit", "AES-GCM record limit of a key reached")              \
	X(UPGRADE_FAILED, END, "upgrade_failed", "origin's TLS after STARTTLS could not be opened")\
	X(SHUTDOWN, END, "shutdown", "ksplitd was told to end")                                    \
	X(CANNOT_PASS, END, "cannot_pass", "to be passed, but the service speaks plain TCP")       \
	X(SOURCE_REFUSED, END, "source_refused", "the client's address could not be our source")   \
	X(NO_MEMORY, END, "no_memory", "out of memory or descriptors")                             \
	X(INTERNAL, END, "internal_error", "unexpected error inside ksplitd")                      \
	X(PASS_NOT_TLS, PASS, "not_tls", "first bytes are not a TLS ClientHello")                  \
	X(PASS_SERVER_FIRST, PASS, "server_first", "client is silent, the origin speaks first")    \
	X(PASS_HELLO_MALFORMED, PASS, "hello_malformed", "ClientHello cannot be parsed")           \
	X(PASS_HELLO_TOO_LARGE, PASS, "hello_too_large", "ClientHello larger than we read")        \
	X(PASS_NO_VERSION, PASS, "no_common_version", "client speaks no TLS version that we do")     \
	X(PASS_NO_CIPHER, PASS, "no_common_cipher", "client offers no cipher suite that we have")  \
	X(PASS_CLIENT_CERT, PASS, "client_certificate", "origin asks for a client certificate")    \
	X(PASS_UPSTREAM_REFUSED, PASS, "upstream_refused", "origin refused our versions/ciphers")  \
	X(PASS_SIGNER_BUSY, PASS, "signer_busy", "more new leaves than ca.sign_rate allows")       \
	X(PASS_SIGNER_REFUSED, PASS, "signer_refused", "the signing process refused the leaf")     \
	X(PASS_NO_SIGNATURE, PASS, "no_common_signature", "client cannot verify the CA's signatures") \
	X(PASS_UNFORGEABLE, PASS, "unforgeable", "no leaf can say what the origin's does")         \
	X(PASS_SIGNER_GONE, PASS, "signer_gone", "the signing process has ended or is silent")     \
	X(PASS_OUTSIDE_CA, PASS, "outside_ca_constraints", "the CA may not sign for all its names")\
	X(PASS_NO_IDENTITY, PASS, "no_identity", "no identity for the name, and no default")       \
	X(PASS_RULE, PASS, "pass_rule", "a rule of the configuration (section \"pass\")")          \
	X(PASS_LEARNED, PASS, "learned", "this client refused the forged leaf before")             \
	X(PASS_ECH, PASS, "ech", "this client insists on ECH, which we cannot open")               \
	X(PASS_PIPELINED, PASS, "starttls_pipelined", "plain bytes behind the command for TLS")    \
	X(PASS_UPGRADE, PASS, "starttls_learned", "an upgrade to TLS failed there before")         \
	X(PASS_RENEGOTIATION, PASS, "renegotiation", "this origin wanted to renegotiate before")   \
	X(PASS_LATE_CERT, PASS, "post_handshake_auth",                                             \
	  "this origin asked for a client certificate in mid connection before")                   \
	X(PASS_OVERLOAD, PASS, "overload", "too busy: descriptors, memory or handshakes")          \
	X(KTLS_OFF, FALLBACK, "ktls_off", "kernel TLS switched off in the configuration")          \
	X(KTLS_NOT_IN_KERNEL, FALLBACK, "ktls_not_in_kernel", "kernel has no TLS ULP")             \
	X(KTLS_ULP_REFUSED, FALLBACK, "ktls_ulp_refused", "kernel refused the TLS ULP")            \
	X(KTLS_CIPHER, FALLBACK, "ktls_cipher", "kernel TLS does not have the cipher suite")       \
	X(KTLS_TX_REFUSED, FALLBACK, "ktls_tx_refused", "kernel refused the transmit keys")        \
	X(KTLS_RECORD_SIZE, FALLBACK, "ktls_record_size",                                          \
	  "the peer takes small records only, and this kernel makes large ones")                   \
	X(KTLS_RX_REFUSED, FALLBACK, "ktls_rx_refused", "kernel refused the receive keys")         \
	X(KTLS_BYTES_PENDING, FALLBACK, "ktls_bytes_pending", "user space already holds records")  \
	X(KTLS_IDENTITY, FALLBACK, "ktls_identity",                                                \
	  "origin may still ask for the identity that its rule has, and OpenSSL answers")          \
	X(KTLS_RELAY_USER, FALLBACK, "relay_user", "relay `user` is forced in the configuration")

#define KSPLIT_REASON_ENUM(id, class, name, text) KSPLIT_##id,
enum ksplit_reason { KSPLIT_REASONS(KSPLIT_REASON_ENUM) KSPLIT_REASON_COUNT };
#undef KSPLIT_REASON_ENUM

enum ksplit_reason_class { KSPLIT_CLASS_END, KSPLIT_CLASS_PASS, KSPLIT_CLASS_FALLBACK };

/*
 * The printed name, the sentence and the class of a reason. Static strings, never NULL: a number
 * outside the enum (an older tool beside a newer daemon) gives "unknown".
 */
static inline const char *ksplit_reason_name(enum ksplit_reason reason)
{
#define KSPLIT_REASON_NAME(id, class, name, text) [KSPLIT_##id] = name,
	static const char *const names[] = {KSPLIT_REASONS(KSPLIT_REASON_NAME)};
#undef KSPLIT_REASON_NAME
	return (unsigned int)reason < KSPLIT_REASON_COUNT ? names[reason] : "unknown";
}

static inline const char *ksplit_reason_text(enum ksplit_reason reason)
{
#define KSPLIT_REASON_TEXT(id, class, name, text) [KSPLIT_##id] = text,
	static const char *const texts[] = {KSPLIT_REASONS(KSPLIT_REASON_TEXT)};
#undef KSPLIT_REASON_TEXT
	return (unsigned int)reason < KSPLIT_REASON_COUNT ? texts[reason] : "unknown";
}

static inline enum ksplit_reason_class ksplit_reason_class(enum ksplit_reason reason)
{
#define KSPLIT_REASON_CLASS(id, class, name, text) [KSPLIT_##id] = KSPLIT_CLASS_##class,
	static const enum ksplit_reason_class classes[] = {KSPLIT_REASONS(KSPLIT_REASON_CLASS)};
#undef KSPLIT_REASON_CLASS
	return (unsigned int)reason < KSPLIT_REASON_COUNT ? classes[reason] : KSPLIT_CLASS_END;
}

#endif
