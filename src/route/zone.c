/* The tree of a zone, as a hash table of nodes: every name that owns records or lies above one that does (an
 * empty non-terminal), so that "does this name exist" is one look. */
#include "route/zone.h"

#include <stdlib.h>

#include "base/hash.h"
#include "io/file.h"
#include "route/dnssec.h"
#include "route/zone_private.h"

const struct dns_name *zone_apex(const struct zone *zone) { return &zone->apex; }

static struct zone_node *find_wire(const struct zone *zone, const uint8_t *wire, size_t bytes) {
    for (size_t at = sk_hash64(wire, bytes) & zone->mask; zone->table[at]; at = (at + 1) & zone->mask) {
        struct zone_node *node = zone->table[at];
        if (node->name.length == bytes && memcmp(node->name.wire, wire, bytes) == 0) return node;
    }
    return NULL;
}

static struct zone_node *find(const struct zone *zone, const struct dns_name *name) {
    return find_wire(zone, name->wire, name->length);
}

const struct zone_rrset *zone_node(const struct zone *zone, const struct dns_name *name) {
    struct zone_node *node = find(zone, name);
    return node ? node->rrsets : NULL;
}

static const struct zone_rrset *rrset_of(const struct zone_node *node, uint16_t type) {
    const struct zone_rrset *rrset = node->rrsets;
    while (rrset && rrset->type != type) rrset = rrset->next;
    return rrset;
}

