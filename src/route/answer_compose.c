/* The algorithm of RFC 1034 section 4.3.2 for any name and type, written into a message: what answers are encoded
 * with beforehand, and what answers everything that was not. */
#include "route/answer_private.h"

static sk_err put(struct answer_compose *c, enum dns_section section, const struct dns_name *owner,
                  const struct zone_rrset *rrset, uint32_t ttl_s);

/* Signs what belongs to a name that is in no table: NULL when this is not the time for it, or it failed. */
static bool sign_now(struct answer_compose *c, const struct dns_name *owner, const struct zone_rrset *rrset,
                     uint8_t data[DNSSEC_RRSIG_MAX], struct dns_rdata *out_rdata) {
    size_t bytes;
    c->dynamic = true;
    if (!c->memo || dnssec_sign(zone_signer(c->zone), c->memo, owner, rrset, data, &bytes)) return false;
    *out_rdata = (struct dns_rdata){data, (uint16_t)bytes};
    return true;
}

/* As put, for a set that a wildcard (or a denial) lends to OWNER. */
static sk_err put_signed_now(struct answer_compose *c, enum dns_section section, const struct dns_name *owner,
                             const struct zone_rrset *rrset, uint32_t ttl_s) {
    uint8_t data[DNSSEC_RRSIG_MAX];
    struct dns_rdata signature = {0};
    struct zone_rrset signatures = {.type = DNS_TYPE_RRSIG, .count = 1, .records = &signature}, lent = *rrset;
    lent.signatures = sign_now(c, owner, rrset, data, &signature) ? &signatures : NULL;
    return put(c, section, owner, &lent, ttl_s);
}

static sk_err put(struct answer_compose *c, enum dns_section section, const struct dns_name *owner,
                  const struct zone_rrset *rrset, uint32_t ttl_s) {
    const struct zone_rrset *signatures = c->dnssec_ok ? rrset->signatures : NULL;
    struct dns_writer before = *c->writer;
    sk_err err =
        dns_writer_rrset(c->writer, section, owner, rrset->type, ttl_s, rrset->records, rrset->count);
    if (!err && signatures)
        err = dns_writer_rrset(c->writer, section, owner, DNS_TYPE_RRSIG, ttl_s, signatures->records,
                               signatures->count);
    if (err) { /* a set without its signatures is not sent (RFC 4035 3.1.1) */
        bool truncated = c->writer->truncated;
        *c->writer = before;
        c->writer->truncated = truncated;
    }
    return err;
}

/* A name inside record data: uncompressed, lower case, checked when it was read. */
static bool name_at(const struct dns_rdata *rdata, size_t at, struct dns_name *out_name) {
    size_t begin = at;
    out_name->labels = 0;
    while (at < rdata->bytes && rdata->data[at]) {
        at += 1 + (size_t)rdata->data[at];
        out_name->labels++;
    }
    if (at >= rdata->bytes || at + 1 - begin > DNS_NAME_MAX) return false;
    out_name->length = (uint8_t)(at + 1 - begin);
    memcpy(out_name->wire, rdata->data + begin, out_name->length);
    return true;
}

static uint32_t read_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 2308 section 3: a denial holds for the smaller of the SOA's TTL and its minimum. */
static uint32_t denial_ttl(const struct zone_rrset *soa) {
    const struct dns_rdata *rdata = &soa->records[0];
    return SK_MIN(soa->ttl_s, read_u32(rdata->data + rdata->bytes - 4));
}

static bool signs(const struct answer_compose *c) { return c->dnssec_ok && zone_signer(c->zone) != NULL; }

/* Mostly for the name that was asked, whose end is the SOA's owner: nothing to look for. */
static void put_denial(struct answer_compose *c, const struct dns_name *name, const struct zone_rrset *soa) {
    enum { QUESTION_AT = 12 };
    size_t end = (size_t)(name->length - soa->owner->length);
    if (c->hop > 0 || soa->owner->labels == 0 || signs(c))
        (void)!put(c, DNS_AUTHORITY, soa->owner, soa, denial_ttl(soa));
    else
        (void)!dns_writer_record_at(c->writer, DNS_AUTHORITY, QUESTION_AT + end, DNS_TYPE_SOA,
                                    denial_ttl(soa), &soa->records[0]);
}

/* A set as an answer for NAME, which may be another than its owner. */
static sk_err put_for(struct answer_compose *c, const struct dns_name *name, const struct zone_rrset *rrset) {
    if (signs(c) && !dns_name_eq(name, rrset->owner))
        return put_signed_now(c, DNS_ANSWER, name, rrset, rrset->ttl_s);
    return put(c, DNS_ANSWER, name, rrset, rrset->ttl_s);
}

/* --- additional section ----------------------------------------------------------------------------- */

/* Where the name of a host stands in the data of a type; -1: nowhere. */
static int host_offset(uint16_t type) {
    return type == DNS_TYPE_NS ? 0 : type == DNS_TYPE_MX ? 2 : type == DNS_TYPE_SRV ? 6 : -1;
}

/* The addresses of one host, when this zone has them. NEEDED: glue without which the referral is of no use,
 * so its lack of room means TC (RFC 9471 section 3). */
