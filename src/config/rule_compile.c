#include "config/rule_compile.h"

#include <stdlib.h>

#include "base/glob.h"
#include "config/value.h"
#include "http/uri.h"

enum { PATTERN_BYTES = 512, STARS_MAX = 16, NAMES_BYTES = 128, STATUS_TTLS_MAX = 64 };

/* ---- forms of text ---------------------------------------------------------------------------------------- */

static bool visible(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~') return false;
    return true;
}

/* A pattern that no normal path can match is a slip. */
bool config_is_pattern(sk_str text) {
    char room[PATTERN_BYTES + 16];
    struct sk_arena arena;
    sk_str normal;
    bool good = text.len >= 1 && text.len <= PATTERN_BYTES && (text.data[0] == '/' || text.data[0] == '*') &&
                visible(text) && sk_str_find_byte(text, '#') == text.len && sk_glob_stars(text) <= STARS_MAX;
    if (!good) return false;
    sk_arena_init(&arena, sizeof room, 0);
    good = http_path_normalise(&arena, text, &normal) == SK_OK && sk_str_eq(normal, text);
    sk_arena_free(&arena);
    return good;
}

bool config_is_names(sk_str text) {
    return text.len >= 1 && text.len <= NAMES_BYTES && visible(text) && sk_glob_stars(text) <= STARS_MAX;
}

/* Framing and what the edge writes itself. */
static bool reserved(sk_str name) {
    switch (http_field_lookup(name)) {
    case HTTP_FIELD_AGE:
    case HTTP_FIELD_CACHE_STATUS:
    case HTTP_FIELD_CDN_LOOP:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_ENCODING:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_RANGE:
    case HTTP_FIELD_DATE:
    case HTTP_FIELD_EXPECT:
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_HTTP2_SETTINGS:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_RANGE:
    case HTTP_FIELD_TE:
    case HTTP_FIELD_TRAILER:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_VIA: return true;
    default: return false;
    }
}

bool config_is_field(sk_str text) {
    return text.len <= NAMES_BYTES && http_token_valid(text) && !reserved(text);
}

static void cut_line(sk_str line, sk_str *out_name, sk_str *out_value) {
    size_t colon = sk_str_find_byte(line, ':');
    *out_name = sk_str_slice(line, 0, colon);
    *out_value = sk_str_trim(sk_str_slice(line, colon + 1, line.len));
}

bool config_is_field_line(sk_str text) {
    sk_str name, value;
    cut_line(text, &name, &value);
    return text.len <= PATTERN_BYTES * 2 && name.len < text.len && config_is_field(name) &&
           http_field_value_valid(value);
}

/* ---- lifetimes by status ---------------------------------------------------------------------------------- */

static sk_err number_of(enum config_kind kind, sk_str text, int64_t *out_number) {
    const struct config_option option = {.kind = kind, .min = "", .max = ""};
    struct config_value value;
    sk_err err = config_value_read(&option, text, NULL, &value);
    if (!err) *out_number = value.number;
    return err;
}

/* "404", "400-499" or "4xx". */
static sk_err read_statuses(sk_str text, struct http_status_ttl *out_ttl) {
    int64_t statuses;
    if (text.len == 3 && text.data[0] >= '2' && text.data[0] <= '5' &&
        sk_str_eq(sk_str_slice(text, 1, 3), SK_STR("xx"))) {
        out_ttl->first = (uint16_t)((text.data[0] - '0') * 100);
        out_ttl->last = out_ttl->first + 99;
        return SK_OK;
    }
    if (number_of(CONFIG_KIND_STATUSES, text, &statuses)) return SK_ERR_INVALID;
    out_ttl->first = (uint16_t)(statuses / 1000);
    out_ttl->last = (uint16_t)(statuses % 1000);
    return out_ttl->first >= 200 && out_ttl->last <= 599 ? SK_OK : SK_ERR_INVALID;
}

static sk_err read_status_ttl(sk_str text, struct http_status_ttl *out_ttl) {
    size_t equals = sk_str_find_byte(text, '=');
    sk_err err = read_statuses(sk_str_slice(text, 0, equals), out_ttl);
    return err ? err
               : number_of(CONFIG_KIND_LIFETIME, sk_str_slice(text, equals + 1, text.len), &out_ttl->ttl_s);
}

