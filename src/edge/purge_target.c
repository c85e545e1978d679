#include "edge/purge_target.h"

#include <stdlib.h>

#include "base/glob.h"
#include "base/nearest.h"
#include "cache/vary.h"
#include "edge/rules.h"
#include "edge/serve.h"
#include "http/tags.h"

struct resolving {
    const struct config *config;
    struct sk_arena *arena;
    struct edge_purge_list *list;
    struct fleet_purge_problem *problem;
    const struct fleet_purge_wish *wish;
};

static sk_err problem(struct resolving *resolving, const char *expected) {
    char found[FLEET_PURGE_FOUND_BYTES];
    const struct fleet_purge_wish *wish = resolving->wish;
    return fleet_purge_problem(resolving->problem, wish->item, fleet_purge_kind_key(wish->kind),
                               "found %s, expected %s", fleet_purge_found(wish->text, found), expected);
}

static sk_err add(struct resolving *resolving, sk_str site, sk_str host, sk_str text) {
    struct edge_purge_list *list = resolving->list;
    if (list->count == EDGE_PURGE_TARGETS_MAX)
        return fleet_purge_problem(resolving->problem, resolving->wish->item, "",
                                   "found more than %d purges, counting one a site: name the \"site\"",
                                   EDGE_PURGE_TARGETS_MAX);
    if (list->count == list->capacity) {
        uint32_t capacity = SK_MAX(2 * list->capacity, 16);
        struct cache_purge *items = realloc(list->items, capacity * sizeof *items);
        if (!items) return SK_ERR_NO_MEMORY;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct cache_purge){.kind = resolving->wish->kind,
                                                      .soft = resolving->wish->soft,
                                                      .site = site,
                                                      .host = host,
                                                      .text = text};
    return SK_OK;
}

/* ---- URLs --------------------------------------------------------------------------------------------------- */

/* The request that a client would send for it. */
static sk_err request_of(struct sk_arena *arena, const struct http_uri *uri,
                         struct http_request *out_request) {
    sk_str target = sk_arena_printf(arena, "%.*s%s%.*s", SK_STR_ARGS(uri->path), uri->query.data ? "?" : "",
                                    SK_STR_ARGS(uri->query));
    if (!target.data) return SK_ERR_NO_MEMORY;
    *out_request = (struct http_request){
        .method = HTTP_METHOD_GET,
        .version = HTTP_1_1,
        .method_text = SK_STR("GET"),
        .scheme = uri->scheme,
        .authority = uri->authority,
        .target = target,
        .path = sk_str_slice(target, 0, uri->path.len),
    };
    if (uri->query.data) out_request->query = sk_str_slice(target, uri->path.len + 1, target.len);
    return SK_OK;
}

sk_err edge_key_of_uri(const struct config_site *site, struct sk_arena *arena, const struct http_uri *uri,
                       struct cache_key *out_key) {
    struct http_request request;
    sk_err err = request_of(arena, uri, &request);
    if (err) return err;
    const struct config_rule *rule = edge_rule_of(site, &request, arena);
    return edge_key_make(arena, site, rule, &request, out_key);
}

sk_err edge_key_of_url(const struct config *config, struct sk_arena *arena, sk_str url,
                       const struct config_site **out_site, struct cache_key *out_key) {
    struct http_uri uri;
    sk_err err = http_uri_parse_absolute(url, &uri);
    if (err) return err;
    const struct config_site *site = config_site_for(config, uri.host);
    if (!site) return SK_ERR_NOT_FOUND;
    err = edge_key_of_uri(site, arena, &uri, out_key);
    if (!err) *out_site = site;
    return err;
}

static sk_err url_problem(struct resolving *resolving, sk_err err) {
    switch (err) {
    case SK_ERR_NOT_FOUND: return problem(resolving, "a host that a site serves");
    case SK_ERR_TOO_LARGE: return problem(resolving, "a shorter one: nothing so long is stored");
    case SK_ERR_NO_MEMORY: return err;
    default: return problem(resolving, "an absolute URL (example: https://www.example.com/a?b=c)");
    }
}

static sk_err resolve_url(struct resolving *resolving) {
    const struct config_site *site;
    struct cache_key key;
    sk_err err = edge_key_of_url(resolving->config, resolving->arena, resolving->wish->text, &site, &key);
    return err ? url_problem(resolving, err)
               : add(resolving, (sk_str){0}, (sk_str){0}, cache_key_primary(key.text));
}

/* ---- hosts and prefixes ------------------------------------------------------------------------------------- */

