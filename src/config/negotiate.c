#include "config/negotiate.h"

#include "http/accept.h"

static sk_err copy_texts(struct sk_arena *arena, const char *const *texts, uint32_t count,
                         sk_str **out_copies) {
    sk_str *copies = sk_arena_zalloc(arena, SK_MAX(count, 1u) * sizeof *copies);
    if (!copies) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        copies[i] = sk_arena_copy(arena, sk_str_from_c(texts[i]));
        if (!copies[i].data) return SK_ERR_NO_MEMORY;
    }
    *out_copies = copies;
    return SK_OK;
}

sk_err config_vary_compile(struct sk_arena *arena, const struct config_raw_VARY *raw,
                           struct config_vary *out_vary) {
    sk_err err = SK_OK;
    if (raw) {
        out_vary->language_count = raw->languages_count;
        out_vary->media_type_count = raw->accept_count;
        err = copy_texts(arena, (const char *const *)raw->languages, raw->languages_count,
                         &out_vary->languages);
        if (!err)
            err = copy_texts(arena, (const char *const *)raw->accept, raw->accept_count,
                             &out_vary->media_types);
    }
    out_vary->any =
        out_vary->language_count || out_vary->media_type_count || out_vary->agent == CONFIG_AGENT_CLASSES;
    return err;
}

static const char *const default_types[] = {
    "text/*",
    "*+json",
    "*+xml",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/wasm",
    "application/x-ndjson",
    "application/graphql-response",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "font/ttf",
    "font/otf",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
};
static const char *const default_codings[] = {"zstd", "br", "gzip"};

/* A coding named twice counts once. */
static void add_coding(struct config_compress *compress, const char *name) {
    uint8_t coding = (uint8_t)http_coding_lookup(sk_str_from_c(name));
    for (uint32_t i = 0; i < compress->coding_count; i++)
        if (compress->codings[i] == coding) return;
    compress->codings[compress->coding_count++] = coding;
}

sk_err config_compress_compile(struct sk_arena *arena, const struct config_raw_COMPRESS *raw,
                               struct config_compress *out_compress) {
    bool own_types = raw && raw->types_count, own_codings = raw && raw->codings_count;
    const char *const *types = own_types ? (const char *const *)raw->types : default_types;
    const char *const *codings = own_codings ? (const char *const *)raw->codings : default_codings;
    uint32_t coding_count = own_codings ? raw->codings_count : SK_COUNT(default_codings);
    out_compress->type_count = own_types ? raw->types_count : SK_COUNT(default_types);
    for (uint32_t i = 0; i < coding_count; i++) add_coding(out_compress, codings[i]);
    return copy_texts(arena, types, out_compress->type_count, &out_compress->types);
}