static void put_addresses(struct answer_compose *c, const struct dns_name *host, bool needed) {
    for (const struct zone_rrset *rrset = zone_node(c->zone, host); rrset; rrset = rrset->next) {
        if (rrset->type != DNS_TYPE_A && rrset->type != DNS_TYPE_AAAA) continue;
        if (put(c, DNS_ADDITIONAL, host, rrset, rrset->ttl_s) && needed) c->writer->truncated = true;
    }
}

/* Addresses of the hosts that RRSET names; CUT: only those below it are needed. */
static void put_additional(struct answer_compose *c, const struct zone_rrset *rrset,
                           const struct dns_name *cut) {
    int offset = host_offset(rrset->type);
    struct dns_name host;
    if (offset < 0) return;
    for (uint16_t i = 0; i < rrset->count; i++)
        if (name_at(&rrset->records[i], (size_t)offset, &host) && dns_name_in(&host, zone_apex(c->zone)))
            put_addresses(c, &host, cut && dns_name_in(&host, cut));
}

/* --- the kinds of outcome --------------------------------------------------------------------------- */

static const struct zone_rrset *find_type(const struct zone_rrset *rrset, uint16_t type) {
    while (rrset && rrset->type != type) rrset = rrset->next;
    return rrset;
}

static void refer(struct answer_compose *c, const struct zone_rrset *ns, bool first) {
    if (first) c->flags = 0; /* the child's data is not ours to vouch for */
    c->kind = RATE_REFERRAL;
    (void)!put(c, DNS_AUTHORITY, ns->owner, ns, ns->ttl_s);
    const struct zone_rrset *node = zone_node(c->zone, ns->owner);
    const struct zone_rrset *proof = find_type(node, DNS_TYPE_DS);
    if (!proof) proof = find_type(node, DNS_TYPE_NSEC); /* RFC 4035 3.1.4: that there is no DS */
    if (proof && c->dnssec_ok) (void)!put(c, DNS_AUTHORITY, proof->owner, proof, proof->ttl_s);
    put_additional(c, ns, ns->owner);
}

/* RFC 8482 4.1: to ANY one of the sets is enough. Marks are nobody's business. */
static const struct zone_rrset *one_of_any(const struct zone_rrset *rrset) {
    while (rrset && (rrset->type == ZONE_TYPE_MARK || rrset->type == DNS_TYPE_NSEC)) rrset = rrset->next;
    return rrset;
}

static void positive(struct answer_compose *c, const struct dns_name *name, const struct zone_rrset *rrset) {
    c->kind = RATE_ANSWER;
    if (put_for(c, name, rrset)) return;
    put_additional(c, rrset, NULL);
}

/* An NSEC made for this question (RFC 9824): NAME has TYPES. */
static void put_nsec_now(struct answer_compose *c, const struct dns_name *name, const uint16_t *types,
                         size_t count, uint32_t ttl_s) {
    uint8_t data[DNSSEC_NSEC_MAX];
    struct dns_rdata record = {data, (uint16_t)dnssec_nsec(name, types, count, data)};
    struct zone_rrset nsec = {.type = DNS_TYPE_NSEC, .ttl_s = ttl_s, .count = 1, .records = &record};
    (void)!put_signed_now(c, DNS_AUTHORITY, name, &nsec, ttl_s);
}

/* The types of a name that is not quite the node it is answered from: a wildcard's, or a routed name's without the one
 * that its sites cannot give. */
static void put_nsec_without(struct answer_compose *c, const struct dns_name *name,
                             const struct zone_rrset *node, uint16_t type, uint32_t ttl_s) {
    uint16_t types[128];
    size_t count = zone_types(node, false, types, SK_COUNT(types)), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (types[i] != type) types[kept++] = types[i];
    put_nsec_now(c, name, types, kept, ttl_s);
}

static const struct zone_rrset *star_below(const struct answer_compose *c, const struct dns_name *closest) {
    struct dns_name star = {.length = (uint8_t)(closest->length + 2),
                            .labels = (uint8_t)(closest->labels + 1)};
    memcpy(star.wire, "\1*", 2);
    memcpy(star.wire + 2, closest->wire, closest->length);
    return zone_node(c->zone, &star);
}

static void prove_denial(struct answer_compose *c, const struct dns_name *name, uint16_t type,
                         const struct zone_result *result) {
    static const uint16_t nothing[] = {DNS_TYPE_RRSIG, DNS_TYPE_NSEC, DNS_TYPE_NXNAME};
    const struct zone_rrset *node = zone_node(c->zone, name), *nsec = find_type(node, DNS_TYPE_NSEC);
    uint32_t ttl_s = denial_ttl(result->soa);
    bool routed_type = answer_routed_type(type) != ROUTED_TYPES && find_type(node, ZONE_TYPE_MARK);
    if (result->found == ZONE_NO_NAME)
        put_nsec_now(c, name, nothing, SK_COUNT(nothing), ttl_s);
    else if (result->wildcard)
        put_nsec_without(c, name, star_below(c, result->closest), type, ttl_s);
    else if (routed_type)
        put_nsec_without(c, name, node, type, ttl_s);
    else if (nsec)
        (void)!put(c, DNS_AUTHORITY, nsec->owner, nsec, nsec->ttl_s);
}

