/* Signing a zone as a whole, before anybody has seen it. */
#include "route/dnssec.h"
#include "route/zone_private.h"

enum { TYPES_MAX = 512 };

struct signing {
    struct zone *zone;
    struct dnssec_signer *signer;
    const struct dns_name *cut; /* names below it are somebody else's; NULL: none above */
};

static struct zone_rrset *find_type(struct zone_rrset *rrset, uint16_t type) {
    while (rrset && rrset->type != type) rrset = rrset->next;
    return rrset;
}

static struct zone_rrset *new_rrset(struct zone *zone, struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                                    const uint8_t *data, size_t bytes) {
    struct zone_rrset *rrset = sk_arena_zalloc(&zone->arena, sizeof *rrset);
    struct dns_rdata *record = sk_arena_alloc(&zone->arena, sizeof *record);
    uint8_t *copy = sk_arena_alloc(&zone->arena, bytes);
    if (!rrset || !record || !copy) return NULL;
    memcpy(copy, data, bytes);
    *record = (struct dns_rdata){copy, (uint16_t)bytes};
    *rrset = (struct zone_rrset){.owner = owner, .type = type, .ttl_s = ttl_s, .count = 1, .records = record};
    return rrset;
}

static uint32_t denial_ttl(const struct zone *zone) {
    const struct dns_rdata *soa = &zone->soa->records[0];
    const uint8_t *at = soa->data + soa->bytes - 4;
    uint32_t minimum = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return SK_MIN(zone->soa->ttl_s, minimum);
}

/* Whether the zone itself speaks for TYPE at a name; at a cut that is DS and NSEC alone (RFC 4035 2.2). */
static bool is_signed(uint16_t type, bool cut) {
    if (type == ZONE_TYPE_MARK) return false;
    return !cut || type == DNS_TYPE_DS || type == DNS_TYPE_NSEC;
}

size_t zone_types(const struct zone_rrset *rrsets, bool cut, uint16_t *out_types, size_t capacity) {
    static const uint16_t routed[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_HTTPS};
    size_t count = 0;
    out_types[count++] = DNS_TYPE_RRSIG;
    out_types[count++] = DNS_TYPE_NSEC;
    for (; rrsets && count + SK_COUNT(routed) < capacity; rrsets = rrsets->next) {
        if (rrsets->type == ZONE_TYPE_MARK)
            for (size_t i = 0; i < SK_COUNT(routed); i++) out_types[count++] = routed[i];
        else if (!cut || rrsets->type == DNS_TYPE_DS || rrsets->type == DNS_TYPE_NS)
            out_types[count++] = rrsets->type;
    }
    return count;
}

static sk_err add_nsec(struct signing *s, struct zone_node *node, bool cut) {
    uint16_t types[TYPES_MAX];
    uint8_t data[DNSSEC_NSEC_MAX];
    size_t count = zone_types(node->rrsets, cut, types, SK_COUNT(types));
    size_t bytes = dnssec_nsec(&node->name, types, count, data);
    struct zone_rrset *nsec =
        new_rrset(s->zone, &node->name, DNS_TYPE_NSEC, denial_ttl(s->zone), data, bytes);
    if (!nsec) return SK_ERR_NO_MEMORY;
    struct zone_rrset **end = &node->rrsets;
    while (*end) end = &(*end)->next;
    *end = nsec;
    return SK_OK;
}

static sk_err add_signature(struct signing *s, const struct zone_rrset *rrset, size_t number,
                            struct zone_rrset *signatures) {
    uint8_t data[DNSSEC_RRSIG_MAX], *copy;
    size_t bytes;
    sk_err err = dnssec_sign_by(s->signer, number, NULL, rrset->owner, rrset, data, &bytes);
    if (err) return err;
    if (!(copy = sk_arena_alloc(&s->zone->arena, bytes))) return SK_ERR_NO_MEMORY;
    memcpy(copy, data, bytes);
    signatures->records[signatures->count++] = (struct dns_rdata){copy, (uint16_t)bytes};
    return SK_OK;
}

static sk_err sign_set(struct signing *s, struct zone_rrset *rrset) {
    size_t count = dnssec_signature_count(s->signer, rrset->type);
    struct zone_rrset *signatures = sk_arena_zalloc(&s->zone->arena, sizeof *signatures);
    struct dns_rdata *records = sk_arena_alloc(&s->zone->arena, count * sizeof *records);
    if (!signatures || !records) return SK_ERR_NO_MEMORY;
    *signatures = (struct zone_rrset){
        .owner = rrset->owner, .type = DNS_TYPE_RRSIG, .ttl_s = rrset->ttl_s, .records = records};
    sk_err err = SK_OK;
    for (size_t i = 0; i < count && !err; i++) err = add_signature(s, rrset, i, signatures);
    if (!err) rrset->signatures = signatures;
    return err;
}

static sk_err sign_node(struct signing *s, struct zone_node *node) {
    bool apex = dns_name_eq(&node->name, &s->zone->apex);
    bool cut = !apex && find_type(node->rrsets, DNS_TYPE_NS) != NULL;
    /* Canonical order: what is below a cut comes right behind it. */
    if (s->cut && dns_name_in(&node->name, s->cut)) return SK_OK;
    s->cut = cut ? &node->name : NULL;
    sk_err err = add_nsec(s, node, cut);
    for (struct zone_rrset *rrset = node->rrsets; !err && rrset; rrset = rrset->next)
        if (is_signed(rrset->type, cut)) err = sign_set(s, rrset);
    return err;
}

/* Signatures are made anew each day, which secondaries learn from the serial only. The day's number never falls, and
 * neither does the file's serial, so their sum does not either. */
static sk_err advance_serial(struct zone *zone, uint32_t day) {
    enum { SERIAL_FROM_END = 20 };
    struct dns_rdata *soa = &zone->soa->records[0];
    uint8_t *copy = sk_arena_alloc(&zone->arena, soa->bytes);
    if (!copy) return SK_ERR_NO_MEMORY;
    memcpy(copy, soa->data, soa->bytes);
    uint32_t serial = zone_serial(zone) + day;
    for (int i = 0; i < 4; i++) copy[soa->bytes - SERIAL_FROM_END + i] = (uint8_t)(serial >> (24 - 8 * i));
    soa->data = copy;
    return SK_OK;
}

sk_err zone_sign(struct zone *zone, struct dnssec_signer *signer) {
    struct signing s = {.zone = zone, .signer = signer};
    zone->signer = signer;
    sk_err err = advance_serial(zone, dnssec_signer_day(signer));
    if (err) return err;
    for (size_t i = 0; i < zone->count; i++) {
        err = sign_node(&s, zone->sorted[i]);
        if (err) return err;
    }
    return SK_OK;
}

const struct dnssec_signer *zone_signer(const struct zone *zone) { return zone->signer; }
