/* From reports to what a table takes: rows of (network, site, median), joined by network; the same rows joined by AS in
 * country and by country stand in for networks that were not measured from a site. A country is wide: where both places
 * are known, what stands in is how much longer than light packets take, and each network adds its own distance. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "route/measure_private.h"

/* Of the samples, that take no longer beyond light's time than what stands in where nothing is known. More than half: who
 * is served well should not be sent to a site that nobody measured by a hope, but to find out. */
#define USUAL_SHARE 0.75

struct row {
    struct io_prefix prefix;
    char country[3];
    uint32_t as_number;
    uint16_t site;
    uint32_t count;
    float p50_ms, over_light_ms; /* NAN: a place is unknown */
    float value_ms;              /* one of the two, by which a level is joined */
};

struct measure_set {
    _Atomic uint32_t references;
    struct sk_arena arena;
    struct table_measurements table;
    struct table_measurement *items;
    size_t capacity;
};

struct making {
    struct measure_set *set;
    const struct geo *geo;
    struct row *rows;
    size_t count;
    size_t site_count;
    struct table_rtt *rtts; /* of one item, by site while it is made */
    bool is_over_light;     /* the rows' values are */
};

/* --- rows ------------------------------------------------------------------------------------------- */

static bool site_of(const struct source *source, const struct table_site *sites, size_t count,
                    uint16_t *out_site) {
    sk_str name = {source->site, source->site_len};
    for (size_t i = 0; i < count; i++) {
        if (!sk_str_eq(sites[i].decide.name, name)) continue;
        *out_site = (uint16_t)i;
        return true;
    }
    return false;
}

static float over_light(const struct row *row, const struct geo_place *place,
                        const struct decide_site *site) {
    if (isnan(place->latitude) || isnan(site->latitude)) return NAN;
    double km = decide_distance_km(place->latitude, place->longitude, site->latitude, site->longitude);
    return (float)fmax(0, row->p50_ms - km / DECIDE_KM_PER_MS);
}

static void add_rows(struct making *m, const struct measure_report *report, const struct table_site *sites,
                     uint16_t site) {
    for (size_t i = 0; i < report->count; i++) {
        const struct measure_network *network = &report->networks[i];
        struct row *row = &m->rows[m->count++];
        uint8_t bits;
        *row = (struct row){.prefix = network->prefix,
                            .site = site,
                            .count = network->count,
                            .p50_ms = network->p50_ms,
                            .over_light_ms = NAN,
                            .value_ms = network->p50_ms};
        if (!m->geo) continue;
        const struct geo_place *place = geo_find(m->geo, network->prefix.ip, &bits);
        memcpy(row->country, place->country, sizeof row->country);
        row->as_number = place->as_number;
        row->over_light_ms = over_light(row, place, &sites[site].decide);
    }
}

static int compare_prefix(const struct row *x, const struct row *y) {
    int order = memcmp(x->prefix.ip, y->prefix.ip, 16);
    return order ? order : x->prefix.bits - y->prefix.bits;
}

static int compare_as(const struct row *x, const struct row *y) {
    int order = memcmp(x->country, y->country, 2);
    return order ? order : (x->as_number > y->as_number) - (x->as_number < y->as_number);
}

static int compare_country(const struct row *x, const struct row *y) {
    return memcmp(x->country, y->country, 2);
}

static int compare_values(const struct row *x, const struct row *y) {
    return (x->value_ms > y->value_ms) - (x->value_ms < y->value_ms);
}

static int then_by_value(int order, const struct row *x, const struct row *y) {
    if (order) return order;
    if (x->site != y->site) return x->site - y->site;
    return compare_values(x, y);
}

static int by_prefix(const void *a, const void *b) { return then_by_value(compare_prefix(a, b), a, b); }
static int by_as(const void *a, const void *b) { return then_by_value(compare_as(a, b), a, b); }
static int by_country(const void *a, const void *b) { return then_by_value(compare_country(a, b), a, b); }
static int by_value(const void *a, const void *b) { return compare_values(a, b); }

/* --- items ------------------------------------------------------------------------------------------ */

/* The value below which SHARE of the samples are, of rows in the order of their values; NAN: too few. */
static float quantile(const struct row *rows, size_t count, double share) {
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < count; i++) total += rows[i].count;
    if (total < MEASURE_COUNT_MIN) return NAN;
    for (size_t i = 0; i < count; i++) {
        seen += rows[i].count;
        if ((double)seen >= share * (double)total) return rows[i].value_ms;
    }
    return NAN;
}

