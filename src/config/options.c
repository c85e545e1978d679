#include "config/options.h"

#include <stdio.h>

#include "base/nearest.h"
#include "config/config.h"
#include "config/option_rows.h"
#include "config/raw.h"

#define ROW_VALUE(S, kind, key, field, ...)                                                                  \
    {COMMON(VALUE, CONFIG_KIND_##kind, key, __VA_ARGS__),                                                    \
     .raw_offset = offsetof(struct config_raw_##S, key), .field_offset = offsetof(fields_##S, field),        \
     .field_bytes = sizeof(((fields_##S *)0)->field)},

CONFIG_SECTION_TABLE(CONFIG_SECTION_DEFINE)

const struct config_section *const config_top = &TOP_section;

const struct config_option *config_option_find(const struct config_section *section, sk_str key) {
    for (size_t i = 0; i < section->count; i++)
        if (sk_str_eq(section->options[i].key, key)) return &section->options[i];
    return NULL;
}

bool config_option_suggest(const struct config_section *section, sk_str key, char out[CONFIG_SUGGEST_BYTES]) {
    struct sk_nearest nearest = sk_nearest_to(key);
    size_t used = 0;
    for (size_t i = 0; i < section->count; i++) sk_nearest_offer(&nearest, section->options[i].key);
    for (size_t i = 0; i < section->count && used < CONFIG_SUGGEST_BYTES; i++)
        if (sk_nearest_is(&nearest, section->options[i].key))
            used += (size_t)snprintf(out + used, CONFIG_SUGGEST_BYTES - used, "%s\"%s\"", used ? " or " : "",
                                     section->options[i].key.data);
    return nearest.found;
}