/* "https://HOST/REST" or "HOST/REST" in its two parts; the scheme's default port is 80 without a scheme. */
static void cut_host(sk_str text, sk_str *out_scheme, sk_str *out_host, sk_str *out_rest) {
    *out_scheme = sk_str_istarts_with(text, SK_STR("https://")) ? SK_STR("https://") : SK_STR("http://");
    if (sk_str_istarts_with(text, *out_scheme)) text = sk_str_slice(text, out_scheme->len, text.len);
    size_t slash = sk_str_find_byte(text, '/');
    *out_host = sk_str_slice(text, 0, slash);
    *out_rest = sk_str_slice(text, slash, text.len);
}

/* The host as keys have it, and its site. */
static sk_err key_host(struct resolving *resolving, sk_str scheme, sk_str host, sk_str *out_site,
                       sk_str *out_host) {
    const struct config_site *site;
    struct cache_key key;
    sk_str url = sk_arena_printf(resolving->arena, "%.*s%.*s/", SK_STR_ARGS(scheme), SK_STR_ARGS(host));
    if (!url.data) return SK_ERR_NO_MEMORY;
    sk_err err = edge_key_of_url(resolving->config, resolving->arena, url, &site, &key);
    if (err) return err;
    *out_site = site->name;
    *out_host = cache_key_host(key.text);
    return SK_OK;
}

static sk_err resolve_host(struct resolving *resolving) {
    sk_str scheme, host, rest, site;
    cut_host(resolving->wish->text, &scheme, &host, &rest);
    if (rest.len > 1 || sk_str_find_byte(host, '?') < host.len)
        return problem(resolving, "a host alone (for a part of it: prefix)");
    sk_err err = key_host(resolving, scheme, host, &site, &host);
    if (err == SK_ERR_NO_MEMORY) return err;
    if (err)
        return problem(resolving, err == SK_ERR_NOT_FOUND ? "a host that a site serves"
                                                          : "a host (example: www.example.com)");
    return add(resolving, site, host, (sk_str){0});
}

/* A prefix is brought into the normal form of keys, where that leaves its meaning: one that ends in a dot segment
 * or within an escape is only the beginning of something else. */
static sk_err normal_prefix(struct resolving *resolving, sk_str prefix, sk_str *out_prefix) {
    size_t path_end = sk_str_find_byte(prefix, '?');
    sk_str path = sk_str_slice(prefix, 0, path_end), normal;
    if (sk_str_ends_with(path, SK_STR("/.")) || sk_str_ends_with(path, SK_STR("/..")))
        return SK_ERR_MALFORMED;
    sk_err err = http_path_normalise(resolving->arena, path, &normal);
    if (err || path_end == prefix.len) {
        if (!err) *out_prefix = normal;
        return err;
    }
    *out_prefix = sk_arena_printf(resolving->arena, "%.*s%.*s", SK_STR_ARGS(normal),
                                  SK_STR_ARGS(sk_str_slice(prefix, path_end, prefix.len)));
    return out_prefix->data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err resolve_prefix(struct resolving *resolving) {
    sk_str scheme, host, prefix, site;
    cut_host(resolving->wish->text, &scheme, &host, &prefix);
    if (host.len == 0 || prefix.len == 0)
        return problem(resolving,
                       "a host and the beginning of a path (example: https://www.example.com/images/; "
                       "of every host: glob /images/*)");
    sk_err err = key_host(resolving, scheme, host, &site, &host);
    if (err) return url_problem(resolving, err);
    err = normal_prefix(resolving, prefix, &prefix);
    if (err == SK_ERR_MALFORMED)
        return problem(resolving, "a beginning that is whole: no half escape, no dot segment");
    if (!err && site.len + host.len + prefix.len + 4 > CACHE_KEY_MAX_BYTES)
        return problem(resolving, "a shorter one: nothing so long is stored");
    return err ? err : add(resolving, site, host, prefix);
}

/* ---- of a site, or of all ----------------------------------------------------------------------------------- */

static const struct config_site *site_named(const struct config *config, sk_str name) {
    for (uint32_t i = 0; i < config->site_count; i++)
        if (sk_str_eq(config->sites[i].name, name)) return &config->sites[i];
    return NULL;
}

static sk_err unknown_site(struct resolving *resolving, sk_str name) {
    struct sk_nearest nearest = sk_nearest_to(name);
    char found[FLEET_PURGE_FOUND_BYTES];
    sk_str best = {0};
    for (uint32_t i = 0; i < resolving->config->site_count; i++)
        if (sk_nearest_offer(&nearest, resolving->config->sites[i].name))
            best = resolving->config->sites[i].name;
    return fleet_purge_problem(resolving->problem, resolving->wish->item, "site",
                               "found %s, expected the name of a site%s%.*s%s",
                               fleet_purge_found(name, found), best.len ? "; did you mean \"" : "",
                               SK_STR_ARGS(best), best.len ? "\"?" : "");
}

static sk_err resolve_site(struct resolving *resolving) {
    const struct config_site *site = site_named(resolving->config, resolving->wish->text);
    if (!site) return unknown_site(resolving, resolving->wish->text);
    return add(resolving, site->name, (sk_str){0}, (sk_str){0});
}

/* Of the site that the wish names, or of every one. */
static sk_err add_to_sites(struct resolving *resolving, sk_str text) {
    const struct config *config = resolving->config;
    if (resolving->wish->site.len) {
        const struct config_site *site = site_named(config, resolving->wish->site);
        return site ? add(resolving, site->name, (sk_str){0}, text)
                    : unknown_site(resolving, resolving->wish->site);
    }
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < config->site_count && !err; i++)
        err = add(resolving, config->sites[i].name, (sk_str){0}, text);
    return err;
}