static sk_err new_item(struct measure_set *set, struct table_measurement **out_item) {
    if (set->table.count == set->capacity) {
        size_t more = set->capacity ? set->capacity * 2 : 64;
        struct table_measurement *items = realloc(set->items, more * sizeof *items);
        if (!items) return SK_ERR_NO_MEMORY;
        set->items = items;
        set->capacity = more;
    }
    *out_item = &set->items[set->table.count++];
    return SK_OK;
}

/* One item of COUNT rows that have their key in common. */
static sk_err join_rows(struct making *m, const struct row *rows, size_t count,
                        const struct table_measurement *key) {
    uint16_t used = 0;
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from; to < count && rows[to].site == rows[from].site; to++) continue;
        float p50_ms = quantile(rows + from, to - from, 0.5);
        if (isnan(p50_ms)) continue;
        m->rtts[used++] = (struct table_rtt){
            .site = rows[from].site, .over_light = m->is_over_light, .p50_ms = p50_ms, .own = key->by_prefix};
    }
    if (used == 0) return SK_OK;
    struct table_rtt *copy = sk_arena_alloc(&m->set->arena, used * sizeof *copy);
    struct table_measurement *item;
    sk_err err = copy ? new_item(m->set, &item) : SK_ERR_NO_MEMORY;
    if (err) return err;
    memcpy(copy, m->rtts, used * sizeof *copy);
    *item = *key;
    item->rtts = copy;
    item->rtt_count = used;
    return SK_OK;
}

static struct table_measurement key_of_prefix(const struct row *row) {
    struct table_measurement key = {.prefix = row->prefix, .by_prefix = true, .as_number = row->as_number};
    memcpy(key.country, row->country, sizeof key.country);
    return key;
}

static struct table_measurement key_of_as(const struct row *row) {
    struct table_measurement key = {.as_number = row->as_number};
    memcpy(key.country, row->country, sizeof key.country);
    return key;
}

static struct table_measurement key_of_country(const struct row *row) {
    struct table_measurement key = {0};
    memcpy(key.country, row->country, sizeof key.country);
    return key;
}

struct level {
    int (*sort)(const void *a, const void *b);
    int (*compare)(const struct row *x, const struct row *y);
    struct table_measurement (*key)(const struct row *row);
};
static const struct level levels[] = {{by_prefix, compare_prefix, key_of_prefix},
                                      {by_as, compare_as, key_of_as},
                                      {by_country, compare_country, key_of_country}};
enum { LEVEL_PREFIX, LEVEL_AS, LEVEL_COUNTRY, LEVELS };

static sk_err join_level(struct making *m, const struct level *level, bool wants_as) {
    sk_err err = SK_OK;
    qsort(m->rows, m->count, sizeof *m->rows, level->sort);
    for (size_t from = 0, to; from < m->count && !err; from = to) {
        for (to = from; to < m->count && level->compare(&m->rows[from], &m->rows[to]) == 0; to++) continue;
        bool known = level == &levels[LEVEL_PREFIX] || m->rows[from].country[0];
        if (!known || (wants_as && !m->rows[from].as_number)) continue;
        struct table_measurement key = level->key(&m->rows[from]);
        err = join_rows(m, m->rows + from, to - from, &key);
    }
    return err;
}

/* From here on the rows are about the time over light's, if the place of any is known; the others go. */
static void count_over_light(struct making *m) {
    size_t placed = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (isnan(m->rows[i].over_light_ms)) continue;
        m->rows[placed] = m->rows[i];
        m->rows[placed].value_ms = m->rows[placed].over_light_ms;
        placed++;
    }
    if (!placed) return;
    m->count = placed;
    m->is_over_light = true;
    qsort(m->rows, m->count, sizeof *m->rows, by_value);
    float usual = quantile(m->rows, m->count, USUAL_SHARE);
    m->set->table.over_light_ms = isnan(usual) ? 0 : usual;
}

/* --- standing in ------------------------------------------------------------------------------------ */

static bool has_site(const struct table_measurement *item, uint16_t site) {
    for (uint16_t i = 0; i < item->rtt_count; i++)
        if (item->rtts[i].site == site) return true;
    return false;
}

