/* Building a table: the address space is cut where anything that decides may change (place, override, measurement);
 * the pieces are grouped by what they have in common, so that sites are ranked once for each group; each piece then
 * chooses from its group's ranking. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "route/table_private.h"

/* A piece of the address space and what is known about it. */
struct piece {
    struct geo_ip start;
    uint32_t place;       /* of the geo database, 0 without one */
    uint32_t override;    /* index + 1, or 0 */
    uint32_t measurement; /* index + 1, or 0 */
    uint32_t block;       /* of the grid for clients of unknown place */
    uint32_t list;        /* the result */
};

struct build {
    const struct table_input *input;
    struct table *table;
    struct decide_site *sites;
    struct decide_score *scores;
    float *rtts;
    struct piece *pieces;
    size_t piece_count, piece_capacity;
    uint32_t *list_table; /* of list indexes + 1, open addressing */
    size_t list_mask;
    uint32_t list_capacity;
};

uint64_t table_version(const struct table *table) { return table->version; }
uint64_t table_sites_digest(const struct table *table) { return table->sites_digest; }
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

enum { CUT_PLACE, CUT_OVERRIDE, CUT_MEASUREMENT, CUT_GRID, CUTS };

static sk_err add_piece(void *arg, struct geo_ip start, const uint32_t *values) {
    struct build *build = arg;
    if (build->piece_count == build->piece_capacity) {
        size_t capacity = build->piece_capacity ? build->piece_capacity * 2 : 4096;
        struct piece *pieces = realloc(build->pieces, capacity * sizeof *pieces);
        if (!pieces) return SK_ERR_NO_MEMORY;
        build->pieces = pieces;
        build->piece_capacity = capacity;
    }
    build->pieces[build->piece_count++] = (struct piece){.start = start,
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
    for (size_t i = 0; input->measurements && i < input->measurements->count && !err; i++)
        if (input->measurements->items[i].by_prefix)
            err = geo_tree_builder_add(builder, &input->measurements->items[i].prefix, (uint32_t)i + 1);
    sk_err built = geo_tree_build(builder, out_tree);
    return err ? err : built;
}

/* Without a database every address looks alike: a grid of /12 blocks lets them spread over the sites. */
static sk_err grid_tree(const struct table_input *input, struct geo_tree **out_tree) {
    struct geo_tree_builder *builder;
    sk_err err = geo_tree_builder_create(&builder);
    if (err) return err;
    for (uint32_t block = 0; !input->geo && block < 4096 + 512 && !err; block++) {
        struct io_prefix prefix = {
            .ip = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(block >> 4), [13] = (uint8_t)(block << 4)},
            .bits = 96 + 12};
        /* 2000::/3, the global unicast space of IPv6. */
        if (block >= 4096)
            prefix = (struct io_prefix){.ip = {(uint8_t)(0x20 | (block - 4096) >> 4), (uint8_t)(block << 4)},
                                        .bits = 12};
        err = geo_tree_builder_add(builder, &prefix, block + 1);
    }
    sk_err built = geo_tree_build(builder, out_tree);
    return err ? err : built;
}