sk_err config_status_ttls_read(struct sk_arena *arena, sk_str text, struct http_status_ttls *out_ttls) {
    struct http_status_ttl ttls[STATUS_TTLS_MAX];
    uint32_t count = 0;
    sk_str word;
    if (!sk_str_trim(text).len) return SK_ERR_INVALID;
    if (sk_str_eq(text, SK_STR("none"))) text = (sk_str){NULL, 0};
    while (sk_str_cut(&text, ' ', &word)) {
        if (!word.len) continue;
        if (count == STATUS_TTLS_MAX || read_status_ttl(word, &ttls[count++])) return SK_ERR_INVALID;
    }
    if (!arena) return SK_OK;
    struct http_status_ttl *items = sk_arena_alloc(arena, SK_MAX(count, 1u) * sizeof *items);
    if (!items) return SK_ERR_NO_MEMORY;
    if (count) memcpy(items, ttls, count * sizeof *items);
    *out_ttls = (struct http_status_ttls){items, count};
    return SK_OK;
}

/* ---- what is given ---------------------------------------------------------------------------------------- */

/* The VALUE rows that are there. */
static sk_err fill_given(const struct config_section *section, struct sk_arena *arena, const void *raw,
                         void *fields) {
    sk_err err = SK_OK;
    for (size_t i = 0; raw && i < section->count && !err; i++) {
        const struct config_option *option = &section->options[i];
        struct config_value value;
        const char *text;
        if (option->shape != CONFIG_SHAPE_VALUE) continue;
        memcpy(&text, (const char *)raw + option->raw_offset, sizeof text);
        if (!text) continue;
        err = config_value_read(option, sk_str_from_c(text), arena, &value);
        if (!err) config_value_store(option, &value, fields);
    }
    return err;
}

static sk_err copy_texts(struct sk_arena *arena, char *const *texts, uint32_t count, sk_str **out_copies,
                         uint32_t *out_count) {
    if (!count) return SK_OK;
    sk_str *copies = sk_arena_zalloc(arena, count * sizeof *copies);
    if (!copies) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        copies[i] = sk_arena_copy(arena, sk_str_from_c(texts[i]));
        if (!copies[i].data) return SK_ERR_NO_MEMORY;
    }
    *out_copies = copies;
    *out_count = count;
    return SK_OK;
}

static int compare_texts(const void *a, const void *b) {
    return sk_str_compare(*(const sk_str *)a, *(const sk_str *)b);
}

/* Lower case, in order, once each, joined by ",": as cache_vary_names writes them. */
static sk_err join_names(struct sk_arena *arena, char *const *texts, uint32_t count, sk_str *out_names) {
    sk_str *names = NULL, joined = {0};
    uint32_t ignored;
    sk_err err = copy_texts(arena, texts, count, &names, &ignored);
    if (err || !count) return err;
    for (uint32_t i = 0; i < count; i++) {
        char *lower = sk_arena_alloc(arena, names[i].len);
        if (!lower) return SK_ERR_NO_MEMORY;
        sk_ascii_lower(lower, names[i].data, names[i].len);
        names[i].data = lower;
    }
    qsort(names, count, sizeof *names, compare_texts);
    joined = names[0];
    for (uint32_t i = 1; i < count; i++) {
        if (sk_str_eq(names[i], names[i - 1])) continue;
        joined = sk_arena_printf(arena, "%.*s,%.*s", SK_STR_ARGS(joined), SK_STR_ARGS(names[i]));
        if (!joined.data) return SK_ERR_NO_MEMORY;
    }
    *out_names = joined;
    return SK_OK;
}

static sk_err compile_key(struct sk_arena *arena, const struct config_raw_KEY *raw,
                          struct http_key_rules *key) {
    sk_str *keep = NULL, *drop = NULL, *cookies = NULL;
    if (!raw) return SK_OK;
    sk_err err = copy_texts(arena, raw->query_keep, raw->query_keep_count, &keep, &key->query_keep_count);
    if (!err) err = copy_texts(arena, raw->query_drop, raw->query_drop_count, &drop, &key->query_drop_count);
    if (!err) err = copy_texts(arena, raw->cookies, raw->cookies_count, &cookies, &key->cookie_count);
    if (!err) err = join_names(arena, raw->headers, raw->headers_count, &key->headers);
    if (keep) key->query_keep = keep;
    if (drop) key->query_drop = drop;
    if (cookies) key->cookies = cookies;
    return err;
}

static sk_err given_ttls(struct sk_arena *arena, const char *text, struct http_status_ttls *out_ttls) {
    return text ? config_status_ttls_read(arena, sk_str_from_c(text), out_ttls) : SK_OK;
}

