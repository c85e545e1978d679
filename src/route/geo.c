/* MMDB files to one tree of places. Each file is walked once, node by node; its data records, of which many networks
 * share one, are read once each. The files' ranges are then merged side by side. */
#include "route/geo.h"

#include <math.h>
#include <maxminddb.h>
#include <stdlib.h>

#include "base/hash.h"
#include "route/geo_tree.h"

enum { FILES_MAX = GEO_TREES_MAX, NODES_MAX = 64 << 20 };
#define PLACES_MAX (8u << 20)

/* Places, each once; index 0 is "nothing known". */
struct places {
    struct geo_place *items;
    size_t count, capacity;
    uint32_t *table; /* of indexes + 1, open addressing, at most half full */
    size_t mask;
};

struct geo {
    struct geo_tree *tree;
    struct places places;
};

static const struct geo_place nothing = {.latitude = NAN, .longitude = NAN};

static uint64_t place_hash(const struct geo_place *place) { return sk_hash64(place, sizeof *place); }

static sk_err grow_places(struct places *places) {
    size_t capacity = places->capacity ? places->capacity * 2 : 1024, slots = capacity * 2;
    struct geo_place *items = realloc(places->items, capacity * sizeof *items);
    if (items) places->items = items;
    uint32_t *table = calloc(slots, sizeof *table);
    if (!items || !table) {
        free(table);
        return SK_ERR_NO_MEMORY;
    }
    free(places->table);
    places->table = table;
    places->mask = slots - 1;
    places->capacity = capacity;
    for (size_t i = 0; i < places->count; i++) {
        size_t at = place_hash(&items[i]) & places->mask;
        while (table[at]) at = (at + 1) & places->mask;
        table[at] = (uint32_t)i + 1;
    }
    return SK_OK;
}

/* The number of PLACE; it was zeroed before it was filled, so that padding compares too. */
static sk_err intern_place(struct places *places, const struct geo_place *place, uint32_t *out_id) {
    if (places->count == places->capacity) {
        sk_err err = grow_places(places);
        if (err) return err;
    }
    size_t at = place_hash(place) & places->mask;
    for (; places->table[at]; at = (at + 1) & places->mask) {
        uint32_t id = places->table[at] - 1;
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): as said above */
        if (memcmp(&places->items[id], place, sizeof *place) == 0) {
            *out_id = id;
            return SK_OK;
        }
    }
    if (places->count >= PLACES_MAX) return SK_ERR_TOO_LARGE;
    places->table[at] = (uint32_t)places->count + 1;
    places->items[places->count] = *place;
    *out_id = (uint32_t)places->count++;
    return SK_OK;
}

static void blank_place(struct geo_place *place) {
    memset(place, 0, sizeof *place);
    place->latitude = place->longitude = NAN;
}

/* --- one file --------------------------------------------------------------------------------------- */

/* Where City, Country, ASN and flat layouts keep what we want. */
static const char *const latitude_paths[][4] = {{"location", "latitude"}, {"latitude"}, {"lat"}};
static const char *const longitude_paths[][4] = {{"location", "longitude"}, {"longitude"}, {"lng"}, {"lon"}};
static const char *const country_paths[][4] = {
    {"country", "iso_code"}, {"country_code"}, {"country"}, {"registered_country", "iso_code"}};
static const char *const continent_paths[][4] = {{"continent", "code"}, {"continent_code"}, {"continent"}};
static const char *const as_paths[][4] = {
    {"autonomous_system_number"}, {"asn"}, {"as_number"}, {"traits", "autonomous_system_number"}};

