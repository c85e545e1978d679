#include "route/overlay.h"

#include <stdlib.h>

#include "route/answer_private.h"

enum { SCRATCH_BYTES = 16384, RECORDS_MAX = 32 /* of one name */ };

struct overlay {
    _Atomic uint32_t references;
    struct sk_arena arena;
    size_t count;
    const struct answer_node *nodes[CHALLENGES_MAX];
};

const struct answer_node *overlay_find(const struct overlay *overlay, const struct dns_name *name) {
    if (!overlay) return NULL;
    for (size_t i = 0; i < overlay->count; i++)
        if (overlay->nodes[i]->name_bytes == name->length &&
            memcmp(overlay->nodes[i]->name, name->wire, name->length) == 0)
            return overlay->nodes[i];
    return NULL;
}

/* --- what may be laid over ----------------------------------------------------------------------------- */

/* That NAME has records changes nothing for other names: what is above it is there, and no wildcard's. */
static bool stands_alone(const struct zone *zone, const struct dns_name *name) {
    struct dns_name parent;
    struct zone_result result = zone_lookup(zone, name, DNS_TYPE_TXT);
    bool free = result.found == ZONE_NO_NAME || (result.wildcard && !zone_node(zone, name));
    dns_name_parent(name, 1, &parent);
    return free && zone_lookup(zone, &parent, DNS_TYPE_TXT).found != ZONE_NO_NAME;
}

/* --- encoding ------------------------------------------------------------------------------------------ */

/* A message about NAME while its sections are written. */
struct encoding {
    const struct zone *zone;
    const struct dns_name *name;
    bool dnssec_ok;
    uint8_t scratch[SCRATCH_BYTES];
    struct dns_writer writer;
    size_t begin;
};

static void begin(struct encoding *e, const struct zone *zone, const struct dns_name *name, bool dnssec_ok) {
    uint8_t question[12 + DNS_NAME_MAX + 4] = {0};
    struct dns_query query = {.question_bytes = (uint16_t)(name->length + 4)};
    memcpy(question + 12, name->wire, name->length);
    e->zone = zone;
    e->name = name;
    e->dnssec_ok = dnssec_ok && zone_signer(zone);
    dns_writer_begin(&e->writer, e->scratch, sizeof e->scratch, 0, question, &query, 0, DNS_NOERROR);
    e->begin = e->writer.used;
}

/* RRSET as records of OWNER, signed here where that is asked for. */
static sk_err put(struct encoding *e, enum dns_section section, const struct dns_name *owner,
                  const struct zone_rrset *rrset) {
    uint8_t data[DNSSEC_RRSIG_MAX];
    size_t bytes;
    sk_err err =
        dns_writer_rrset(&e->writer, section, owner, rrset->type, rrset->ttl_s, rrset->records, rrset->count);
    if (err || !e->dnssec_ok) return err;
    err = dnssec_sign(zone_signer(e->zone), NULL, owner, rrset, data, &bytes);
    struct dns_rdata signature = {data, (uint16_t)bytes};
    return err ? err
               : dns_writer_rrset(&e->writer, section, owner, DNS_TYPE_RRSIG, rrset->ttl_s, &signature, 1);
}

static sk_err keep(struct overlay *overlay, struct encoding *e, uint16_t type, enum rate_kind kind,
                   const struct answer_body **out_body) {
    size_t bytes = e->writer.used - e->begin;
    struct answer_body *body = sk_arena_alloc(&overlay->arena, sizeof *body + bytes);
    if (!body) return SK_ERR_NO_MEMORY;
    *body = (struct answer_body){
        .type = type, .bytes = (uint16_t)bytes, .rate_kind = (uint8_t)kind, .flags = DNS_FLAG_AA};
    memcpy(body->counts, e->writer.counts, sizeof body->counts);
    memcpy(body->data, e->scratch + e->begin, bytes);
    *out_body = body;
    return SK_OK;
}

static sk_err encode_txt(struct overlay *overlay, struct encoding *e, struct answer_node *node,
                         const struct dns_name *name, const struct zone_rrset *txt, int dnssec_ok) {
    begin(e, node->zone, name, dnssec_ok);
    sk_err err = put(e, DNS_ANSWER, name, txt);
    return err ? err : keep(overlay, e, DNS_TYPE_TXT, RATE_ANSWER, &node->bodies[0][dnssec_ok]);
}