/* The HAND rows that are there. */
static sk_err compile_cache(struct sk_arena *arena, const struct config_raw_CACHE *raw,
                            struct config_rule *rule) {
    struct http_cache_policy *cache = &rule->cache;
    int64_t enabled;
    if (!raw) return SK_OK;
    sk_err err = given_ttls(arena, raw->ttl_by_status, &cache->default_by_status);
    if (!err) err = given_ttls(arena, raw->negative_ttl, &cache->negative);
    if (!err) err = given_ttls(arena, raw->override_ttl_by_status, &cache->override_by_status);
    if (!err && raw->enabled) {
        err = number_of(CONFIG_KIND_FLAG, sk_str_from_c(raw->enabled), &enabled);
        if (!err) rule->enabled = enabled != 0;
    }
    return err;
}

static const struct config_section *section_of(const char *key) {
    const struct config_section *site = config_option_find(config_top, SK_STR("sites"))->section;
    return config_option_find(site, sk_str_from_c(key))->section;
}

sk_err config_base_compile(struct sk_arena *arena, const struct config_raw_SITE *raw,
                           struct config_rule *out_base) {
    const char *negative = config_option_find(section_of("cache"), SK_STR("negative_ttl"))->default_text;
    out_base->enabled = true;
    sk_err err = given_ttls(arena, negative, &out_base->cache.negative);
    if (!err) err = compile_cache(arena, raw->cache, out_base);
    return err ? err : compile_key(arena, raw->key, &out_base->key);
}

/* ---- a rule ----------------------------------------------------------------------------------------------- */

static sk_err compile_paths(struct sk_arena *arena, const struct config_raw_RULE *raw,
                            struct config_rule *rule) {
    uint32_t count = raw->paths_count + (raw->path != NULL);
    struct config_pattern *paths = sk_arena_zalloc(arena, SK_MAX(count, 1u) * sizeof *paths);
    if (!paths) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        const char *text = raw->path && i == 0 ? raw->path : raw->paths[i - (raw->path != NULL)];
        paths[i].text = sk_arena_copy(arena, sk_str_from_c(text));
        if (!paths[i].text.data) return SK_ERR_NO_MEMORY;
        paths[i].literal = sk_glob_literal(paths[i].text).len;
    }
    rule->paths = paths;
    rule->path_count = count;
    return SK_OK;
}

static sk_err compile_lines(struct sk_arena *arena, char *const *lines, uint32_t count,
                            struct config_edits *edits) {
    struct http_field *fields = sk_arena_zalloc(arena, SK_MAX(count, 1u) * sizeof *fields);
    if (!fields) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        sk_str line = sk_arena_copy(arena, sk_str_from_c(lines[i]));
        if (!line.data) return SK_ERR_NO_MEMORY;
        cut_line(line, &fields[i].name, &fields[i].value);
        fields[i].id = (uint16_t)http_field_lookup(fields[i].name);
    }
    edits->add = fields;
    edits->add_count = count;
    return SK_OK;
}

static sk_err compile_edits(struct sk_arena *arena, const struct config_raw_RULE *raw,
                            struct config_rule *rule) {
    struct config_edits *request = &rule->request, *response = &rule->response;
    sk_err err = copy_texts(arena, raw->strip_request_fields, raw->strip_request_fields_count,
                            &request->strip, &request->strip_count);
    if (!err)
        err = copy_texts(arena, raw->strip_response_fields, raw->strip_response_fields_count,
                         &response->strip, &response->strip_count);
    if (!err) err = compile_lines(arena, raw->set_request_fields, raw->set_request_fields_count, request);
    if (!err) err = compile_lines(arena, raw->add_response_fields, raw->add_response_fields_count, response);
    return err;
}

static sk_err compile_host(struct sk_arena *arena, const char *text, sk_str *out_host) {
    static const struct config_option option = {.kind = CONFIG_KIND_HOST, .min = "", .max = ""};
    struct config_value value;
    if (!text) return SK_OK;
    sk_err err = config_value_read(&option, sk_str_from_c(text), arena, &value);
    if (!err) *out_host = value.text;
    return err;
}

sk_err config_rule_compile(struct sk_arena *arena, const struct config_raw_RULE *raw,
                           const struct config_rule *base, struct config_rule *out_rule) {
    struct config_rule rule = *base;
    sk_err err = compile_paths(arena, raw, &rule);
    if (!err) err = compile_host(arena, raw->host, &rule.host);
    if (!err) err = copy_texts(arena, raw->methods, raw->methods_count, &rule.methods, &rule.method_count);
    if (!err) err = fill_given(section_of("cache"), arena, raw->cache, &rule.cache);
    if (!err) err = compile_cache(arena, raw->cache, &rule);
    if (!err) err = fill_given(section_of("key"), arena, raw->key, &rule.key);
    if (!err) err = compile_key(arena, raw->key, &rule.key);
    if (!err) err = compile_edits(arena, raw, &rule);
    if (!err) *out_rule = rule;
    return err;
}