static void negative(struct answer_compose *c, const struct dns_name *name, uint16_t type,
                     const struct zone_result *result) {
    bool exists = result->found != ZONE_NO_NAME;
    c->kind = exists ? RATE_NO_DATA : RATE_NO_NAME;
    /* RFC 9824 section 3.1: a compact proof says that the name has no data, so the code must not say more. */
    c->rcode = exists || (signs(c) && !c->compact_ok) ? DNS_NOERROR : DNS_NXDOMAIN;
    put_denial(c, name, result->soa);
    if (signs(c)) prove_denial(c, name, type, result);
}

/* RFC 6672 section 3.1: the CNAME that the DNAME stands for, and the new name in NAME. */
static bool redirect(struct answer_compose *c, const struct zone_rrset *dname, struct dns_name *name) {
    struct dns_name target;
    if (put(c, DNS_ANSWER, dname->owner, dname, dname->ttl_s)) return false;
    if (!name_at(&dname->records[0], 0, &target)) return false;
    size_t kept = (size_t)(name->length - dname->owner->length);
    if (kept + target.length > DNS_NAME_MAX) {
        c->rcode = DNS_YXDOMAIN;
        return false;
    }
    struct dns_name made = {.length = (uint8_t)(kept + target.length),
                            .labels = (uint8_t)(name->labels - dname->owner->labels + target.labels)};
    memcpy(made.wire, name->wire, kept);
    memcpy(made.wire + kept, target.wire, target.length);
    struct dns_rdata rdata = {made.wire, made.length};
    if (dns_writer_rrset(c->writer, DNS_ANSWER, name, DNS_TYPE_CNAME, dname->ttl_s, &rdata, 1)) return false;
    *name = made;
    return true;
}

static bool follow(struct answer_compose *c, const struct zone_rrset *cname, struct dns_name *name) {
    if (put_for(c, name, cname)) return false;
    return name_at(&cname->records[0], 0, name);
}

uint32_t answer_mark_index(const struct zone_rrset *mark) { return read_u32(mark->records[0].data); }

/* A routed name's own records; false when the zone's serve instead (no table yet, no site with an address). */
static bool routed(struct answer_compose *c, const struct dns_name *name, const struct zone_rrset *mark,
                   uint16_t type) {
    enum answer_routed_type kind = answer_routed_type(type == DNS_TYPE_ANY ? DNS_TYPE_A : type);
    c->dynamic = c->tailored = true;
    if (!c->snapshot || c->snapshot->list_count == 0) return false;
    const struct answer_set *set =
        answer_set_of(c->snapshot, answer_mark_index(mark), c->choose(c->choose_arg), kind);
    if (!set->rrset) return false;
    c->routed = true;
    positive(c, name, set->rrset);
    return true;
}

/* What the zone has for the name, seen through the marks. True when it was answered from the table. */
static bool find(struct answer_compose *c, const struct dns_name *name, uint16_t type,
                 struct zone_result *out) {
    bool may_be_routed = answer_routed_type(type) != ROUTED_TYPES || type == DNS_TYPE_ANY;
    *out = zone_lookup(c->zone, name, ZONE_TYPE_MARK);
    if (out->found == ZONE_ANSWER && may_be_routed && routed(c, name, out->rrset, type)) return true;
    if ((out->found == ZONE_ANSWER || out->found == ZONE_NO_DATA || type == DNS_TYPE_DS ||
         out->found == ZONE_CNAME) &&
        type != ZONE_TYPE_MARK)
        *out = zone_lookup(c->zone, name, type);
    if (out->found == ZONE_ANSWER && (type == DNS_TYPE_ANY || type == ZONE_TYPE_MARK)) {
        out->rrset = type == DNS_TYPE_ANY ? one_of_any(out->rrset) : NULL;
        if (!out->rrset) out->found = ZONE_NO_DATA;
    }
    return false;
}

void answer_compose(struct answer_compose *c, const struct dns_name *first, uint16_t type) {
    struct dns_name name = *first;
    c->flags = DNS_FLAG_AA;
    c->rcode = DNS_NOERROR;
    c->kind = RATE_ANSWER;
    for (c->hop = 0; c->hop <= ANSWER_CHAIN_MAX && dns_name_in(&name, zone_apex(c->zone)); c->hop++) {
        struct zone_result result;
        if (find(c, &name, type, &result)) return;
        switch (result.found) {
        case ZONE_ANSWER: positive(c, &name, result.rrset); return;
        case ZONE_DELEGATION: refer(c, result.rrset, c->hop == 0); return;
        case ZONE_NO_DATA:
        case ZONE_NO_NAME: negative(c, &name, type, &result); return;
        case ZONE_CNAME:
            if (!follow(c, result.rrset, &name)) return;
            break;
        case ZONE_DNAME:
            if (!redirect(c, result.rrset, &name)) return;
            break;
        case ZONE_NOT_HERE: return;
        }
    }
}