/* As it stands in a field, which ends before white space. */
static sk_err resolve_tag(struct resolving *resolving) {
    sk_str tag = resolving->wish->text;
    if (tag.len > HTTP_TAG_MAX_BYTES || sk_str_trim(tag).len != tag.len)
        return problem(resolving, "a tag of 1 to 1024 bytes without white space around it");
    return add_to_sites(resolving, tag);
}

static sk_err resolve_glob(struct resolving *resolving) {
    sk_str pattern = resolving->wish->text, scheme, host, rest;
    if (sk_str_find(pattern, SK_STR("://")) < pattern.len) {
        cut_host(pattern, &scheme, &host, &rest);
        pattern = sk_str_slice(pattern, pattern.len - host.len - rest.len, pattern.len);
    }
    if (pattern.len == 0 || pattern.len > CACHE_PURGE_GLOB_MAX_BYTES ||
        sk_glob_stars(pattern) > CACHE_PURGE_GLOB_MAX_STARS)
        return problem(resolving,
                       "a pattern of at most 512 bytes and 16 stars (example: www.example.com/*.png)");
    sk_str copy = sk_arena_copy(resolving->arena, pattern);
    if (!copy.data) return SK_ERR_NO_MEMORY;
    host = sk_str_slice(copy, 0, sk_str_find_byte(copy, '/'));
    sk_ascii_lower((char *)(uintptr_t)copy.data, copy.data, host.len); /* our copy */
    bool one_host = host.len && host.len < copy.len && sk_glob_literal(host).len == host.len;
    const struct config_site *site = one_host ? config_site_for(resolving->config, host) : NULL;
    if (one_host && !site) return problem(resolving, "a host that a site serves");
    if (!one_host || resolving->wish->site.len) return add_to_sites(resolving, copy);
    return add(resolving, site->name, (sk_str){0}, copy);
}

/* ---- the door ----------------------------------------------------------------------------------------------- */

static bool has_control_bytes(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) return true;
    return false;
}

static sk_err resolve(struct resolving *resolving) {
    if (has_control_bytes(resolving->wish->text)) return problem(resolving, "a text without control bytes");
    if (resolving->wish->erase)
        return fleet_purge_problem(resolving->problem, resolving->wish->item, "erase",
                                   "one edge's key is erased by POST /erase (`skerry purge --erase`), a "
                                   "fleet's by control's /purge");
    switch (resolving->wish->kind) {
    case CACHE_PURGE_KEY: return resolve_url(resolving);
    case CACHE_PURGE_PREFIX: return resolve_prefix(resolving);
    case CACHE_PURGE_HOST: return resolve_host(resolving);
    case CACHE_PURGE_SITE: return resolve_site(resolving);
    case CACHE_PURGE_TAG: return resolve_tag(resolving);
    case CACHE_PURGE_GLOB: return resolve_glob(resolving);
    case CACHE_PURGE_ALL:
    case CACHE_PURGE_COUNT_: break;
    }
    return add(resolving, (sk_str){0}, (sk_str){0}, (sk_str){0});
}

sk_err edge_purge_resolve(const struct config *config, const struct fleet_purge_request *request,
                          struct sk_arena *arena, struct edge_purge_list *out_list,
                          struct fleet_purge_problem *out_problem) {
    struct edge_purge_list list = {0};
    struct resolving resolving = {.config = config, .arena = arena, .list = &list, .problem = out_problem};
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < request->count && !err; i++) {
        resolving.wish = &request->wishes[i];
        err = resolve(&resolving);
    }
    if (err)
        edge_purge_list_free(&list);
    else
        *out_list = list;
    return err;
}

void edge_purge_list_free(struct edge_purge_list *list) {
    free(list->items);
    *list = (struct edge_purge_list){0};
}
