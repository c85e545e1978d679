/* Building a table: the address space is cut where anything that decides may change (place, override, measurement);
 * the pieces are grouped by what they have in common, so that sites are ranked once for each group; each piece then
 * chooses from its group's ranking. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "route/table_private.h"

uint64_t table_version(const struct table *table) { return table->version; }
uint64_t table_sites_digest(const struct table *table) { return table->sites_digest; }
uint32_t table_waiting(const struct table *table) { return table->waiting; }
uint32_t table_list_count(const struct table *table) { return table->list_count; }

/* FNV-1a: a digest that is the same on every router and after every start. */
uint64_t table_digest_of(const struct table_site *sites, size_t count) {
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        sk_str name = sites[i].decide.name;
        for (size_t k = 0; k <= name.len; k++)
            digest = (digest ^ (k < name.len ? (uint8_t)name.data[k] : 0)) * UINT64_C(0x100000001b3);
    }
    return digest;
}

const struct decide_answer *table_list(const struct table *table, uint32_t list) {
    SK_ASSERT(list < table->list_count);
    return &table->lists[list];
}

struct table_choice table_find(const struct table *table, const uint8_t ip[16]) {
    struct table_choice choice;
    choice.list = geo_tree_find(table->tree, ip, &choice.scope_bits);
    choice.answer = &table->lists[choice.list];
    return choice;
}

void table_free(struct table *table) {
    if (!table) return;
    SK_CHECK_MAGIC(table, TABLE_MAGIC);
    table->magic = 0;
    geo_tree_free(table->tree);
    free(table->lists);
    free(table);
}

/* --- cutting ---------------------------------------------------------------------------------------- */

enum { GRID_V4 = 4096, GRID_V6 = 512 }; /* blocks of the grid */
enum { CUT_PLACE, CUT_OVERRIDE, CUT_MEASUREMENT, CUT_GRID, CUT_PREVIOUS, CUTS };

static sk_err add_piece(void *arg, struct geo_ip start, const uint32_t *values) {
    struct table_making *build = arg;
    if (build->piece_count == build->piece_capacity) {
        size_t capacity = build->piece_capacity ? build->piece_capacity * 2 : 4096;
        struct table_piece *pieces = realloc(build->pieces, capacity * sizeof *pieces);
        if (!pieces) return SK_ERR_NO_MEMORY;
        build->pieces = pieces;
        build->piece_capacity = capacity;
    }
    build->pieces[build->piece_count++] = (struct table_piece){.start = start,
                                                               .place = values[CUT_PLACE],
                                                               .override = values[CUT_OVERRIDE],
                                                               .measurement = values[CUT_MEASUREMENT],
                                                               .block = values[CUT_GRID]};
    return SK_OK;
}

static sk_err override_tree(const struct table_input *input, struct geo_tree **out_tree) {
    struct geo_tree_builder *builder;
    sk_err err = geo_tree_builder_create(&builder);
    if (err) return err;
    for (size_t i = 0; i < input->override_count && !err; i++)
        if (input->overrides[i].by_prefix)
            err = geo_tree_builder_add(builder, &input->overrides[i].prefix, (uint32_t)i + 1);
    sk_err built = geo_tree_build(builder, out_tree);
    return err ? err : built;
}

static sk_err measurement_tree(const struct table_input *input, struct geo_tree **out_tree) {
    struct geo_tree_builder *builder;
    sk_err err = geo_tree_builder_create(&builder);
    if (err) return err;
    for (size_t i = 0; input->measurements && i < input->measurements->prefix_count && !err; i++)
        err = geo_tree_builder_add(builder, &input->measurements->items[i].prefix, (uint32_t)i + 1);
    sk_err built = geo_tree_build(builder, out_tree);
    return err ? err : built;
}

