#include "config/route_options.h"

#define COMMON(shape_, kind_, key_, default_, min_, max_, example_, doc_)                                    \
    .key = SK_STR_INIT(#key_), .shape = CONFIG_SHAPE_##shape_, .kind = (kind_), .default_text = (default_),  \
    .min = (min_), .max = (max_), .example = (example_), .doc = (doc_)
#define ROW_VALUE(S, kind, key, field, ...)                                                                  \
    {COMMON(VALUE, CONFIG_KIND_##kind, key, __VA_ARGS__), .field_offset = offsetof(fields_##S, field),       \
     .field_bytes = sizeof(((fields_##S *)0)->field)},
#define ROW_LIST(S, kind, key, field, ...) {COMMON(LIST, CONFIG_KIND_##kind, key, __VA_ARGS__)},
#define ROW_ONE_OR_LIST(S, kind, key, field, ...) {COMMON(ONE_OR_LIST, CONFIG_KIND_##kind, key, __VA_ARGS__)},
#define ROW_SECTION(S, name, key, field, ...)                                                                \
    {COMMON(SECTION, CONFIG_KIND_COUNT_, key, __VA_ARGS__), .section = &name##_section},
#define ROW_SECTIONS(S, name, key, field, ...)                                                               \
    {COMMON(SECTIONS, CONFIG_KIND_COUNT_, key, __VA_ARGS__), .section = &name##_section},
#define ROW(S, shape, ...) ROW_##shape(S, __VA_ARGS__)

#define X(name_, title_, type)                                                                               \
    typedef type fields_##name_;                                                                             \
    static const struct config_option name_##_options[] = {CONFIG_##name_##_TABLE(ROW, name_)};              \
    static const struct config_section name_##_section = {                                                   \
        .name = title_, .options = name_##_options, .count = SK_COUNT(name_##_options)};
CONFIG_ROUTE_SECTION_TABLE(X)
#undef X

const struct config_section *const config_route_top = &ROUTE_TOP_section;
