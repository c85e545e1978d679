/* Signing (RFC 4033 to 4035, ECDSA P-256 of RFC 6605) and compact denial of existence (RFC 9824). Everything that can
 * be known beforehand is signed when a zone is loaded or a table changes; what depends on a name that does not exist
 * is signed when it is first asked for and kept in a table of fixed size. */
#ifndef SK_ROUTE_DNSSEC_H
#define SK_ROUTE_DNSSEC_H

#include "base/time.h"
#include "route/zone.h"

#define DNSSEC_ALGORITHM 13
#define DNSSEC_SIGNATURE_BYTES 64
#define DNSSEC_DNSKEY_BYTES 68 /* flags, protocol, algorithm, point */
#define DNSSEC_RRSIG_MAX (18 + DNS_NAME_MAX + DNSSEC_SIGNATURE_BYTES)
#define DNSSEC_NSEC_MAX (DNS_NAME_MAX + 34 * 256 + 8)
#define DNSSEC_KEYS_MAX 16

/* --- keys ------------------------------------------------------------------------------------------- */

struct dnssec_key; /* counted by nobody: belongs to its set */

/* When keys change. All in seconds. */
struct dnssec_policy {
    int64_t zsk_lifetime_s; /* a new zone signing key signs after that */
    int64_t publish_s;      /* it is shown so long before it signs */
    int64_t retire_s;       /* and so long after it has signed last */
    int64_t ksk_lifetime_s; /* a new key signing key is made after that; 0: never */
    int64_t ds_ttl_s;       /* the old one stays for so long after the parent has the new one's DS */
    int64_t signature_s;    /* how long a signature holds */
    int64_t backdate_s;     /* for clocks that are late */
    uint32_t dnskey_ttl_s;
};
void dnssec_policy_default(struct dnssec_policy *out_policy);

enum dnssec_role { DNSSEC_KSK, DNSSEC_ZSK };
enum dnssec_use { DNSSEC_GONE, DNSSEC_SHOWN, DNSSEC_SIGNS };
/* What the zone signing key that was made as number INDEX of COUNT (by time, oldest first) does at NOW. Exactly one of
 * them signs at any time. */
enum dnssec_use dnssec_use_of(const sk_unix_s *created, size_t count, size_t index,
                              const struct dnssec_policy *policy, sk_unix_s now);
/* Whether the next zone signing key has to be made now. */
bool dnssec_needs_key(sk_unix_s newest_created, const struct dnssec_policy *policy, sk_unix_s now);

/* A key signing key, of all by time, oldest first. A new one is shown, and signs, beside the old one; when everybody can
 * have seen it CDS and CDNSKEY name it; when the parent has its DS, and no cache the old DS, the old one goes. Without word
 * of the parent both stay, which is safe for ever. */
struct dnssec_ksk {
    sk_unix_s created, ds_seen; /* 0: nobody has said that the parent has its DS */
};
struct dnssec_ksk_use {
    bool shown; /* in DNSKEY, which it signs; else it goes */
    bool told;  /* in CDS and CDNSKEY; always exactly one */
};
struct dnssec_ksk_use dnssec_ksk_use_of(const struct dnssec_ksk *keys, size_t count, size_t index,
                                        const struct dnssec_policy *policy, sk_unix_s now);
/* Whether the next key signing key has to be made now: never while one waits for the parent. */
bool dnssec_needs_ksk(const struct dnssec_ksk *keys, size_t count, const struct dnssec_policy *policy,
                      sk_unix_s now);

struct dnssec_keys;
/* Notes in FOLDER that the parent has the DS of the key signing key with TAG; what follows from it does when keys are
 * loaded next. SK_ERR_NOT_FOUND: no such key; as dnssec_keys_load. */