/* Without a database every address looks alike: a grid of /12 blocks lets them spread over the sites. */
uint32_t table_grid_block(const struct table_input *input, const uint8_t ip[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (input->geo) return 0;
    if (memcmp(ip, mapped, 12) == 0) return ((uint32_t)ip[12] << 4 | ip[13] >> 4) + 1;
    return ip[0] >> 5 == 1 ? GRID_V4 + ((uint32_t)(ip[0] & 0x1f) << 4 | ip[1] >> 4) + 1 : 0;
}

static sk_err grid_tree(const struct table_input *input, struct geo_tree **out_tree) {
    struct geo_tree_builder *builder;
    sk_err err = geo_tree_builder_create(&builder);
    if (err) return err;
    for (uint32_t block = 0; !input->geo && block < GRID_V4 + GRID_V6 && !err; block++) {
        struct io_prefix prefix = {
            .ip = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(block >> 4), [13] = (uint8_t)(block << 4)},
            .bits = 96 + 12};
        /* 2000::/3, the global unicast space of IPv6. */
        if (block >= GRID_V4)
            prefix = (struct io_prefix){
                .ip = {(uint8_t)(0x20 | (block - GRID_V4) >> 4), (uint8_t)(block << 4)}, .bits = 12};
        err = geo_tree_builder_add(builder, &prefix, block + 1);
    }
    sk_err built = geo_tree_build(builder, out_tree);
    return err ? err : built;
}

static sk_err cut(struct table_making *build) {
    struct geo_tree *made[CUTS] = {0};
    sk_err err = override_tree(build->input, &made[CUT_OVERRIDE]);
    if (!err) err = measurement_tree(build->input, &made[CUT_MEASUREMENT]);
    if (!err) err = grid_tree(build->input, &made[CUT_GRID]);
    if (!err) {
        const struct geo_tree *trees[CUTS] = {made[CUT_GRID], made[CUT_OVERRIDE], made[CUT_MEASUREMENT],
                                              made[CUT_GRID], made[CUT_GRID]};
        if (build->input->stay && build->input->previous) trees[CUT_PREVIOUS] = build->input->previous->tree;
        if (build->input->geo) trees[CUT_PLACE] = geo_tree_of(build->input->geo);
        err = geo_trees_walk(trees, CUTS, add_piece, build);
    }
    for (size_t i = 0; i < CUTS; i++) geo_tree_free(made[i]);
    return err;
}

/* --- lists ------------------------------------------------------------------------------------------ */

static uint64_t answer_hash(const struct decide_answer *answer) {
    return sk_hash64(answer->sites, answer->count * sizeof answer->sites[0]) ^ (uint64_t)answer->reason;
}

static bool answer_eq(const struct decide_answer *a, const struct decide_answer *b) {
    return a->reason == b->reason && a->count == b->count &&
           memcmp(a->sites, b->sites, a->count * sizeof a->sites[0]) == 0;
}

static sk_err grow_lists(struct table_making *build) {
    uint32_t capacity = build->list_capacity ? build->list_capacity * 2 : 64;
    size_t slots = (size_t)capacity * 2;
    struct decide_answer *lists = realloc(build->table->lists, capacity * sizeof *lists);
    if (lists) build->table->lists = lists;
    uint32_t *table = calloc(slots, sizeof *table);
    if (!lists || !table) {
        free(table);
        return SK_ERR_NO_MEMORY;
    }
    free(build->list_table);
    build->list_table = table;
    build->list_mask = slots - 1;
    build->list_capacity = capacity;
    for (uint32_t i = 0; i < build->table->list_count; i++) {
        size_t at = answer_hash(&lists[i]) & build->list_mask;
        while (table[at]) at = (at + 1) & build->list_mask;
        table[at] = i + 1;
    }
    return SK_OK;
}

/* The number of a list, each kept once. */
static sk_err intern_list(struct table_making *build, const struct decide_answer *answer,
                          uint32_t *out_list) {
    struct table *table = build->table;
    if (table->list_count == build->list_capacity) {
        sk_err err = grow_lists(build);
        if (err) return err;
    }
    size_t at = answer_hash(answer) & build->list_mask;
    for (; build->list_table[at]; at = (at + 1) & build->list_mask) {
        *out_list = build->list_table[at] - 1;
        if (answer_eq(&table->lists[*out_list], answer)) return SK_OK;
    }
    build->list_table[at] = table->list_count + 1;
    table->lists[table->list_count] = *answer;
    *out_list = table->list_count++;
    return SK_OK;
}

