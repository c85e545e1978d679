/* What is in force at one moment: zones, routing table, options; and for each routed name and site list of the
 * table the record sets and their encoding. Made off the hot path whenever the table changes. */
#include <stdlib.h>

#include "base/hash.h"
#include "route/answer_private.h"

enum { SITE_ADDRESSES_MAX = 64, SET_RECORDS_MAX = 32, HTTPS_MAX = 2048 };

void answer_options_default(struct answer_options *out_options) {
    *out_options = (struct answer_options){.cookies = true};
    rate_options_default(&out_options->rate);
}

/* --- choosing addresses ----------------------------------------------------------------------------- */

struct addresses {
    uint8_t ip[SET_RECORDS_MAX][16];
    size_t count;
};

static bool is_v4(const uint8_t ip[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

/* A site's addresses of one family in the order in which NAME_HASH uses its edges: one name's content meets in few
 * caches. An edge that is down comes in only when all of the site are. */
static void take_site(const struct table_site *site, bool v4, uint64_t name_hash, size_t wanted,
                      struct addresses *out) {
    uint64_t hashes[SITE_ADDRESSES_MAX];
    double weights[SITE_ADDRESSES_MAX];
    uint8_t ips[SITE_ADDRESSES_MAX][16];
    uint16_t order[SITE_ADDRESSES_MAX];
    size_t count = 0, taken = 0;
    bool any_up = false;
    for (size_t i = 0; i < site->address_count; i++) any_up |= site->address_up[i];
    for (size_t i = 0; i < site->address_count && count < SITE_ADDRESSES_MAX; i++) {
        if (any_up && !site->address_up[i]) continue;
        if (!io_addr_ip16(&site->addresses[i], ips[count]) || is_v4(ips[count]) != v4) continue;
        hashes[count] = sk_hash64(ips[count], 16);
        weights[count++] = 1;
    }
    decide_rendezvous(hashes, weights, count, name_hash, order);
    for (size_t i = 0; i < count && (wanted == 0 || taken < wanted) && out->count < SET_RECORDS_MAX;
         i++, taken++)
        memcpy(out->ip[out->count++], ips[order[i]], 16);
}

static struct addresses choose(const struct answer_snapshot_input *input, const struct answer_routed *routed,
                               const struct decide_answer *list, bool v4) {
    struct addresses addresses = {.count = 0};
    uint64_t name_hash = sk_hash64(routed->name.wire, routed->name.length);
    for (uint16_t i = 0; i < list->count; i++) {
        if (list->sites[i] >= input->site_count) continue;
        take_site(&input->sites[list->sites[i]], v4, name_hash,
                  i == 0 ? routed->first_addresses : routed->other_addresses, &addresses);
    }
    return addresses;
}

/* --- record sets ------------------------------------------------------------------------------------ */

static struct zone_rrset *new_rrset(struct answer_snapshot *snapshot, struct answer_routed *routed,
                                    uint16_t type, size_t count) {
    struct zone_rrset *rrset = sk_arena_zalloc(&snapshot->arena, sizeof *rrset);
    struct dns_rdata *records = sk_arena_zalloc(&snapshot->arena, count * sizeof *records);
    if (!rrset || !records) return NULL;
    *rrset = (struct zone_rrset){.owner = &routed->name,
                                 .type = type,
                                 .ttl_s = routed->ttl_s,
                                 .count = (uint16_t)count,
                                 .records = records};
    return rrset;
}

static struct zone_rrset *address_rrset(struct answer_snapshot *snapshot, struct answer_routed *routed,
                                        const struct addresses *addresses, bool v4) {
    size_t from = v4 ? 12 : 0, bytes = 16 - from;
    struct zone_rrset *rrset = new_rrset(snapshot, routed, v4 ? DNS_TYPE_A : DNS_TYPE_AAAA, addresses->count);
    for (size_t i = 0; rrset && i < addresses->count; i++) {
        uint8_t *data = sk_arena_alloc(&snapshot->arena, bytes);
        if (!data) return NULL;
        memcpy(data, addresses->ip[i] + from, bytes);
        rrset->records[i] = (struct dns_rdata){data, (uint16_t)bytes};
    }
    return rrset;
}

struct bytes {
    uint8_t data[HTTPS_MAX];
    size_t used;
};

static void put_param(struct bytes *out, uint16_t key, size_t bytes) {
    uint8_t head[4] = {(uint8_t)(key >> 8), (uint8_t)key, (uint8_t)(bytes >> 8), (uint8_t)bytes};
    memcpy(out->data + out->used, head, 4);
    out->used += 4;
}

static void put_hints(struct bytes *out, uint16_t key, const struct addresses *addresses, bool v4) {
    size_t from = v4 ? 12 : 0, each = 16 - from;
    if (addresses->count == 0) return;
    put_param(out, key, addresses->count * each);
    for (size_t i = 0; i < addresses->count; i++, out->used += each)
        memcpy(out->data + out->used, addresses->ip[i] + from, each);
}

/* RFC 9460: this name itself (priority 1, target "."), with parameters in the order of their keys. */
static struct zone_rrset *https_rrset(struct answer_snapshot *snapshot, struct answer_routed *routed,
                                      const struct addresses *v4, const struct addresses *v6) {
    enum {
        ALPN = 1,
        IPV4_HINT = 4,
        ECH = 5,
        IPV6_HINT = 6,
        HEAD_AND_HINTS = 3 + 4 * 4 + SET_RECORDS_MAX * 20
    };
    struct bytes out = {.data = {0, 1, 0}, .used = 3};
    if (routed->alpn.len + routed->ech.len + HEAD_AND_HINTS > sizeof out.data) return NULL;
    put_param(&out, ALPN, routed->alpn.len);
    memcpy(out.data + out.used, routed->alpn.data, routed->alpn.len);
    out.used += routed->alpn.len;
    put_hints(&out, IPV4_HINT, v4, true);
    if (routed->ech.len) {
        put_param(&out, ECH, routed->ech.len);
        memcpy(out.data + out.used, routed->ech.data, routed->ech.len);
        out.used += routed->ech.len;
    }
    put_hints(&out, IPV6_HINT, v6, false);
    struct zone_rrset *rrset = new_rrset(snapshot, routed, DNS_TYPE_HTTPS, 1);
    uint8_t *data = sk_arena_alloc(&snapshot->arena, out.used);
    if (!rrset || !data) return NULL;
    memcpy(data, out.data, out.used);
    rrset->records[0] = (struct dns_rdata){data, (uint16_t)out.used};
    return rrset;
}

/* --- encoding --------------------------------------------------------------------------------------- */

/* The owner as a pointer to the question: serves also the names that a routed wildcard covers. */
static uint8_t *put_record(uint8_t *at, uint16_t type, uint32_t ttl_s, struct dns_rdata rdata) {
    uint8_t head[12] = {0xc0,
                        12,
                        (uint8_t)(type >> 8),
                        (uint8_t)type,
                        0,
                        1,
                        (uint8_t)(ttl_s >> 24),
                        (uint8_t)(ttl_s >> 16),
                        (uint8_t)(ttl_s >> 8),
                        (uint8_t)ttl_s,
                        (uint8_t)(rdata.bytes >> 8),
                        (uint8_t)rdata.bytes};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, rdata.data, rdata.bytes);
    return at + sizeof head + rdata.bytes;
}

static size_t records_bytes(const struct zone_rrset *rrset) {
    size_t bytes = 0;
    for (uint16_t i = 0; rrset && i < rrset->count; i++) bytes += 12 + (size_t)rrset->records[i].bytes;
    return bytes;
}

static const struct answer_body *encode(struct answer_snapshot *snapshot, const struct zone_rrset *rrset,
                                        bool dnssec_ok) {
    const struct zone_rrset *signatures = dnssec_ok ? rrset->signatures : NULL;
    size_t bytes = records_bytes(rrset) + records_bytes(signatures);
    struct answer_body *body = sk_arena_alloc(&snapshot->arena, sizeof *body + bytes);
    if (!body) return NULL;
    uint16_t count = (uint16_t)(rrset->count + (signatures ? signatures->count : 0));
    *body = (struct answer_body){.type = rrset->type,
                                 .bytes = (uint16_t)bytes,
                                 .counts = {count, 0, 0},
                                 .rate_kind = RATE_ANSWER,
                                 .flags = DNS_FLAG_AA};
    uint8_t *at = body->data;
    for (uint16_t i = 0; i < rrset->count; i++)
        at = put_record(at, rrset->type, rrset->ttl_s, rrset->records[i]);
    for (uint16_t i = 0; signatures && i < signatures->count; i++)
        at = put_record(at, DNS_TYPE_RRSIG, rrset->ttl_s, signatures->records[i]);
    return body;
}

/* Signed here and now, so that no query waits for it. */
static sk_err sign_rrset(struct answer_snapshot *snapshot, struct dnssec_memo *memo,
                         struct zone_rrset *rrset) {
    const struct zone *zone = answer_zone_for(snapshot->zones, rrset->owner, rrset->type);
    uint8_t data[DNSSEC_RRSIG_MAX];
    size_t bytes;
    if (!zone || !zone_signer(zone)) return SK_OK;
    sk_err err = dnssec_sign(zone_signer(zone), memo, rrset->owner, rrset, data, &bytes);
    if (err) return err;
    struct zone_rrset *signatures = sk_arena_zalloc(&snapshot->arena, sizeof *signatures);
    struct dns_rdata *record = sk_arena_alloc(&snapshot->arena, sizeof *record);
    sk_str copy = sk_arena_copy(&snapshot->arena, sk_str_make((const char *)data, bytes));
    if (!signatures || !record || !copy.data) return SK_ERR_NO_MEMORY;
    *record = (struct dns_rdata){(const uint8_t *)copy.data, (uint16_t)bytes};
    *signatures = (struct zone_rrset){
        .owner = rrset->owner, .type = DNS_TYPE_RRSIG, .ttl_s = rrset->ttl_s, .count = 1, .records = record};
    rrset->signatures = signatures;
    return SK_OK;
}

static sk_err fill_set(struct answer_snapshot *snapshot, struct dnssec_memo *memo, struct zone_rrset *rrset,
                       struct answer_set *set) {
    if (!rrset) return SK_ERR_NO_MEMORY;
    sk_err err = sign_rrset(snapshot, memo, rrset);
    if (err) return err;
    set->rrset = rrset;
    set->body[0] = encode(snapshot, rrset, false);
    set->body[1] = rrset->signatures ? encode(snapshot, rrset, true) : set->body[0];
    return set->body[0] && set->body[1] ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err fill_list(struct answer_snapshot *snapshot, const struct answer_snapshot_input *input,
                        size_t routed_index, uint32_t list) {
    struct answer_routed *routed = &snapshot->zones->routed[routed_index];
    struct answer_set *sets = &snapshot->sets[(routed_index * snapshot->list_count + list) * ROUTED_TYPES];
    const struct decide_answer *answer = table_list(snapshot->table, list);
    struct addresses v4 = choose(input, routed, answer, true), v6 = choose(input, routed, answer, false);
    sk_err err = SK_OK;
    if (v4.count)
        err = fill_set(snapshot, input->memo, address_rrset(snapshot, routed, &v4, true), &sets[ROUTED_A]);
    if (!err && v6.count)
        err =
            fill_set(snapshot, input->memo, address_rrset(snapshot, routed, &v6, false), &sets[ROUTED_AAAA]);
    if (!err && routed->alpn.len && v4.count + v6.count)
        err = fill_set(snapshot, input->memo, https_rrset(snapshot, routed, &v4, &v6), &sets[ROUTED_HTTPS]);
    return err;
}

static sk_err fill_sets(struct answer_snapshot *snapshot, const struct answer_snapshot_input *input) {
    size_t count = snapshot->zones->routed_count * snapshot->list_count * ROUTED_TYPES;
    snapshot->sets = calloc(SK_MAX(count, 1), sizeof *snapshot->sets);
    if (!snapshot->sets) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < snapshot->zones->routed_count; i++) {
        for (uint32_t list = 0; list < snapshot->list_count; list++) {
            sk_err err = fill_list(snapshot, input, i, list);
            if (err) return err;
        }
    }
    return SK_OK;
}

static sk_err copy_options(struct answer_snapshot *snapshot, const struct answer_options *options) {
    snapshot->options = *options;
    sk_str *texts[] = {&snapshot->options.nsid, &snapshot->options.version, &snapshot->options.identity};
    for (size_t i = 0; i < SK_COUNT(texts); i++) {
        *texts[i] = sk_arena_copy(&snapshot->arena, sk_str_slice(*texts[i], 0, 255));
        if (!texts[i]->data) return SK_ERR_NO_MEMORY;
    }
    return SK_OK;
}

static void free_own(struct answer_snapshot *snapshot) {
    answer_zones_unref(snapshot->zones);
    sk_arena_free(&snapshot->arena);
    free(snapshot->sets);
    free(snapshot);
}

sk_err answer_snapshot_create(const struct answer_snapshot_input *input,
                              struct answer_snapshot **out_snapshot) {
    struct answer_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot) return SK_ERR_NO_MEMORY;
    atomic_init(&snapshot->references, 1);
    sk_arena_init(&snapshot->arena, 4096, 0);
    snapshot->zones = answer_zones_ref(input->zones);
    snapshot->table = input->table;
    snapshot->list_count = input->table ? table_list_count(input->table) : 0;
    sk_err err = copy_options(snapshot, input->options);
    if (!err) err = fill_sets(snapshot, input);
    if (err)
        free_own(snapshot);
    else
        *out_snapshot = snapshot;
    return err;
}

struct answer_snapshot *answer_snapshot_ref(struct answer_snapshot *snapshot) {
    /* Whoever refers anew has a reference already: nothing to order. */
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void answer_snapshot_unref(struct answer_snapshot *snapshot) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1) return;
    if (snapshot->table) table_free(snapshot->table);
    free_own(snapshot);
}

const struct answer_zones *answer_snapshot_zones(const struct answer_snapshot *snapshot) {
    return snapshot->zones;
}

const struct table *answer_snapshot_table(const struct answer_snapshot *snapshot) { return snapshot->table; }
