/* When keys come, sign and go: pure functions of the times that are known of them. */
#include "route/dnssec.h"

void dnssec_policy_default(struct dnssec_policy *out_policy) {
    enum { HOUR = 3600, DAY = 24 * HOUR };
    *out_policy = (struct dnssec_policy){.zsk_lifetime_s = 30 * DAY,
                                         .publish_s = 2 * DAY,
                                         .retire_s = 16 * DAY,
                                         .ksk_lifetime_s = 365 * DAY,
                                         .ds_ttl_s = 2 * DAY,
                                         .signature_s = 14 * DAY,
                                         .backdate_s = HOUR,
                                         .dnskey_ttl_s = HOUR};
}

/* --- life of a key (RFC 6781 section 4.1.1.1: pre-publish) ------------------------------------------- */

/* The first key signs at once; each later one when it was shown long enough. */
static sk_unix_s signs_from(const sk_unix_s *created, size_t index, const struct dnssec_policy *policy) {
    return index == 0 ? INT64_MIN : created[index] + policy->publish_s;
}

enum dnssec_use dnssec_use_of(const sk_unix_s *created, size_t count, size_t index,
                              const struct dnssec_policy *policy, sk_unix_s now) {
    bool has_next = index + 1 < count;
    if (now < signs_from(created, index, policy)) return DNSSEC_SHOWN;
    if (!has_next || now < signs_from(created, index + 1, policy)) return DNSSEC_SIGNS;
    return now < signs_from(created, index + 1, policy) + policy->retire_s ? DNSSEC_SHOWN : DNSSEC_GONE;
}

bool dnssec_needs_key(sk_unix_s newest_created, const struct dnssec_policy *policy, sk_unix_s now) {
    return now >= newest_created + policy->zsk_lifetime_s - policy->publish_s;
}

/* --- key signing keys (RFC 7583 section 3.3.1, Double-KSK; RFC 7344) ----------------------------------- */

/* The newest whose DS the parent has, for all that is known; before anything is known the first one. */
static size_t trusted(const struct dnssec_ksk *keys, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (keys[i].ds_seen) found = i;
    return found;
}

struct dnssec_ksk_use dnssec_ksk_use_of(const struct dnssec_ksk *keys, size_t count, size_t index,
                                        const struct dnssec_policy *policy, sk_unix_s now) {
    size_t anchor = trusted(keys, count), told = anchor;
    for (size_t i = anchor + 1; i < count; i++)
        if (now >= keys[i].created + policy->publish_s) told = i;
    bool shown = index >= anchor || now < keys[anchor].ds_seen + policy->ds_ttl_s;
    return (struct dnssec_ksk_use){.shown = shown, .told = index == told};
}

bool dnssec_needs_ksk(const struct dnssec_ksk *keys, size_t count, const struct dnssec_policy *policy,
                      sk_unix_s now) {
    if (count == 0) return true;
    bool under_way = trusted(keys, count) + 1 < count;
    return policy->ksk_lifetime_s > 0 && !under_way &&
           now >= keys[count - 1].created + policy->ksk_lifetime_s;
}
