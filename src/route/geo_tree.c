#include "route/geo_tree.h"

#include <stdlib.h>

#define V4_BASE UINT64_C(0xffff00000000) /* low half of ::ffff:0:0 */
#define V4_END UINT64_C(0xffffffffffff)
#define GEO_TREE_MAGIC 0x47454f54u

struct geo_tree {
    uint32_t magic;
    struct geo_range *ranges;
    size_t count;
    /* For the first 16 bits of an IPv4 address: the range in which that block begins; one more at the end. */
    uint32_t v4_first[65537];
};

struct geo_tree_builder {
    struct entry {
        struct geo_ip start, end;
        uint8_t bits;
        uint32_t value, order; /* of two equal prefixes the later one counts */
    } *entries;
    size_t count, capacity;
};

struct geo_ip geo_ip_of(const uint8_t ip[16]) {
    struct geo_ip out = {0, 0};
    for (int i = 0; i < 8; i++) {
        out.high = out.high << 8 | ip[i];
        out.low = out.low << 8 | ip[8 + i];
    }
    return out;
}

void geo_ip_bytes(struct geo_ip ip, uint8_t out[16]) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(ip.high >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(ip.low >> (56 - 8 * i));
    }
}

static struct geo_ip plus_one(struct geo_ip ip) {
    return (struct geo_ip){ip.high + (ip.low == UINT64_MAX), ip.low + 1};
}
static struct geo_ip minus_one(struct geo_ip ip) {
    return (struct geo_ip){ip.high - (ip.low == 0), ip.low - 1};
}
static bool is_last(struct geo_ip ip) { return ip.high == UINT64_MAX && ip.low == UINT64_MAX; }

/* The last address of the prefix of BITS bits around START. */
static struct geo_ip prefix_end(struct geo_ip start, uint8_t bits) {
    uint64_t high_host = bits >= 64 ? 0 : UINT64_MAX >> bits;
    uint64_t low_host = bits <= 64 ? UINT64_MAX : bits == 128 ? 0 : UINT64_MAX >> (bits - 64);
    return (struct geo_ip){start.high | high_host, start.low | low_host};
}

/* Leading bits that A and B share. */
static uint8_t common_bits(struct geo_ip a, struct geo_ip b) {
    if (a.high != b.high) return (uint8_t)__builtin_clzll(a.high ^ b.high);
    return a.low != b.low ? (uint8_t)(64 + __builtin_clzll(a.low ^ b.low)) : 128;
}

/* --- ranges ----------------------------------------------------------------------------------------- */

sk_err geo_ranges_add(struct geo_ranges *ranges, struct geo_ip start, uint32_t value) {
    if (ranges->count) {
        struct geo_range *last = &ranges->items[ranges->count - 1];
        SK_ASSERT(!geo_ip_less(start, last->start));
        bool same_start = !geo_ip_less(last->start, start);
        if (same_start) {
            last->value = value;
            /* The replacement may equal what comes before. */
            if (ranges->count > 1 && last[-1].value == value) ranges->count--;
            return SK_OK;
        }
        if (last->value == value) return SK_OK;
    }
    if (ranges->count == ranges->capacity) {
        size_t capacity = ranges->capacity ? ranges->capacity * 2 : 256;
        struct geo_range *items = realloc(ranges->items, capacity * sizeof *items);
        if (!items) return SK_ERR_NO_MEMORY;
        ranges->items = items;
        ranges->capacity = capacity;
    }
    ranges->items[ranges->count++] = (struct geo_range){start, value};
    return SK_OK;
}

/* The last range that begins at or before IP, among [LOW, HIGH). */
static size_t search(const struct geo_tree *tree, struct geo_ip ip, size_t low, size_t high) {
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (geo_ip_less(ip, tree->ranges[middle].start))
            high = middle;
        else
            low = middle;
    }
    return low;
}