static sk_err cut(struct build *build) {
    struct geo_tree *made[CUTS] = {0};
    sk_err err = override_tree(build->input, &made[CUT_OVERRIDE]);
    if (!err) err = measurement_tree(build->input, &made[CUT_MEASUREMENT]);
    if (!err) err = grid_tree(build->input, &made[CUT_GRID]);
    if (!err) {
        const struct geo_tree *trees[CUTS] = {made[CUT_GRID], made[CUT_OVERRIDE], made[CUT_MEASUREMENT],
                                              made[CUT_GRID]};
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

static sk_err grow_lists(struct build *build) {
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
static sk_err intern_list(struct build *build, const struct decide_answer *answer, uint32_t *out_list) {
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

static const struct geo_place *place_of(const struct build *build, const struct piece *piece) {
    static const struct geo_place nothing = {.latitude = NAN, .longitude = NAN};
    return build->input->geo ? geo_place(build->input->geo, piece->place) : &nothing;
}

static bool place_matches(const struct geo_place *place, const char country[3], uint32_t as_number) {
    if (country[0] && memcmp(country, place->country, 2) != 0) return false;
    return as_number == 0 || as_number == place->as_number;
}

/* The operator's word: by prefix, else the first that names the country or the AS. */
static const struct table_override *override_of(const struct build *build, const struct piece *piece) {
    const struct table_input *input = build->input;
    if (piece->override) return &input->overrides[piece->override - 1];
    for (size_t i = 0; i < input->override_count; i++) {
        const struct table_override *override = &input->overrides[i];
        bool named = override->country[0] || override->as_number;
        if (!override->by_prefix && named &&
            place_matches(place_of(build, piece), override->country, override->as_number))
            return override;
    }
    return NULL;
}

/* The nearest measurement: of the network, of the AS in the country, of the country. */
static const struct table_measurement *measurement_of(const struct build *build, const struct piece *piece,
                                                      uint8_t *out_level) {
    const struct table_measurements *all = build->input->measurements;
    const struct geo_place *place = place_of(build, piece);
    const struct table_measurement *country = NULL;
    *out_level = 1;
    if (piece->measurement) return &all->items[piece->measurement - 1];
    for (size_t i = 0; all && place->country[0] && i < all->count; i++) {
        const struct table_measurement *item = &all->items[i];
        if (item->by_prefix || !item->country[0] || !place_matches(place, item->country, item->as_number))
            continue;
        *out_level = 2;
        if (item->as_number) return item;
        country = item;
    }
    *out_level = 3;
    return country;
}

/* Pieces with the same place and measurement rank the sites alike; where the place is unknown, each block by itself. */
static bool same_group(const struct piece *a, const struct piece *b) {
    return a->place == b->place && a->measurement == b->measurement && a->block == b->block;
}

static int compare_groups(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->measurement != y->measurement) return x->measurement < y->measurement ? -1 : 1;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return geo_ip_less(x->start, y->start) ? -1 : 1;
}

static int compare_starts(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    return geo_ip_less(x->start, y->start) ? -1 : geo_ip_less(y->start, x->start);
}

static void rank_group(struct build *build, const struct piece *piece) {
    const struct table_input *input = build->input;
    const struct geo_place *place = place_of(build, piece);
    struct decide_client client = {
        .latitude = place->latitude, .longitude = place->longitude, .as_number = place->as_number};
    const struct table_measurement *measurement = measurement_of(build, piece, &client.rtt_level);
    memcpy(client.country, place->country, sizeof client.country);
    if (measurement) {
        for (size_t i = 0; i < input->site_count; i++) build->rtts[i] = NAN;
        for (size_t i = 0; i < measurement->rtt_count; i++)
            if (measurement->rtts[i].site < input->site_count)
                build->rtts[measurement->rtts[i].site] = measurement->rtts[i].p50_ms;
        client.rtt_ms = build->rtts;
    }
    uint64_t place_hash =
        isnan(place->latitude) ? piece->block + UINT64_C(0x10000) * piece->place : piece->place;
    decide_rank(build->sites, input->site_count, &client, input->weights, place_hash, build->scores);
}

static bool lists_site(const struct decide_answer *answer, uint16_t site) {
    for (size_t i = 0; i < answer->count; i++)
        if (answer->sites[i] == site) return true;
    return false;
}

/* Whether a network that could as well stay has to wait for a later table: only max_step of them move at once. */
static bool must_wait(const struct build *build, const struct decide_answer *before,
                      const struct decide_answer *after, uint64_t client_hash) {
    const struct decide_weights *weights = build->input->weights;
    if (!before || before->count == 0 || before->reason == DECIDE_LAST_GOOD ||
        after->reason == DECIDE_LAST_GOOD)
        return false;
    uint16_t site = before->sites[0];
    if (site == after->sites[0] || site >= build->input->site_count) return false;
    const struct decide_site *old = &build->sites[site];
    if (!old->up || old->draining || old->capacity <= 0 || old->load >= weights->low_watermark) return false;
    return decide_spread(client_hash, build->input->version) >= weights->max_step;
}

static struct decide_answer override_answer(const struct build *build, const struct table_override *override,
                                            const struct decide_answer *chosen) {
    struct decide_answer answer = {.reason = DECIDE_OVERRIDE};
    for (size_t i = 0; i < override->site_count && i < DECIDE_ANSWER_MAX; i++) {
        uint16_t site = override->sites[i];
        if (site < build->input->site_count && build->sites[site].up && !build->sites[site].draining)
            answer.sites[answer.count++] = site;
    }
    /* An override whose sites are all dead gives way: never an empty answer. */
    return answer.count ? answer : *chosen;
}

static sk_err decide_piece(struct build *build, struct piece *piece) {
    const struct table_input *input = build->input;
    uint8_t ip[16];
    geo_ip_bytes(piece->start, ip);
    uint64_t hash = piece->start.high * UINT64_C(0x9e3779b97f4a7c15) ^ piece->start.low;
    const struct decide_answer *before = input->previous ? table_find(input->previous, ip).answer : NULL;
    struct decide_answer answer =
        decide_choose(build->sites, input->site_count, build->scores, input->weights, hash, before);
    if (must_wait(build, before, &answer, hash)) {
        struct decide_answer stay = {.count = 1, .sites = {before->sites[0]}, .reason = DECIDE_STICKY};
        for (size_t i = 0; i < answer.count && stay.count < SK_MAX(input->weights->answer_count, 1); i++)
            if (!lists_site(&stay, answer.sites[i])) stay.sites[stay.count++] = answer.sites[i];
        answer = stay;
    }
    const struct table_override *override = override_of(build, piece);
    if (override) answer = override_answer(build, override, &answer);
    return intern_list(build, &answer, &piece->list);
}

static sk_err decide_all(struct build *build) {
    sk_err err = SK_OK;
    qsort(build->pieces, build->piece_count, sizeof *build->pieces, compare_groups);
    for (size_t i = 0; i < build->piece_count && !err; i++) {
        struct piece *piece = &build->pieces[i];
        if (i == 0 || !same_group(piece - 1, piece)) rank_group(build, piece);
        err = decide_piece(build, piece);
    }
    return err;
}

static sk_err make_tree(struct build *build) {
    struct geo_ranges ranges = {0};
    sk_err err = SK_OK;
    qsort(build->pieces, build->piece_count, sizeof *build->pieces, compare_starts);
    for (size_t i = 0; i < build->piece_count && !err; i++)
        err = geo_ranges_add(&ranges, build->pieces[i].start, build->pieces[i].list);
    if (err) free(ranges.items);
    return err ? err : geo_ranges_build(&ranges, &build->table->tree);
}

static sk_err prepare(struct build *build) {
    const struct table_input *input = build->input;
    build->table = calloc(1, sizeof *build->table);
    build->sites = calloc(input->site_count, sizeof *build->sites);
    build->scores = calloc(input->site_count, sizeof *build->scores);
    build->rtts = calloc(input->site_count, sizeof *build->rtts);
    if (!build->table || !build->sites || !build->scores || !build->rtts) return SK_ERR_NO_MEMORY;
    build->table->magic = TABLE_MAGIC;
    build->table->version = input->version;
    build->table->sites_digest = table_digest_of(input->sites, input->site_count);
    for (size_t i = 0; i < input->site_count; i++) build->sites[i] = input->sites[i].decide;
    return SK_OK;
}

sk_err table_build(const struct table_input *input, struct table **out_table) {
    struct build build = {.input = input};
    if (input->site_count == 0 || input->site_count > DECIDE_SITES_MAX) return SK_ERR_INVALID;
    sk_err err = prepare(&build);
    if (!err) err = cut(&build);
    if (!err) err = decide_all(&build);
    if (!err) err = make_tree(&build);
    if (err)
        table_free(build.table);
    else
        *out_table = build.table;
    free(build.sites);
    free(build.scores);
    free(build.rtts);
    free(build.pieces);
    free(build.list_table);
    return err;
}