static uint32_t minimum_of(const struct dns_rdata *soa) {
    const uint8_t *at = soa->data + soa->bytes - 4;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* All other types: there is TXT only (RFC 2308, RFC 9824). */
static sk_err encode_other(struct overlay *overlay, struct encoding *e, struct answer_node *node,
                           const struct dns_name *name, int dnssec_ok) {
    static const uint16_t types[] = {DNS_TYPE_TXT, DNS_TYPE_RRSIG, DNS_TYPE_NSEC};
    uint8_t data[DNSSEC_NSEC_MAX];
    const struct zone_rrset *rrset = zone_node(node->zone, zone_apex(node->zone));
    while (rrset->type != DNS_TYPE_SOA) rrset = rrset->next; /* each zone has one */
    struct zone_rrset soa = *rrset;
    soa.ttl_s = SK_MIN(rrset->ttl_s, minimum_of(&rrset->records[0]));
    begin(e, node->zone, name, dnssec_ok);
    sk_err err = put(e, DNS_AUTHORITY, rrset->owner, &soa);
    if (!err && e->dnssec_ok) {
        struct dns_rdata record = {data, (uint16_t)dnssec_nsec(name, types, SK_COUNT(types), data)};
        struct zone_rrset nsec = {.type = DNS_TYPE_NSEC, .ttl_s = soa.ttl_s, .count = 1, .records = &record};
        err = put(e, DNS_AUTHORITY, name, &nsec);
    }
    return err ? err : keep(overlay, e, 0, RATE_NO_DATA, &node->other[dnssec_ok]);
}

static struct answer_node *new_node(struct overlay *overlay, const struct zone *zone,
                                    const struct dns_name *name) {
    struct answer_node *node = sk_arena_zalloc(&overlay->arena, sizeof *node + name->length);
    void *bodies = sk_arena_zalloc(&overlay->arena, sizeof *node->bodies);
    if (!node || !bodies) return NULL;
    *node = (struct answer_node){.zone = zone,
                                 .bodies = bodies,
                                 .body_count = 1,
                                 .routed = -1,
                                 .has_other = true,
                                 .name_bytes = name->length};
    memcpy(node->name, name->wire, name->length);
    return node;
}

/* All records of the name of challenge FIRST. */
static sk_err add_name(struct overlay *overlay, const struct zone *zone, const struct challenges *challenges,
                       size_t first) {
    struct encoding *e = malloc(sizeof *e);
    const struct dns_name *name = &challenges->items[first].name;
    struct answer_node *node = e ? new_node(overlay, zone, name) : NULL;
    struct dns_rdata records[RECORDS_MAX];
    struct zone_rrset txt = {.type = DNS_TYPE_TXT, .ttl_s = CHALLENGE_TTL_S, .records = records};
    sk_err err = node ? SK_OK : SK_ERR_NO_MEMORY;
    for (size_t i = first; i < challenges->count && txt.count < RECORDS_MAX; i++)
        if (dns_name_eq(&challenges->items[i].name, name))
            records[txt.count++] = (struct dns_rdata){challenges->items[i].data, challenges->items[i].bytes};
    for (int dnssec_ok = 0; !err && dnssec_ok < 2; dnssec_ok++) {
        err = encode_txt(overlay, e, node, name, &txt, dnssec_ok);
        if (!err) err = encode_other(overlay, e, node, name, dnssec_ok);
    }
    if (!err) overlay->nodes[overlay->count++] = node;
    free(e);
    return err;
}

/* --- from the outside ----------------------------------------------------------------------------------- */

static sk_err add(struct overlay *overlay, const struct answer_zones *zones, struct challenges *challenges,
                  size_t index) {
    struct challenge *challenge = &challenges->items[index];
    const struct zone *zone = answer_zone_for(zones, &challenge->name, DNS_TYPE_TXT);
    if (!zone || challenge->in_zone || overlay_find(overlay, &challenge->name)) return SK_OK;
    if (stands_alone(zone, &challenge->name)) return add_name(overlay, zone, challenges, index);
    challenge->in_zone = true;
    return SK_ERR_UNSUPPORTED;
}

sk_err overlay_create(const struct answer_zones *zones, struct challenges *challenges,
                      struct overlay **out_overlay) {
    struct overlay *overlay = calloc(1, sizeof *overlay);
    sk_err result = SK_OK;
    if (!overlay) return SK_ERR_NO_MEMORY;
    atomic_init(&overlay->references, 1);
    sk_arena_init(&overlay->arena, 4096, 0);
    for (size_t i = 0; i < challenges->count; i++) {
        sk_err err = add(overlay, zones, challenges, i);
        if (err) result = err; /* all of them: each gets its mark */
    }
    if (result || overlay->count == 0) {
        overlay_unref(overlay);
        overlay = NULL;
    }
    if (!result) *out_overlay = overlay;
    return result;
}

struct overlay *overlay_ref(struct overlay *overlay) {
    /* Whoever refers anew has a reference already: nothing to order. */
    if (overlay) atomic_fetch_add_explicit(&overlay->references, 1, memory_order_relaxed);
    return overlay;
}

void overlay_unref(struct overlay *overlay) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!overlay || atomic_fetch_sub_explicit(&overlay->references, 1, memory_order_acq_rel) != 1) return;
    sk_arena_free(&overlay->arena);
    free(overlay);
}