sk_err geo_ranges_build(struct geo_ranges *ranges, struct geo_tree **out_tree) {
    struct geo_tree *tree = calloc(1, sizeof *tree);
    SK_ASSERT(ranges->count > 0 && ranges->items[0].start.high == 0 && ranges->items[0].start.low == 0);
    if (!tree || ranges->count > UINT32_MAX) {
        free(tree);
        free(ranges->items);
        return SK_ERR_NO_MEMORY;
    }
    tree->magic = GEO_TREE_MAGIC;
    tree->ranges = ranges->items;
    tree->count = ranges->count;
    *ranges = (struct geo_ranges){0};
    for (uint64_t block = 0; block < 65536; block++)
        tree->v4_first[block] =
            (uint32_t)search(tree, (struct geo_ip){0, V4_BASE | block << 16}, 0, tree->count);
    tree->v4_first[65536] = (uint32_t)search(tree, (struct geo_ip){0, V4_END}, 0, tree->count);
    *out_tree = tree;
    return SK_OK;
}

void geo_tree_free(struct geo_tree *tree) {
    if (!tree) return;
    SK_CHECK_MAGIC(tree, GEO_TREE_MAGIC);
    tree->magic = 0;
    free(tree->ranges);
    free(tree);
}

size_t geo_tree_ranges(const struct geo_tree *tree) { return tree->count; }
struct geo_ip geo_tree_range_start(const struct geo_tree *tree, size_t range) {
    return tree->ranges[range].start;
}
uint32_t geo_tree_range_value(const struct geo_tree *tree, size_t range) { return tree->ranges[range].value; }
uint64_t geo_tree_bytes(const struct geo_tree *tree) {
    return sizeof *tree + tree->count * sizeof(struct geo_range);
}

uint32_t geo_tree_find(const struct geo_tree *tree, const uint8_t ip[16], uint8_t *out_bits) {
    struct geo_ip at = geo_ip_of(ip);
    size_t low = 0, high = tree->count;
    if (at.high == 0 && at.low >= V4_BASE && at.low <= V4_END) {
        size_t block = at.low >> 16 & 0xffff;
        low = tree->v4_first[block];
        high = (size_t)tree->v4_first[block + 1] + 1;
    }
    size_t range = search(tree, at, low, high);
    /* A prefix stays inside the range when it holds neither the address before it nor the one behind it. */
    uint8_t bits = 0;
    if (range > 0) bits = (uint8_t)(common_bits(at, minus_one(tree->ranges[range].start)) + 1);
    if (range + 1 < tree->count)
        bits = SK_MAX(bits, (uint8_t)(common_bits(at, tree->ranges[range + 1].start) + 1));
    *out_bits = bits;
    return tree->ranges[range].value;
}

sk_err geo_range_prefixes(const struct geo_tree *tree, size_t range,
                          sk_err (*visit)(void *arg, const struct io_prefix *prefix, uint32_t value),
                          void *arg) {
    const struct geo_ip last = {UINT64_MAX, UINT64_MAX};
    struct geo_ip at = tree->ranges[range].start;
    struct geo_ip end = range + 1 < tree->count ? minus_one(tree->ranges[range + 1].start) : last;
    for (;;) {
        uint8_t bits = 128;
        /* As wide as the start is aligned and the end allows. */
        while (bits > 0) {
            struct geo_ip wide_end = prefix_end(at, (uint8_t)(bits - 1));
            bool aligned = bits > 64 ? (at.low >> (128 - bits) & 1) == 0 : (at.high >> (64 - bits) & 1) == 0;
            if (!aligned || geo_ip_less(end, wide_end)) break;
            bits--;
        }
        struct io_prefix prefix = {.bits = bits};
        geo_ip_bytes(at, prefix.ip);
        sk_err err = visit(arg, &prefix, tree->ranges[range].value);
        struct geo_ip covered = prefix_end(at, bits);
        if (err || !geo_ip_less(covered, end)) return err;
        at = plus_one(covered);
    }
}

/* Where the next stretch begins; false when all trees are in their last range. */
static bool next_boundary(const struct geo_tree *const *trees, size_t count, const size_t *at,
                          struct geo_ip *out_next) {
    bool more = false;
    for (size_t i = 0; i < count; i++) {
        if (at[i] + 1 == trees[i]->count) continue;
        struct geo_ip boundary = trees[i]->ranges[at[i] + 1].start;
        if (!more || geo_ip_less(boundary, *out_next)) *out_next = boundary;
        more = true;
    }
    return more;
}