static double number_of(const MMDB_entry_data_s *data) {
    char text[32];
    switch (data->type) {
    case MMDB_DATA_TYPE_DOUBLE: return data->double_value;
    case MMDB_DATA_TYPE_FLOAT: return (double)data->float_value;
    case MMDB_DATA_TYPE_UINT16: return data->uint16;
    case MMDB_DATA_TYPE_UINT32: return data->uint32;
    case MMDB_DATA_TYPE_INT32: return data->int32;
    case MMDB_DATA_TYPE_UTF8_STRING: break;
    default: return NAN;
    }
    /* Flat layouts write numbers as text, AS numbers also as "AS64500". */
    sk_str s = sk_str_make(data->utf8_string, data->data_size);
    if (sk_str_istarts_with(s, SK_STR("AS"))) s = sk_str_slice(s, 2, s.len);
    if (s.len == 0 || s.len >= sizeof text) return NAN;
    memcpy(text, s.data, s.len);
    text[s.len] = 0;
    char *end;
    double value = strtod(text, &end);
    return *end ? NAN : value;
}

/* The first of PATHS that is there. */
static bool find_data(MMDB_entry_s *entry, const char *const paths[][4], size_t count,
                      MMDB_entry_data_s *out) {
    for (size_t i = 0; i < count; i++)
        if (MMDB_aget_value(entry, out, paths[i]) == MMDB_SUCCESS && out->has_data &&
            out->type != MMDB_DATA_TYPE_MAP)
            return true;
    return false;
}

static double find_number(MMDB_entry_s *entry, const char *const paths[][4], size_t count, double low,
                          double high) {
    MMDB_entry_data_s data;
    double value = find_data(entry, paths, count, &data) ? number_of(&data) : NAN;
    return value >= low && value <= high ? value : NAN;
}

static void find_code(MMDB_entry_s *entry, const char *const paths[][4], size_t count, char out[3]) {
    MMDB_entry_data_s data;
    if (!find_data(entry, paths, count, &data) || data.type != MMDB_DATA_TYPE_UTF8_STRING ||
        data.data_size != 2)
        return;
    memcpy(out, data.utf8_string, 2);
}

static void read_place(MMDB_entry_s *entry, struct geo_place *place) {
    blank_place(place);
    place->latitude = find_number(entry, latitude_paths, SK_COUNT(latitude_paths), -90, 90);
    place->longitude = find_number(entry, longitude_paths, SK_COUNT(longitude_paths), -180, 180);
    if (isnan(place->latitude) || isnan(place->longitude)) place->latitude = place->longitude = NAN;
    find_code(entry, country_paths, SK_COUNT(country_paths), place->country);
    find_code(entry, continent_paths, SK_COUNT(continent_paths), place->continent);
    double number = find_number(entry, as_paths, SK_COUNT(as_paths), 0, UINT32_MAX);
    place->as_number = isnan(number) ? 0 : (uint32_t)number;
}

/* A file being walked: its data records' places by offset, open addressing. */
struct walk {
    MMDB_s db;
    struct places *places;
    struct geo_tree_builder *builder;
    struct seen {
        uint32_t offset, place; /* offset + 1 */
    } *seen;
    size_t seen_count, seen_mask;
    uint64_t nodes;
};

static sk_err grow_seen(struct walk *walk) {
    size_t slots = walk->seen_mask ? (walk->seen_mask + 1) * 2 : 4096;
    struct seen *table = calloc(slots, sizeof *table);
    if (!table) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; walk->seen && i <= walk->seen_mask; i++) {
        if (!walk->seen[i].offset) continue;
        size_t at = walk->seen[i].offset * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (slots - 1);
        while (table[at].offset) at = (at + 1) & (slots - 1);
        table[at] = walk->seen[i];
    }
    free(walk->seen);
    walk->seen = table;
    walk->seen_mask = slots - 1;
    return SK_OK;
}

static sk_err place_of(struct walk *walk, MMDB_entry_s *entry, uint32_t *out_place) {
    if (walk->seen_count * 2 >= walk->seen_mask) {
        sk_err err = grow_seen(walk);
        if (err) return err;
    }
    uint32_t offset = entry->offset + 1;
    size_t at = offset * UINT64_C(0x9e3779b97f4a7c15) >> 32 & walk->seen_mask;
    while (walk->seen[at].offset && walk->seen[at].offset != offset) at = (at + 1) & walk->seen_mask;
    if (!walk->seen[at].offset) {
        struct geo_place place;
        uint32_t id;
        read_place(entry, &place);
        sk_err err = intern_place(walk->places, &place, &id);
        if (err) return err;
        walk->seen[at] = (struct seen){offset, id};
        walk->seen_count++;
    }
    *out_place = walk->seen[at].place;
    return SK_OK;
}