uint32_t zone_serial(const struct zone *zone) {
    const struct dns_rdata *soa = &zone->soa->records[0];
    const uint8_t *at = soa->data + soa->bytes - 20;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* --- lookup (RFC 1034 section 4.3.2) ---------------------------------------------------------------- */

static struct zone_result at_node(const struct zone *zone, const struct zone_node *node, uint16_t type) {
    struct zone_result result = {.found = ZONE_NO_DATA, .soa = zone->soa, .closest = &node->name};
    if (type == DNS_TYPE_ANY)
        result.rrset = node->rrsets;
    else
        result.rrset = rrset_of(node, type);
    if (result.rrset) {
        result.found = ZONE_ANSWER;
    } else if ((result.rrset = rrset_of(node, DNS_TYPE_CNAME)) != NULL) {
        result.found = ZONE_CNAME;
    }
    return result;
}

/* A zone cut or a DNAME on the way from the apex to the name; *deepest is the last node that exists. */
static bool cut_above(const struct zone *zone, const struct dns_name *name, uint16_t type,
                      struct zone_node **deepest, struct zone_result *result) {
    size_t offsets[128];
    size_t below = (size_t)(name->labels - zone->apex.labels), at = 0;
    for (size_t i = 0; i < below; i++, at += 1 + (size_t)name->wire[at]) offsets[i] = at;
    *deepest = find(zone, &zone->apex);
    for (size_t i = below; i-- > 0;) {
        struct zone_node *node = find_wire(zone, name->wire + offsets[i], name->length - offsets[i]);
        /* A DNAME at the node above redirects what is below it, also names that exist (RFC 6672 2.4). */
        result->rrset = rrset_of(*deepest, DNS_TYPE_DNAME);
        if (result->rrset) {
            *result = (struct zone_result){ZONE_DNAME, result->rrset, zone->soa, false, &(*deepest)->name};
            return true;
        }
        if (!node) return false;
        *deepest = node;
        const struct zone_rrset *ns = rrset_of(node, DNS_TYPE_NS);
        /* DS lives above the cut (RFC 4035 2.4). */
        if (ns && !(i == 0 && type == DNS_TYPE_DS)) {
            *result = (struct zone_result){ZONE_DELEGATION, ns, zone->soa, false, &node->name};
            return true;
        }
    }
    return false;
}

/* RFC 4592: the wildcard right below the closest encloser, nowhere else. */
static struct zone_result wildcard(const struct zone *zone, const struct zone_node *closest, uint16_t type) {
    struct dns_name star = {.length = (uint8_t)(closest->name.length + 2),
                            .labels = (uint8_t)(closest->name.labels + 1)};
    struct zone_result result = {.found = ZONE_NO_NAME, .soa = zone->soa, .closest = &closest->name};
    if (closest->name.length + 2 > DNS_NAME_MAX) return result;
    memcpy(star.wire, "\1*", 2);
    memcpy(star.wire + 2, closest->name.wire, closest->name.length);
    struct zone_node *node = find(zone, &star);
    if (!node) return result;
    result = at_node(zone, node, type);
    result.wildcard = true;
    result.closest = &closest->name;
    return result;
}

struct zone_result zone_lookup(const struct zone *zone, const struct dns_name *name, uint16_t type) {
    struct zone_result result = {.found = ZONE_NOT_HERE};
    struct zone_node *deepest;
    if (!dns_name_in(name, &zone->apex)) return result;
    if (cut_above(zone, name, type, &deepest, &result)) return result;
    if (dns_name_eq(&deepest->name, name)) return at_node(zone, deepest, type);
    return wildcard(zone, deepest, type);
}

size_t zone_node_count(const struct zone *zone) { return zone->count; }

const struct zone_rrset *zone_node_at(const struct zone *zone, size_t index) {
    SK_ASSERT(index < zone->count);
    return zone->sorted[index]->rrsets;
}

sk_err zone_walk(const struct zone *zone, sk_err (*visit)(void *arg, const struct zone_rrset *rrset),
                 void *arg) {
    for (size_t i = 0; i < zone->count; i++) {
        for (const struct zone_rrset *rrset = zone->sorted[i]->rrsets; rrset; rrset = rrset->next) {
            sk_err err = visit(arg, rrset);
            if (err) return err;
        }
    }
    return SK_OK;
}

/* --- building --------------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b) {
    const struct zone_record *x = a, *y = b;
    int order = dns_name_compare(&x->owner, &y->owner);
    if (order == 0) order = x->type - y->type;
    if (order == 0) order = memcmp(x->rdata.data, y->rdata.data, SK_MIN(x->rdata.bytes, y->rdata.bytes));
    return order ? order : x->rdata.bytes - y->rdata.bytes;
}

static bool same_rdata(const struct zone_record *a, const struct zone_record *b) {
    return a->rdata.bytes == b->rdata.bytes && memcmp(a->rdata.data, b->rdata.data, a->rdata.bytes) == 0;
}

static size_t set_end(const struct zone_records *records, size_t from) {
    size_t to = from + 1;
    while (to < records->count && records->items[to].type == records->items[from].type &&
           dns_name_eq(&records->items[to].owner, &records->items[from].owner))
        to++;
    return to;
}

/* A new node, entered in the table; the caller knows that there is none. */
static struct zone_node *add_node(struct zone *zone, const struct dns_name *name) {
    struct zone_node *node = sk_arena_zalloc(&zone->arena, sizeof *node);
    if (!node) return NULL;
    node->name = *name;
    size_t at = sk_hash64(name->wire, name->length) & zone->mask;
    while (zone->table[at]) at = (at + 1) & zone->mask;
    zone->table[at] = node;
    zone->sorted[zone->count++] = node;
    return node;
}

/* The node for NAME with all names between it and the apex. */
static struct zone_node *make_node(struct zone *zone, const struct dns_name *name) {
    struct zone_node *node = find(zone, name);
    for (uint8_t up = 1; !node && name->labels > zone->apex.labels && up <= name->labels - zone->apex.labels;
         up++) {
        struct dns_name parent;
        dns_name_parent(name, up, &parent);
        if (find(zone, &parent)) break;
        if (!add_node(zone, &parent)) return NULL;
    }
    return node ? node : add_node(zone, name);
}

/* Records FROM to TO, sorted, as one RRset without repetitions; the smallest TTL serves all (RFC 2181 5.2). */
static sk_err add_rrset(struct zone *zone, const struct zone_records *records, size_t from, size_t to) {
    const struct zone_record *first = &records->items[from];
    struct zone_node *node = make_node(zone, &first->owner);
    struct zone_rrset *rrset = sk_arena_zalloc(&zone->arena, sizeof *rrset);
    struct dns_rdata *rdata = sk_arena_alloc(&zone->arena, (to - from) * sizeof *rdata);
    if (!node || !rrset || !rdata) return SK_ERR_NO_MEMORY;
    *rrset = (struct zone_rrset){
        .owner = &node->name, .type = first->type, .ttl_s = first->ttl_s, .records = rdata};
    for (size_t i = from; i < to; i++) {
        if (i > from && same_rdata(&records->items[i - 1], &records->items[i])) continue;
        rdata[rrset->count++] = records->items[i].rdata;
        rrset->ttl_s = SK_MIN(rrset->ttl_s, records->items[i].ttl_s);
    }
    struct zone_rrset **end = &node->rrsets;
    while (*end) end = &(*end)->next;
    *end = rrset;
    return SK_OK;
}

static sk_err refuse(struct sk_buf *problems, const char *name, const struct dns_name *owner,
                     const char *text) {
    char owner_text[1024];
    dns_name_format(owner, owner_text);
    (void)!sk_buf_printf(problems, "%s: %s: %s\n", name, owner_text, text);
    return SK_ERR_INVALID;
}

/* What no zone may hold (RFC 1034 3.6.2, RFC 1035 5.2). */
static sk_err check_node(const struct zone *zone, const struct zone_node *node, struct sk_buf *problems,
                         const char *name) {
    const struct zone_rrset *cname = rrset_of(node, DNS_TYPE_CNAME), *soa = rrset_of(node, DNS_TYPE_SOA);
    if (cname && (node->rrsets->next || cname->count > 1))
        return refuse(problems, name, &node->name, "a CNAME allows no other record beside it");
    if (soa && !dns_name_eq(&node->name, &zone->apex))
        return refuse(problems, name, &node->name, "SOA below the apex");
    if (soa && soa->count > 1) return refuse(problems, name, &node->name, "more than one SOA");
    return SK_OK;
}

static int compare_nodes(const void *a, const void *b) {
    return dns_name_compare(&(*(struct zone_node *const *)a)->name, &(*(struct zone_node *const *)b)->name);
}

/* Room for every record's owner and all names above it. */
static sk_err make_table(struct zone *zone, const struct zone_records *records) {
    size_t nodes = 1, slots = 4;
    for (size_t i = 0; i < records->count; i++) {
        if (i && dns_name_eq(&records->items[i].owner, &records->items[i - 1].owner)) continue;
        nodes += (size_t)(records->items[i].owner.labels - zone->apex.labels) + 1;
    }
    while (slots < nodes * 2) slots *= 2;
    zone->table = calloc(slots, sizeof(struct zone_node *));
    zone->sorted = calloc(nodes, sizeof(struct zone_node *));
    zone->mask = slots - 1;
    return zone->table && zone->sorted ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err fill_zone(struct zone *zone, struct zone_records *records, struct sk_buf *problems,
                        const char *name) {
    sk_err err = make_table(zone, records);
    if (!err && !make_node(zone, &zone->apex)) err = SK_ERR_NO_MEMORY;
    for (size_t from = 0, to; !err && from < records->count; from = to) {
        to = set_end(records, from);
        if (to - from > UINT16_MAX)
            return refuse(problems, name, &records->items[from].owner, "too many records");
        err = add_rrset(zone, records, from, to);
    }
    for (size_t i = 0; !err && i < zone->count; i++) err = check_node(zone, zone->sorted[i], problems, name);
    if (err) return err;
    qsort(zone->sorted, zone->count, sizeof(struct zone_node *), compare_nodes);
    struct zone_node *apex = find(zone, &zone->apex);
    zone->soa = rrset_of(apex, DNS_TYPE_SOA);
    if (!zone->soa) return refuse(problems, name, &zone->apex, "no SOA record");
    if (!rrset_of(apex, DNS_TYPE_NS)) return refuse(problems, name, &zone->apex, "no NS record");
    return SK_OK;
}

sk_err zone_build(struct sk_arena *arena, const struct dns_name *apex, struct zone_records *records,
                  struct zone **out_zone, struct sk_buf *problems, const char *name) {
    struct zone *zone = calloc(1, sizeof *zone);
    if (!zone) return SK_ERR_NO_MEMORY;
    zone->magic = ZONE_MAGIC;
    zone->apex = *apex;
    zone->arena = *arena;
    sk_arena_init(arena, 0, 0);
    if (records->count) qsort(records->items, records->count, sizeof *records->items, compare_records);
    sk_err err = fill_zone(zone, records, problems, name);
    if (err)
        zone_free(zone);
    else
        *out_zone = zone;
    return err;
}

void zone_free(struct zone *zone) {
    if (!zone) return;
    SK_CHECK_MAGIC(zone, ZONE_MAGIC);
    zone->magic = 0;
    sk_arena_free(&zone->arena);
    dnssec_signer_free(zone->signer);
    free(zone->table);
    free(zone->sorted);
    free(zone);
}

sk_err zone_parse_with(sk_str text, const char *name, const struct dns_name *apex,
                       const struct zone_extra *extras, size_t count, struct zone **out_zone,
                       struct sk_buf *problems) {
    struct zone_records records = {0};
    struct sk_arena arena;
    sk_arena_init(&arena, 4096, 0);
    sk_err err = zone_file_read(text, name, apex, &arena, &records, problems) ? SK_ERR_INVALID : SK_OK;
    for (size_t i = 0; !err && i < count; i++)
        err = zone_records_add(&records, &arena, &extras[i].owner, extras[i].type, extras[i].ttl_s,
                               extras[i].rdata);
    if (!err) err = zone_build(&arena, apex, &records, out_zone, problems, name);
    sk_arena_free(&arena);
    free(records.items);
    return err;
}

sk_err zone_load_with(const char *path, const struct dns_name *apex, const struct zone_extra *extras,
                      size_t count, struct zone **out_zone, struct sk_buf *problems) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(path, 64 << 20, &text);
    if (err)
        (void)!sk_buf_printf(problems, "%s: %s\n", path, sk_err_text(err));
    else
        err = zone_parse_with(sk_buf_str(&text), path, apex, extras, count, out_zone, problems);
    sk_buf_free(&text);
    return err;
}

sk_err zone_parse(sk_str text, const char *name, const struct dns_name *apex, struct zone **out_zone,
                  struct sk_buf *problems) {
    return zone_parse_with(text, name, apex, NULL, 0, out_zone, problems);
}

sk_err zone_load(const char *path, const struct dns_name *apex, struct zone **out_zone,
                 struct sk_buf *problems) {
    return zone_load_with(path, apex, NULL, 0, out_zone, problems);
}
