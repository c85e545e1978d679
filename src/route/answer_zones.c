/* Zones as a set: which one a name belongs to, and for every name in them the answers encoded beforehand, so that
 * a query is one hash lookup and one copy. The encoding is answer_compose's own work, kept. */
#include <stdlib.h>

#include "base/hash.h"
#include "route/answer_private.h"

/* Memory for encoded answers, per set of zones; names beyond it are composed when they are asked for. */
#define ENCODED_BYTES_MAX ((size_t)256 << 20)
/* A type that no zone has: what all types get that a name does not have. Private use (RFC 6895 3.1). */
enum { ABSENT_TYPE = ZONE_TYPE_MARK + 1, TYPES_MAX = 64, SCRATCH_BYTES = 4096 };

void answer_routed_default(const struct dns_name *name, struct answer_routed *out_routed) {
    *out_routed = (struct answer_routed){.name = *name,
                                         .ttl_s = 30,
                                         .first_addresses = 2,
                                         .other_addresses = 1,
                                         .alpn = SK_STR_INIT("\2h3\2h2")};
}

struct zone_extra answer_routed_mark(const struct answer_routed *routed, uint32_t index, uint8_t data[4]) {
    for (int i = 0; i < 4; i++) data[i] = (uint8_t)(index >> (24 - 8 * i));
    return (struct zone_extra){routed->name, ZONE_TYPE_MARK, routed->ttl_s, {data, 4}};
}

/* --- finding zones and names ------------------------------------------------------------------------ */

static const struct zone *find_apex(const struct answer_zones *zones, const uint8_t *wire, size_t bytes) {
    for (size_t at = sk_hash64(wire, bytes) & zones->apex_mask; zones->apexes[at];
         at = (at + 1) & zones->apex_mask) {
        const struct dns_name *apex = zone_apex(zones->apexes[at]);
        if (apex->length == bytes && memcmp(apex->wire, wire, bytes) == 0) return zones->apexes[at];
    }
    return NULL;
}

const struct zone *answer_zones_find(const struct answer_zones *zones, const struct dns_name *apex) {
    return find_apex(zones, apex->wire, apex->length);
}

static const struct zone *longest(const struct answer_zones *zones, const uint8_t *wire, size_t bytes) {
    for (;;) {
        const struct zone *zone = find_apex(zones, wire, bytes);
        if (zone || wire[0] == 0) return zone;
        bytes -= 1 + (size_t)wire[0];
        wire += 1 + wire[0];
    }
}

const struct zone *answer_zone_for(const struct answer_zones *zones, const struct dns_name *name,
                                   uint16_t type) {
    const struct zone *zone = longest(zones, name->wire, name->length);
    /* RFC 4035 3.1.4.1: the parent side of a cut answers for DS. */
    if (type != DNS_TYPE_DS || !zone || !dns_name_eq(name, zone_apex(zone)) || name->labels == 0) return zone;
    size_t label = 1 + (size_t)name->wire[0];
    const struct zone *parent = longest(zones, name->wire + label, name->length - label);
    return parent ? parent : zone;
}

const struct answer_node *answer_node_find(const struct answer_zones *zones, const struct dns_name *name,
                                           uint64_t hash) {
    for (size_t at = hash & zones->slot_mask; zones->slots[at].node; at = (at + 1) & zones->slot_mask) {
        const struct answer_node *node = zones->slots[at].node;
        if (zones->slots[at].hash == hash && node->name_bytes == name->length &&
            memcmp(node->name, name->wire, name->length) == 0)
            return node;
    }
    return NULL;
}

/* --- encoding --------------------------------------------------------------------------------------- */

/* Composes NAME and TYPE as for a query; NULL in *out_body when it cannot be kept. */
static sk_err encode(struct answer_zones *zones, const struct zone *zone, const struct dns_name *name,
                     uint16_t type, bool dnssec_ok, const struct answer_body **out_body) {
    uint8_t question[12 + DNS_NAME_MAX + 4] = {0}, scratch[SCRATCH_BYTES];
    struct dns_query query = {.name = *name, .type = type, .question_bytes = (uint16_t)(name->length + 4)};
    struct dns_writer writer;
    *out_body = NULL;
    memcpy(question + 12, name->wire, name->length);
    dns_writer_begin(&writer, scratch, sizeof scratch, 0, question, &query, 0, DNS_NOERROR);
    size_t begin = writer.used;
    struct answer_compose compose = {.zone = zone, .dnssec_ok = dnssec_ok, .writer = &writer};
    answer_compose(&compose, name, type);
    if (compose.dynamic || writer.truncated || zones->arena.used > ENCODED_BYTES_MAX) return SK_OK;
    size_t bytes = writer.used - begin;
    struct answer_body *body = sk_arena_alloc(&zones->arena, sizeof *body + bytes);
    if (!body) return SK_ERR_NO_MEMORY;
    *body = (struct answer_body){.type = type,
                                 .bytes = (uint16_t)bytes,
                                 .rcode = (uint8_t)compose.rcode,
                                 .rate_kind = (uint8_t)compose.kind,
                                 .flags = compose.flags};
    memcpy(body->counts, writer.counts, sizeof body->counts);
    memcpy(body->data, scratch + begin, bytes);
    *out_body = body;
    return SK_OK;
}

