#include "fleet/purge_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <yyjson.h>

#include "base/nearest.h"

static const char *const kind_keys[] = {
#define X(kind, key, help) [CACHE_PURGE_##kind] = key,
    FLEET_PURGE_TABLE(X)
#undef X
};

const char *fleet_purge_kind_key(enum cache_purge_kind kind) { return kind_keys[kind]; }

/* ---- problems ----------------------------------------------------------------------------------------------- */

sk_err fleet_purge_problem(struct fleet_purge_problem *problem, uint32_t item, const char *key,
                           const char *format, ...) {
    char what[384], place[64] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (item != FLEET_PURGE_ALONE)
        snprintf(place, sizeof place, "purges[%u]%s%s: ", item, *key ? "." : "", key);
    else if (*key)
        snprintf(place, sizeof place, "%s: ", key);
    snprintf(problem->text, sizeof problem->text, "%s%s", place, what);
    return SK_ERR_INVALID;
}

const char *fleet_purge_found(sk_str text, char out[FLEET_PURGE_FOUND_BYTES]) {
    size_t most = FLEET_PURGE_FOUND_BYTES - 6, len = SK_MIN(text.len, most);
    out[0] = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        out[1 + i] = byte < 0x20 || byte >= 0x7f ? '?' : (char)byte;
    }
    snprintf(out + 1 + len, 5, text.len > most ? "...\"" : "\"");
    return out;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

struct reading {
    struct sk_arena *arena;
    struct fleet_purge_request *request;
    struct fleet_purge_problem *problem;
    uint32_t capacity;
    uint32_t item;    /* that is being read */
    bool soft, erase; /* where an item does not say */
};

static sk_str text_of(yyjson_val *value) { return sk_str_make(yyjson_get_str(value), yyjson_get_len(value)); }

static sk_err add_wish(struct reading *reading, struct fleet_purge_wish wish) {
    struct fleet_purge_request *request = reading->request;
    if (request->count == FLEET_PURGES_MAX)
        return fleet_purge_problem(reading->problem, FLEET_PURGE_ALONE, "",
                                   "found more than %d purges in one request, expected fewer",
                                   FLEET_PURGES_MAX);
    if (request->count == reading->capacity) {
        uint32_t capacity = SK_MAX(2 * reading->capacity, 4);
        struct fleet_purge_wish *wishes = sk_arena_alloc(reading->arena, capacity * sizeof *wishes);
        if (!wishes) return SK_ERR_NO_MEMORY;
        if (request->count) memcpy(wishes, request->wishes, request->count * sizeof *wishes);
        request->wishes = wishes;
        reading->capacity = capacity;
    }
    wish.item = reading->item;
    request->wishes[request->count++] = wish;
    return SK_OK;
}

static sk_err add_text(struct reading *reading, const struct fleet_purge_wish *like, const char *key,
                       yyjson_val *value) {
    struct fleet_purge_wish wish = *like;
    if (!yyjson_is_str(value) || yyjson_get_len(value) == 0)
        return fleet_purge_problem(reading->problem, reading->item, key,
                                   "found %s, expected a text or a list of texts",
                                   yyjson_is_str(value) ? "an empty text" : yyjson_get_type_desc(value));
    wish.text = text_of(value);
    return add_wish(reading, wish);
}

static sk_err add_texts(struct reading *reading, const struct fleet_purge_wish *like, const char *key,
                        yyjson_val *value) {
    yyjson_val *one;
    yyjson_arr_iter iterator;
    if (!yyjson_is_arr(value)) return add_text(reading, like, key, value);
    if (yyjson_arr_size(value) == 0)
        return fleet_purge_problem(reading->problem, reading->item, key, "found an empty list");
    yyjson_arr_iter_init(value, &iterator);
    sk_err err = SK_OK;
    while (!err && (one = yyjson_arr_iter_next(&iterator))) err = add_text(reading, like, key, one);
    return err;
}

/* The keys of one object. */
struct item {
    yyjson_val *kinds[CACHE_PURGE_COUNT_], *soft, *erase, *purges;
};