/* A network of the file. IPv4 lies at ::/96 there and at ::ffff:0:0/96 here. */
static sk_err add_network(struct walk *walk, const uint8_t ip[16], uint8_t bits, MMDB_entry_s *entry) {
    static const uint8_t zeros[12];
    uint32_t place;
    struct io_prefix prefix = {.bits = bits};
    sk_err err = place_of(walk, entry, &place);
    if (err) return err;
    memcpy(prefix.ip, ip, 16);
    if (walk->db.metadata.ip_version == 4 || (bits >= 96 && memcmp(ip, zeros, 12) == 0))
        prefix.ip[10] = prefix.ip[11] = 0xff;
    return geo_tree_builder_add(walk->builder, &prefix, place);
}

/* IPv4-mapped, 6to4 and Teredo prefixes lead back to IPv4's nodes: those would be walked again. */
static bool is_alias(const uint8_t ip[16], uint8_t bits) {
    static const struct {
        uint8_t bits, ip[12];
    } aliases[] = {{96, {[10] = 0xff, [11] = 0xff}}, {16, {0x20, 0x02}}, {32, {0x20, 0x01}}};
    for (size_t i = 0; i < SK_COUNT(aliases); i++)
        if (bits == aliases[i].bits && memcmp(ip, aliases[i].ip, bits / 8) == 0) return true;
    return false;
}

static sk_err walk_node(struct walk *walk, uint32_t number, uint8_t ip[16], uint8_t bits);

static sk_err walk_record(struct walk *walk, uint8_t type, uint64_t record, MMDB_entry_s *entry,
                          uint8_t ip[16], uint8_t bits) {
    if (walk->db.metadata.ip_version == 6 && is_alias(ip, bits)) return SK_OK;
    if (type == MMDB_RECORD_TYPE_EMPTY) return SK_OK;
    if (type == MMDB_RECORD_TYPE_DATA) return add_network(walk, ip, bits, entry);
    if (type == MMDB_RECORD_TYPE_SEARCH_NODE && bits < 128)
        return walk_node(walk, (uint32_t)record, ip, bits);
    return SK_ERR_CORRUPT;
}

/* Depth is bounded by the 128 bits of an address; a damaged file cannot make the walk longer than NODES_MAX. */
static sk_err walk_node(struct walk *walk, uint32_t number, uint8_t ip[16], uint8_t bits) {
    MMDB_search_node_s node;
    if (++walk->nodes > NODES_MAX || MMDB_read_node(&walk->db, number, &node) != MMDB_SUCCESS)
        return SK_ERR_CORRUPT;
    uint8_t mask = (uint8_t)(0x80 >> bits % 8);
    sk_err err = walk_record(walk, node.left_record_type, node.left_record, &node.left_record_entry, ip,
                             (uint8_t)(bits + 1));
    if (err) return err;
    ip[bits / 8] |= mask;
    err = walk_record(walk, node.right_record_type, node.right_record, &node.right_record_entry, ip,
                      (uint8_t)(bits + 1));
    ip[bits / 8] &= (uint8_t)~mask;
    return err;
}

static sk_err load_file(const char *path, struct places *places, struct geo_tree **out_tree) {
    struct walk walk = {.places = places};
    uint8_t ip[16] = {0};
    if (MMDB_open(path, MMDB_MODE_MMAP, &walk.db) != MMDB_SUCCESS) return SK_ERR_CORRUPT;
    sk_err err = geo_tree_builder_create(&walk.builder);
    if (!err) err = walk_node(&walk, 0, ip, walk.db.metadata.ip_version == 4 ? 96 : 0);
    if (walk.builder) {
        struct geo_tree *tree = NULL;
        sk_err built = geo_tree_build(walk.builder, &tree);
        if (!err) err = built;
        if (!err)
            *out_tree = tree;
        else
            geo_tree_free(tree);
    }
    free(walk.seen);
    MMDB_close(&walk.db);
    return err;
}