/* --- deciding --------------------------------------------------------------------------------------- */

/* Pieces with the same place and measurement rank the sites alike; where the place is unknown, each block by itself. */
static bool same_group(const struct table_piece *a, const struct table_piece *b) {
    return a->place == b->place && a->measurement == b->measurement && a->block == b->block;
}

static int compare_groups(const void *a, const void *b) {
    const struct table_piece *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->measurement != y->measurement) return x->measurement < y->measurement ? -1 : 1;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return geo_ip_less(x->start, y->start) ? -1 : 1;
}

static int compare_starts(const void *a, const void *b) {
    const struct table_piece *x = a, *y = b;
    return geo_ip_less(x->start, y->start) ? -1 : geo_ip_less(y->start, x->start);
}

static sk_err decide_piece(struct table_making *build, struct table_piece *piece) {
    struct decide_answer answer = table_decide(build, piece);
    return intern_list(build, &answer, &piece->list);
}

static sk_err decide_all(struct table_making *build) {
    sk_err err = SK_OK;
    qsort(build->pieces, build->piece_count, sizeof *build->pieces, compare_groups);
    for (size_t i = 0; i < build->piece_count && !err; i++) {
        struct table_piece *piece = &build->pieces[i];
        if (i == 0 || !same_group(piece - 1, piece)) table_rank(build, piece);
        err = decide_piece(build, piece);
    }
    return err;
}

static sk_err make_tree(struct table_making *build) {
    struct geo_ranges ranges = {0};
    sk_err err = SK_OK;
    qsort(build->pieces, build->piece_count, sizeof *build->pieces, compare_starts);
    for (size_t i = 0; i < build->piece_count && !err; i++)
        err = geo_ranges_add(&ranges, build->pieces[i].start, build->pieces[i].list);
    if (err) free(ranges.items);
    return err ? err : geo_ranges_build(&ranges, &build->table->tree);
}

static sk_err new_table(struct table_making *build) {
    const struct table_input *input = build->input;
    build->table = calloc(1, sizeof *build->table);
    if (!build->table) return SK_ERR_NO_MEMORY;
    build->table->magic = TABLE_MAGIC;
    build->table->version = input->version;
    build->table->sites_digest = table_digest_of(input->sites, input->site_count);
    return SK_OK;
}

sk_err table_making_init(struct table_making *build, const struct table_input *input) {
    *build = (struct table_making){.input = input};
    build->sites = calloc(input->site_count, sizeof *build->sites);
    build->scores = calloc(input->site_count, sizeof *build->scores);
    build->rtts = calloc(input->site_count, sizeof *build->rtts);
    build->measured = calloc(input->site_count, sizeof *build->measured);
    if (!build->sites || !build->scores || !build->rtts || !build->measured) {
        table_making_free(build);
        return SK_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < input->site_count; i++) build->sites[i] = input->sites[i].decide;
    build->weights = *input->weights;
    if (input->stay) build->weights.hysteresis = 1;
    return SK_OK;
}

void table_making_free(struct table_making *build) {
    free(build->sites);
    free(build->scores);
    free(build->rtts);
    free(build->measured);
    free(build->pieces);
    free(build->list_table);
}

sk_err table_build(const struct table_input *input, struct table **out_table) {
    struct table_making build;
    if (input->site_count == 0 || input->site_count > DECIDE_SITES_MAX) return SK_ERR_INVALID;
    sk_err err = table_making_init(&build, input);
    if (err) return err;
    err = new_table(&build);
    if (!err) err = cut(&build);
    if (!err) err = decide_all(&build);
    if (!err) err = make_tree(&build);
    if (!err) build.table->waiting = build.waiting;
    if (err)
        table_free(build.table);
    else
        *out_table = build.table;
    table_making_free(&build);
    return err;
}