static sk_err unknown_key(struct reading *reading, sk_str key) {
    struct sk_nearest nearest = sk_nearest_to(key);
    char found[FLEET_PURGE_FOUND_BYTES];
    const char *best = NULL;
    for (size_t i = 0; i < SK_COUNT(kind_keys); i++)
        if (sk_nearest_offer(&nearest, sk_str_from_c(kind_keys[i]))) best = kind_keys[i];
    if (best)
        return fleet_purge_problem(reading->problem, reading->item, "",
                                   "found the key %s; did you mean \"%s\"?", fleet_purge_found(key, found),
                                   best);
    return fleet_purge_problem(
        reading->problem, reading->item, "",
        "found the key %s, expected one of url, prefix, host, site, tag, glob, all, and soft or erase",
        fleet_purge_found(key, found));
}

static yyjson_val **place_of(struct item *item, sk_str key) {
    if (sk_str_eq(key, SK_STR("soft"))) return &item->soft;
    if (sk_str_eq(key, SK_STR("erase"))) return &item->erase;
    if (sk_str_eq(key, SK_STR("purges"))) return &item->purges;
    if (sk_str_eq(key, SK_STR("tags"))) return &item->kinds[CACHE_PURGE_TAG];
    for (size_t i = 0; i < SK_COUNT(kind_keys); i++)
        if (sk_str_eq(key, sk_str_from_c(kind_keys[i]))) return &item->kinds[i];
    return NULL;
}

static sk_err sort_keys(struct reading *reading, yyjson_val *object, struct item *out_item) {
    yyjson_val *key;
    yyjson_obj_iter iterator;
    struct item item = {0};
    char found[FLEET_PURGE_FOUND_BYTES];
    if (!yyjson_is_obj(object))
        return fleet_purge_problem(
            reading->problem, reading->item, "",
            "found %s, expected an object (example: {\"url\": \"https://www.example.com/a\"})",
            yyjson_get_type_desc(object));
    yyjson_obj_iter_init(object, &iterator);
    while ((key = yyjson_obj_iter_next(&iterator))) {
        yyjson_val **place = place_of(&item, text_of(key));
        if (!place) return unknown_key(reading, text_of(key));
        if (*place)
            return fleet_purge_problem(reading->problem, reading->item, "", "found %s twice",
                                       fleet_purge_found(text_of(key), found));
        *place = yyjson_obj_iter_get_val(key);
    }
    *out_item = item;
    return SK_OK;
}

static sk_err read_flag(struct reading *reading, const char *key, yyjson_val *value, bool *out_flag) {
    if (!value) return SK_OK;
    if (!yyjson_is_bool(value))
        return fleet_purge_problem(reading->problem, reading->item, key, "found %s, expected true or false",
                                   yyjson_get_type_desc(value));
    *out_flag = yyjson_get_bool(value);
    return SK_OK;
}

/* The one kind that an item names; "site" beside a tag or a pattern only says where. */
static sk_err choose_kind(struct reading *reading, struct item *item, struct fleet_purge_wish *out_wish) {
    enum cache_purge_kind chosen = CACHE_PURGE_COUNT_;
    yyjson_val *site = item->kinds[CACHE_PURGE_SITE];
    if (site && (item->kinds[CACHE_PURGE_TAG] || item->kinds[CACHE_PURGE_GLOB])) {
        if (!yyjson_is_str(site) || yyjson_get_len(site) == 0)
            return fleet_purge_problem(reading->problem, reading->item, "site",
                                       "found %s, expected a site's name", yyjson_get_type_desc(site));
        out_wish->site = text_of(site);
        item->kinds[CACHE_PURGE_SITE] = NULL;
    }
    for (unsigned kind = 0; kind < CACHE_PURGE_COUNT_; kind++) {
        if (!item->kinds[kind]) continue;
        if (chosen != CACHE_PURGE_COUNT_)
            return fleet_purge_problem(reading->problem, reading->item, "",
                                       "found both \"%s\" and \"%s\", expected one of them",
                                       kind_keys[chosen], kind_keys[kind]);
        chosen = (enum cache_purge_kind)kind;
    }
    if (chosen == CACHE_PURGE_COUNT_)
        return fleet_purge_problem(
            reading->problem, reading->item, "",
            "found nothing to purge, expected one of url, prefix, host, site, tag, glob, all");
    out_wish->kind = chosen;
    return SK_OK;
}