/* The item of the AS in the country, or (AS 0) of the country. They lie in the order of their keys. */
static const struct table_measurement *wider(const struct measure_set *set, size_t from, size_t to,
                                             const struct table_measurement *item, uint32_t as_number) {
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct table_measurement *other = &set->items[middle];
        int order = memcmp(other->country, item->country, 2);
        if (!order) order = (other->as_number > as_number) - (other->as_number < as_number);
        if (!order) return other;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

/* ITEM with what FROM knows about other sites. */
static sk_err fill_from(struct making *m, struct table_measurement *item,
                        const struct table_measurement *from) {
    uint16_t used = item->rtt_count;
    if (!from) return SK_OK;
    memcpy(m->rtts, item->rtts, used * sizeof *m->rtts);
    for (uint16_t i = 0; i < from->rtt_count; i++)
        if (!has_site(item, from->rtts[i].site)) m->rtts[used++] = from->rtts[i];
    if (used == item->rtt_count) return SK_OK;
    struct table_rtt *copy = sk_arena_alloc(&m->set->arena, used * sizeof *copy);
    if (!copy) return SK_ERR_NO_MEMORY;
    memcpy(copy, m->rtts, used * sizeof *copy);
    item->rtts = copy;
    item->rtt_count = used;
    return SK_OK;
}

static sk_err stand_in(struct making *m, size_t as_begin, size_t country_begin) {
    struct measure_set *set = m->set;
    sk_err err = SK_OK;
    for (size_t i = 0; i < country_begin && !err; i++) {
        struct table_measurement *item = &set->items[i];
        if (!item->country[0]) continue;
        if (i < as_begin)
            err = fill_from(m, item, wider(set, as_begin, country_begin, item, item->as_number));
        if (!err) err = fill_from(m, item, wider(set, country_begin, set->table.count, item, 0));
    }
    return err;
}

/* --- the set ---------------------------------------------------------------------------------------- */

static sk_err make_items(struct making *m) {
    struct measure_set *set = m->set;
    sk_err err = join_level(m, &levels[LEVEL_PREFIX], false);
    set->table.prefix_count = set->table.count;
    count_over_light(m);
    if (!err) err = join_level(m, &levels[LEVEL_AS], true);
    size_t country_begin = set->table.count;
    if (!err) err = join_level(m, &levels[LEVEL_COUNTRY], false);
    if (!err) err = stand_in(m, set->table.prefix_count, country_begin);
    set->table.items = set->items;
    return err;
}

static sk_err collect(struct making *m, const struct measure *measure, const struct table_site *sites,
                      sk_time_ns now) {
    size_t room = 0;
    for (size_t i = 0; i < measure->count; i++) room += measure->sources[i].report.count;
    m->rows = malloc(SK_MAX(room, 1) * sizeof *m->rows);
    m->rtts = malloc(SK_MAX(m->site_count, 1) * sizeof *m->rtts);
    if (!m->rows || !m->rtts) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < measure->count; i++) {
        const struct source *source = &measure->sources[i];
        uint16_t site;
        if (now - source->at <= MEASURE_REPORT_NS && site_of(source, sites, m->site_count, &site))
            add_rows(m, &source->report, sites, site);
    }
    return SK_OK;
}

sk_err measure_set_create(const struct measure *measure, const struct table_site *sites, size_t count,
                          const struct geo *geo, sk_time_ns now, struct measure_set **out_set) {
    struct making m = {.geo = geo, .site_count = count};
    *out_set = NULL;
    if (!measure->count) return SK_OK;
    m.set = calloc(1, sizeof *m.set);
    if (!m.set) return SK_ERR_NO_MEMORY;
    atomic_init(&m.set->references, 1);
    sk_arena_init(&m.set->arena, 4096, 0);
    sk_err err = collect(&m, measure, sites, now);
    if (!err) err = make_items(&m);
    free(m.rows);
    free(m.rtts);
    if (err)
        measure_set_unref(m.set);
    else
        *out_set = m.set;
    return err;
}

const struct table_measurements *measure_set_items(const struct measure_set *set) {
    return set ? &set->table : NULL;
}

struct measure_set *measure_set_ref(struct measure_set *set) {
    /* Whoever refers anew has a reference already: nothing to order. */
    if (set) atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void measure_set_unref(struct measure_set *set) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1) return;
    sk_arena_free(&set->arena);
    free(set->items);
    free(set);
}