/* --- several files ---------------------------------------------------------------------------------- */

/* What FROM knows and INTO does not. */
static void merge_place(struct geo_place *into, const struct geo_place *from) {
    if (isnan(into->latitude)) into->latitude = from->latitude, into->longitude = from->longitude;
    if (!into->country[0]) memcpy(into->country, from->country, sizeof into->country);
    if (!into->continent[0]) memcpy(into->continent, from->continent, sizeof into->continent);
    if (!into->as_number) into->as_number = from->as_number;
}

struct merge {
    struct places *places;
    struct geo_ranges ranges;
    size_t count;
};

static sk_err merge_stretch(void *arg, struct geo_ip start, const uint32_t *values) {
    struct merge *merge = arg;
    struct geo_place place;
    uint32_t id;
    blank_place(&place);
    for (size_t i = 0; i < merge->count; i++) merge_place(&place, &merge->places->items[values[i]]);
    sk_err err = intern_place(merge->places, &place, &id);
    return err ? err : geo_ranges_add(&merge->ranges, start, id);
}

static sk_err merge_trees(struct geo *geo, struct geo_tree *const *trees, size_t count) {
    struct merge merge = {.places = &geo->places, .count = count};
    sk_err err = geo_trees_walk((const struct geo_tree *const *)trees, count, merge_stretch, &merge);
    if (err) free(merge.ranges.items);
    return err ? err : geo_ranges_build(&merge.ranges, &geo->tree);
}

sk_err geo_load(const char *const *paths, size_t count, struct geo **out_geo, struct sk_buf *problems) {
    struct geo_tree *trees[FILES_MAX] = {0};
    struct geo *geo = calloc(1, sizeof *geo);
    struct geo_place blank;
    uint32_t id;
    if (!geo) return SK_ERR_NO_MEMORY;
    blank_place(&blank);
    sk_err err = count == 0 || count > FILES_MAX ? SK_ERR_INVALID : intern_place(&geo->places, &blank, &id);
    for (size_t i = 0; !err && i < count; i++) {
        err = load_file(paths[i], &geo->places, &trees[i]);
        if (!err) continue;
        (void)!sk_buf_printf(problems, "%s: not a readable MMDB file (%s)\n", paths[i], sk_err_text(err));
        err = SK_ERR_INVALID;
    }
    if (!err) err = merge_trees(geo, trees, count);
    for (size_t i = 0; i < FILES_MAX; i++) geo_tree_free(trees[i]);
    if (err)
        geo_free(geo);
    else
        *out_geo = geo;
    return err;
}

void geo_free(struct geo *geo) {
    if (!geo) return;
    geo_tree_free(geo->tree);
    free(geo->places.items);
    free(geo->places.table);
    free(geo);
}

const struct geo_place *geo_find(const struct geo *geo, const uint8_t ip[16], uint8_t *out_bits) {
    return &geo->places.items[geo_tree_find(geo->tree, ip, out_bits)];
}

sk_err geo_walk(const struct geo *geo,
                sk_err (*visit)(void *arg, const struct io_prefix *prefix, uint32_t place_id), void *arg) {
    sk_err err = SK_OK;
    for (size_t i = 0; !err && i < geo_tree_ranges(geo->tree); i++)
        err = geo_range_prefixes(geo->tree, i, visit, arg);
    return err;
}

const struct geo_place *geo_place(const struct geo *geo, uint32_t place_id) {
    return place_id < geo->places.count ? &geo->places.items[place_id] : &nothing;
}

size_t geo_place_count(const struct geo *geo) { return geo->places.count; }
const struct geo_tree *geo_tree_of(const struct geo *geo) { return geo->tree; }
