/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_ORIGIN_FAULT_H
#define KSPLIT_ORIGIN_FAULT_H

/*
 * What can be wrong with an origin's certificate (docs/upstream.md). Names are part of the user
 * interface: never rename one, only add.
 *
 * X(identifier, name, text)
 */
#define KSPLIT_ORIGIN_FAULTS(X)                                                                    \
	X(UNTRUSTED, "untrusted", "no chain leads to a CA that is trusted")                        \
	X(SELF_SIGNED, "self_signed", "signed with its own key, and not trusted")                  \
	X(EXPIRED, "expired", "its time is over")                                                  \
	X(NOT_YET_VALID, "not_yet_valid", "its time has not begun")                                \
	X(CHAIN_TIME, "chain_time", "a certificate above it has expired or is not yet valid")      \
	X(NAME, "wrong_name", "it is for other names than the one that the client asked for")      \
	X(PURPOSE, "wrong_purpose", "it is not for TLS servers")                                   \
	X(REVOKED, "revoked", "its CA has revoked it, as the origin's own OCSP response says")     \
	X(WEAK_KEY, "weak_key", "its key is too short for the security level")                     \
	X(WEAK_SIGNATURE, "weak_signature", "signed with a digest or a key that is too weak")      \
	X(PIN, "pin_mismatch", "none of the pinned keys is in its chain")

#define KSPLIT_ORIGIN_FAULT_INDEX(id, name, text) KSPLIT_ORIGIN_FAULT_INDEX_##id,
enum ksplit_origin_fault_index {
	KSPLIT_ORIGIN_FAULTS(KSPLIT_ORIGIN_FAULT_INDEX) KSPLIT_ORIGIN_FAULT_COUNT
};
#undef KSPLIT_ORIGIN_FAULT_INDEX

/* Bits of a set. */
#define KSPLIT_ORIGIN_FAULT_BIT(id, name, text) ORIGIN_##id = 1 << KSPLIT_ORIGIN_FAULT_INDEX_##id,
enum ksplit_origin_fault { KSPLIT_ORIGIN_FAULTS(KSPLIT_ORIGIN_FAULT_BIT) };
#undef KSPLIT_ORIGIN_FAULT_BIT

/* Of the fault with this index, below KSPLIT_ORIGIN_FAULT_COUNT. Static strings. */
static inline const char *ksplit_origin_fault_name(unsigned int index)
{
#define KSPLIT_ORIGIN_FAULT_NAME(id, name, text) name,
	static const char *const names[] = {KSPLIT_ORIGIN_FAULTS(KSPLIT_ORIGIN_FAULT_NAME)};
#undef KSPLIT_ORIGIN_FAULT_NAME
	return index < KSPLIT_ORIGIN_FAULT_COUNT ? names[index] : "unknown";
}

static inline const char *ksplit_origin_fault_text(unsigned int index)
{
#define KSPLIT_ORIGIN_FAULT_TEXT(id, name, text) text,
	static const char *const texts[] = {KSPLIT_ORIGIN_FAULTS(KSPLIT_ORIGIN_FAULT_TEXT)};
#undef KSPLIT_ORIGIN_FAULT_TEXT
	return index < KSPLIT_ORIGIN_FAULT_COUNT ? texts[index] : "unknown";
}

#endif