static bool same_body(const struct answer_body *a, const struct answer_body *b) {
    return a && b && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0 && a->rcode == b->rcode;
}

/* Without and with DO; one copy where they do not differ. */
static sk_err encode_both(struct answer_zones *zones, const struct zone *zone, const struct dns_name *name,
                          uint16_t type, const struct answer_body *out_bodies[2]) {
    sk_err err = encode(zones, zone, name, type, false, &out_bodies[0]);
    struct sk_arena before = zones->arena;
    if (!err) err = encode(zones, zone, name, type, true, &out_bodies[1]);
    if (!err && same_body(out_bodies[0], out_bodies[1]) && zones->arena.chunk == before.chunk) {
        zones->arena = before;
        out_bodies[1] = out_bodies[0];
    }
    return err;
}

static sk_err add_body(struct answer_zones *zones, struct answer_node *node, const struct dns_name *name,
                       uint16_t type) {
    const struct answer_body *bodies[2];
    sk_err err = encode_both(zones, node->zone, name, type, bodies);
    if (err || !bodies[0] || !bodies[1]) return err;
    memcpy(node->bodies[node->body_count++], bodies, sizeof bodies);
    return SK_OK;
}

/* DS is left to answer_compose: which zone answers it is another question. */
static size_t types_of(const struct zone_rrset *rrsets, uint16_t types[TYPES_MAX], bool *out_alias) {
    static const uint16_t behind_alias[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_HTTPS};
    size_t count = 0;
    *out_alias = false;
    for (const struct zone_rrset *rrset = rrsets; rrset; rrset = rrset->next) {
        *out_alias |= rrset->type == DNS_TYPE_CNAME;
        if (rrset->type != ZONE_TYPE_MARK && rrset->type != DNS_TYPE_DS && count < TYPES_MAX)
            types[count++] = rrset->type;
    }
    for (size_t i = 0; *out_alias && i < SK_COUNT(behind_alias) && count < TYPES_MAX; i++)
        types[count++] = behind_alias[i];
    return count;
}

static sk_err fill_node(struct answer_zones *zones, struct answer_node *node,
                        const struct zone_rrset *rrsets) {
    const struct dns_name *name = rrsets->owner;
    uint16_t types[TYPES_MAX];
    bool alias;
    size_t count = types_of(rrsets, types, &alias);
    node->bodies = sk_arena_alloc(&zones->arena, SK_MAX(count, 1) * sizeof *node->bodies);
    if (!node->bodies) return SK_ERR_NO_MEMORY;
    sk_err err = SK_OK;
    for (size_t i = 0; !err && i < count; i++) err = add_body(zones, node, name, types[i]);
    /* Behind an alias each type may end differently; a type that was not kept must not look absent. */
    if (err || alias || node->body_count < count) return err;
    for (const struct zone_rrset *rrset = rrsets; rrset; rrset = rrset->next)
        if (rrset->type == ABSENT_TYPE) return SK_OK;
    err = encode_both(zones, node->zone, name, ABSENT_TYPE, node->other);
    node->has_other = node->other[0] && node->other[1];
    return err;
}

/* --- building --------------------------------------------------------------------------------------- */

struct build {
    struct answer_zones *zones;
    const struct zone *zone;
    const struct dns_name *last; /* owners come in order: each once */
    size_t names;
};

static bool next_owner(struct build *build, const struct zone_rrset *rrset) {
    if (build->last == rrset->owner) return false;
    build->last = rrset->owner;
    /* Below the apex of another zone of ours, that zone answers. */
    return longest(build->zones, rrset->owner->wire, rrset->owner->length) == build->zone;
}

static sk_err count_name(void *arg, const struct zone_rrset *rrset) {
    struct build *build = arg;
    if (next_owner(build, rrset)) build->names++;
    return SK_OK;
}

static void insert(struct answer_zones *zones, const struct answer_node *node) {
    uint64_t hash = sk_hash64(node->name, node->name_bytes);
    size_t at = hash & zones->slot_mask;
    while (zones->slots[at].node) at = (at + 1) & zones->slot_mask;
    zones->slots[at] = (struct answer_slot){hash, node};
}