sk_err dnssec_ds_seen(const char *folder, uint16_t tag, sk_unix_s now);
/* Reads the zone's keys from FOLDER (PEM files named ksk-CREATED.pem and zsk-CREATED.pem), and makes there those that
 * are missing or due. SK_ERR_IO, SK_ERR_DENIED, SK_ERR_CORRUPT (a file that is no P-256 key), SK_ERR_NO_MEMORY. */
sk_err dnssec_keys_load(const char *folder, const struct dnssec_policy *policy, sk_unix_s now,
                        struct dnssec_keys **out_keys);
void dnssec_keys_free(struct dnssec_keys *keys);
/* The DNSKEY, CDS and CDNSKEY records of APEX as extras of zone_load_with; DATA is their memory. Returns how many. */
#define DNSSEC_EXTRAS_MAX (DNSSEC_KEYS_MAX * 3)
size_t dnssec_extras(const struct dnssec_keys *keys, const struct dns_name *apex,
                     uint8_t (*data)[DNSSEC_DNSKEY_BYTES], struct zone_extra *out_extras);

/* --- signing ---------------------------------------------------------------------------------------- */

/* Signatures made before, by what they sign; the oldest in a place gives way. One thread at a time. */
struct dnssec_memo;
sk_err dnssec_memo_create(size_t entries, struct dnssec_memo **out_memo);
void dnssec_memo_free(struct dnssec_memo *memo);

/* One zone's keys with the time span of its signatures; immutable, any thread. */
struct dnssec_signer;
sk_err dnssec_signer_create(struct dnssec_keys *keys, const struct dns_name *apex,
                            const struct dnssec_policy *policy, sk_unix_s now,
                            struct dnssec_signer **out_signer);
void dnssec_signer_free(struct dnssec_signer *signer);
sk_unix_s dnssec_signer_expires(const struct dnssec_signer *signer);
/* The day since 1970 on which it was made. */
uint32_t dnssec_signer_day(const struct dnssec_signer *signer);
/* How many keys sign sets of TYPE. */
size_t dnssec_signature_count(const struct dnssec_signer *signer, uint16_t type);
/* The RRSIG by key NUMBER of these over RRSET as records of OWNER (a wildcard's own, or a name that it covers). Data goes to OUT
 * (DNSSEC_RRSIG_MAX). MEMO may be NULL. DNSKEY, CDS and CDNSKEY are signed by the key signing keys. SK_ERR_TOO_LARGE,
 * SK_ERR_NO_MEMORY. */
sk_err dnssec_sign_by(const struct dnssec_signer *signer, size_t number, struct dnssec_memo *memo,
                      const struct dns_name *owner, const struct zone_rrset *rrset, uint8_t *out,
                      size_t *out_bytes);
/* By the first of them. */
static inline sk_err dnssec_sign(const struct dnssec_signer *signer, struct dnssec_memo *memo,
                                 const struct dns_name *owner, const struct zone_rrset *rrset, uint8_t *out,
                                 size_t *out_bytes) {
    return dnssec_sign_by(signer, 0, memo, owner, rrset, out, out_bytes);
}

/* The NSEC data of RFC 9824 for NAME: the next name is the one right behind, TYPES (COUNT, any order) exist. OUT has
 * room for DNSSEC_NSEC_MAX. */
size_t dnssec_nsec(const struct dns_name *name, const uint16_t *types, size_t count, uint8_t *out);

/* The types for the NSEC of a name with RRSETS: those that are the zone's own (at a CUT only NS and DS), the routed ones
 * where there is a mark, RRSIG and NSEC. At most CAPACITY, which is at least 8. */
size_t zone_types(const struct zone_rrset *rrsets, bool cut, uint16_t *out_types, size_t capacity);
/* Adds NSEC to each name and RRSIGs to each set of ZONE that is its own (not glue, not a delegation's NS). The zone takes
 * SIGNER in every case. Before the zone is seen by anybody. */
sk_err zone_sign(struct zone *zone, struct dnssec_signer *signer);
/* NULL: not signed. */
const struct dnssec_signer *zone_signer(const struct zone *zone);

#endif
