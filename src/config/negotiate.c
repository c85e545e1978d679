#include "config/negotiate.h"

static sk_err copy_texts(struct sk_arena *arena, char *const *texts, uint32_t count, sk_str **out_copies) {
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
        err = copy_texts(arena, raw->languages, raw->languages_count, &out_vary->languages);
        if (!err) err = copy_texts(arena, raw->accept, raw->accept_count, &out_vary->media_types);
    }
    out_vary->any =
        out_vary->language_count || out_vary->media_type_count || out_vary->agent == CONFIG_AGENT_CLASSES;
    return err;
}