static sk_err add_name(void *arg, const struct zone_rrset *rrset) {
    struct build *build = arg;
    struct answer_zones *zones = build->zones;
    if (!next_owner(build, rrset) || zones->arena.used > ENCODED_BYTES_MAX) return SK_OK;
    const struct dns_name *name = rrset->owner;
    struct answer_node *node = sk_arena_zalloc(&zones->arena, sizeof *node + name->length);
    if (!node) return SK_ERR_NO_MEMORY;
    *node = (struct answer_node){.zone = build->zone, .name_bytes = name->length, .routed = -1};
    memcpy(node->name, name->wire, name->length);
    for (const struct zone_rrset *each = rrset; each; each = each->next)
        if (each->type == ZONE_TYPE_MARK) node->routed = (int32_t)answer_mark_index(each);
    sk_err err = fill_node(zones, node, rrset);
    if (!err) insert(zones, node);
    return err;
}

static size_t power_above(size_t count) {
    size_t power = 4;
    while (power < count * 2) power *= 2;
    return power;
}

static sk_err enter_apexes(struct answer_zones *zones) {
    size_t slots = power_above(zones->zone_count);
    zones->apexes = calloc(slots, sizeof *zones->apexes);
    if (!zones->apexes) return SK_ERR_NO_MEMORY;
    zones->apex_mask = slots - 1;
    for (size_t i = 0; i < zones->zone_count; i++) {
        const struct dns_name *apex = zone_apex(zones->zones[i]);
        if (find_apex(zones, apex->wire, apex->length)) return SK_ERR_EXISTS;
        size_t at = sk_hash64(apex->wire, apex->length) & zones->apex_mask;
        while (zones->apexes[at]) at = (at + 1) & zones->apex_mask;
        zones->apexes[at] = zones->zones[i];
    }
    return SK_OK;
}

static sk_err enter_names(struct answer_zones *zones) {
    struct build build = {.zones = zones};
    sk_err err = SK_OK;
    for (size_t i = 0; i < zones->zone_count; i++) {
        build.zone = zones->zones[i];
        build.last = NULL;
        err = zone_walk(build.zone, count_name, &build);
    }
    size_t slots = power_above(build.names);
    zones->slots = calloc(slots, sizeof *zones->slots);
    if (!zones->slots) return SK_ERR_NO_MEMORY;
    zones->slot_mask = slots - 1;
    for (size_t i = 0; !err && i < zones->zone_count; i++) {
        build.zone = zones->zones[i];
        build.last = NULL;
        err = zone_walk(build.zone, add_name, &build);
    }
    return err;
}

static sk_err copy_routed(struct answer_zones *zones, const struct answer_routed *routed, size_t count) {
    zones->routed = sk_arena_alloc(&zones->arena, SK_MAX(count, 1) * sizeof *routed);
    if (!zones->routed) return SK_ERR_NO_MEMORY;
    zones->routed_count = count;
    for (size_t i = 0; i < count; i++) {
        struct answer_routed *copy = &zones->routed[i];
        *copy = routed[i];
        copy->alpn = sk_arena_copy(&zones->arena, routed[i].alpn);
        copy->ech = sk_arena_copy(&zones->arena, routed[i].ech);
        if (!copy->alpn.data || !copy->ech.data) return SK_ERR_NO_MEMORY;
    }
    return SK_OK;
}

/* All but the zones themselves. */
static void free_own(struct answer_zones *zones) {
    sk_arena_free(&zones->arena);
    free(zones->zones);
    free(zones->apexes);
    free(zones->slots);
    free(zones);
}

sk_err answer_zones_create(struct zone *const *list, size_t count, const struct answer_routed *routed,
                           size_t routed_count, struct answer_zones **out_zones) {
    struct answer_zones *zones = calloc(1, sizeof *zones);
    if (!zones) return SK_ERR_NO_MEMORY;
    atomic_init(&zones->references, 1);
    sk_arena_init(&zones->arena, 4096, 0);
    zones->zones = calloc(SK_MAX(count, 1), sizeof *zones->zones);
    zones->zone_count = count;
    sk_err err = zones->zones ? SK_OK : SK_ERR_NO_MEMORY;
    for (size_t i = 0; !err && i < count; i++) zones->zones[i] = list[i];
    if (!err) err = copy_routed(zones, routed, routed_count);
    if (!err) err = enter_apexes(zones);
    if (!err) err = enter_names(zones);
    if (err)
        free_own(zones);
    else
        *out_zones = zones;
    return err;
}

struct answer_zones *answer_zones_ref(struct answer_zones *zones) {
    /* Whoever refers anew has a reference already: nothing to order. */
    atomic_fetch_add_explicit(&zones->references, 1, memory_order_relaxed);
    return zones;
}

void answer_zones_unref(struct answer_zones *zones) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!zones || atomic_fetch_sub_explicit(&zones->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < zones->zone_count; i++) zone_free(zones->zones[i]);
    free_own(zones);
}