static sk_err read_item(struct reading *reading, struct item *item) {
    struct fleet_purge_wish wish = {.soft = reading->soft, .erase = reading->erase};
    sk_err err = choose_kind(reading, item, &wish);
    if (!err) err = read_flag(reading, "soft", item->soft, &wish.soft);
    if (!err) err = read_flag(reading, "erase", item->erase, &wish.erase);
    if (err) return err;
    if (wish.erase && (wish.kind != CACHE_PURGE_SITE || wish.soft))
        return fleet_purge_problem(reading->problem, reading->item, "erase",
                                   "goes with \"site\" alone, and is for good: never with \"soft\"");
    yyjson_val *value = item->kinds[wish.kind];
    if (wish.kind != CACHE_PURGE_ALL) return add_texts(reading, &wish, kind_keys[wish.kind], value);
    if (!yyjson_is_true(value))
        return fleet_purge_problem(reading->problem, reading->item, "all", "found %s, expected true",
                                   yyjson_is_bool(value) ? "false" : yyjson_get_type_desc(value));
    return add_wish(reading, wish);
}

static sk_err read_list(struct reading *reading, const struct item *top) {
    yyjson_val *object;
    yyjson_arr_iter iterator;
    sk_err err = read_flag(reading, "soft", top->soft, &reading->soft);
    if (!err) err = read_flag(reading, "erase", top->erase, &reading->erase);
    for (unsigned kind = 0; kind < CACHE_PURGE_COUNT_ && !err; kind++)
        if (top->kinds[kind])
            err = fleet_purge_problem(reading->problem, FLEET_PURGE_ALONE, "",
                                      "found both \"purges\" and \"%s\", expected one of them",
                                      kind_keys[kind]);
    if (err) return err;
    if (!yyjson_is_arr(top->purges) || yyjson_arr_size(top->purges) == 0)
        return fleet_purge_problem(reading->problem, FLEET_PURGE_ALONE, "purges", "found %s, expected a list",
                                   yyjson_is_arr(top->purges) ? "an empty list"
                                                              : yyjson_get_type_desc(top->purges));
    yyjson_arr_iter_init(top->purges, &iterator);
    reading->item = 0;
    while (!err && (object = yyjson_arr_iter_next(&iterator))) {
        struct item item;
        err = sort_keys(reading, object, &item);
        if (!err && item.purges)
            err = fleet_purge_problem(reading->problem, reading->item, "purges",
                                      "found a list within the list");
        if (!err) err = read_item(reading, &item);
        reading->item++;
    }
    return err;
}

sk_err fleet_purge_parse(sk_str text, struct sk_arena *arena, struct fleet_purge_request *out_request,
                         struct fleet_purge_problem *out_problem) {
    struct fleet_purge_request request = {0};
    struct reading reading = {
        .arena = arena, .request = &request, .problem = out_problem, .item = FLEET_PURGE_ALONE};
    struct item top;
    yyjson_read_err why;
    yyjson_doc *document = yyjson_read_opts((char *)(uintptr_t)text.data, text.len, 0, NULL, &why);
    if (!document && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return SK_ERR_NO_MEMORY;
    if (!document)
        return fleet_purge_problem(out_problem, FLEET_PURGE_ALONE, "",
                                   "found no JSON: %s at byte %zu (example: {\"tag\": \"news\"})", why.msg,
                                   why.pos);
    request.document = document;
    sk_err err = sort_keys(&reading, yyjson_doc_get_root(document), &top);
    if (!err) err = top.purges ? read_list(&reading, &top) : read_item(&reading, &top);
    if (err)
        fleet_purge_request_free(&request);
    else
        *out_request = request;
    return err;
}

void fleet_purge_request_free(struct fleet_purge_request *request) {
    yyjson_doc_free(request->document);
    *request = (struct fleet_purge_request){0};
}