sk_err geo_trees_walk(const struct geo_tree *const *trees, size_t count, geo_trees_visit *visit, void *arg) {
    size_t at[GEO_TREES_MAX] = {0};
    struct geo_ip start = {0, 0};
    SK_ASSERT(count <= GEO_TREES_MAX);
    do {
        uint32_t values[GEO_TREES_MAX] = {0};
        for (size_t i = 0; i < count; i++) {
            while (at[i] + 1 < trees[i]->count && !geo_ip_less(start, trees[i]->ranges[at[i] + 1].start))
                at[i]++;
            values[i] = trees[i]->ranges[at[i]].value;
        }
        sk_err err = visit(arg, start, values);
        if (err) return err;
    } while (next_boundary(trees, count, at, &start));
    return SK_OK;
}

/* --- prefixes to ranges ----------------------------------------------------------------------------- */

sk_err geo_tree_builder_create(struct geo_tree_builder **out_builder) {
    struct geo_tree_builder *builder = calloc(1, sizeof *builder);
    if (!builder) return SK_ERR_NO_MEMORY;
    *out_builder = builder;
    return SK_OK;
}

sk_err geo_tree_builder_add(struct geo_tree_builder *builder, const struct io_prefix *prefix,
                            uint32_t value) {
    if (builder->count == builder->capacity) {
        size_t capacity = builder->capacity ? builder->capacity * 2 : 256;
        struct entry *entries = realloc(builder->entries, capacity * sizeof *entries);
        if (!entries) return SK_ERR_NO_MEMORY;
        builder->entries = entries;
        builder->capacity = capacity;
    }
    struct geo_ip ip = geo_ip_of(prefix->ip), host = prefix_end((struct geo_ip){0, 0}, prefix->bits);
    struct geo_ip start = {ip.high & ~host.high, ip.low & ~host.low};
    builder->entries[builder->count] =
        (struct entry){start, prefix_end(start, prefix->bits), prefix->bits, value, (uint32_t)builder->count};
    builder->count++;
    return SK_OK;
}

static int compare_entries(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (geo_ip_less(x->start, y->start)) return -1;
    if (geo_ip_less(y->start, x->start)) return 1;
    if (x->bits != y->bits) return x->bits - y->bits;
    return x->order < y->order ? -1 : 1;
}

/* Ends the prefixes that lie before START (all when NULL); the value goes back to that of the one around them. */
static sk_err close_before(const struct geo_ip *start, const struct entry **stack, size_t *depth,
                           struct geo_ranges *ranges) {
    sk_err err = SK_OK;
    while (!err && *depth > 1 && (!start || geo_ip_less(stack[*depth - 1]->end, *start))) {
        struct geo_ip end = stack[--*depth]->end;
        if (!is_last(end)) err = geo_ranges_add(ranges, plus_one(end), stack[*depth - 1]->value);
    }
    return err;
}

/* Nested prefixes, sorted by start and then by length, are opened and closed as on a stack. */
static sk_err flatten(const struct geo_tree_builder *builder, struct geo_ranges *ranges) {
    static const struct entry everything = {{0, 0}, {UINT64_MAX, UINT64_MAX}, 0, 0, 0};
    const struct entry *stack[131] = {&everything}; /* at most one of each length, and equal ones replace */
    size_t depth = 1;
    sk_err err = geo_ranges_add(ranges, everything.start, 0);
    for (size_t i = 0; !err && i < builder->count; i++) {
        const struct entry *entry = &builder->entries[i];
        err = close_before(&entry->start, stack, &depth, ranges);
        if (depth > 1 && compare_entries(stack[depth - 1], entry) < 0 &&
            stack[depth - 1]->bits == entry->bits)
            depth--;
        stack[depth++] = entry;
        if (!err) err = geo_ranges_add(ranges, entry->start, entry->value);
    }
    return err ? err : close_before(NULL, stack, &depth, ranges);
}

sk_err geo_tree_build(struct geo_tree_builder *builder, struct geo_tree **out_tree) {
    struct geo_ranges ranges = {0};
    if (builder->count) qsort(builder->entries, builder->count, sizeof *builder->entries, compare_entries);
    sk_err err = flatten(builder, &ranges);
    if (err)
        free(ranges.items);
    else
        err = geo_ranges_build(&ranges, out_tree);
    free(builder->entries);
    free(builder);
    return err;
}
