/* How a table of options becomes an array: the rows that all tables share. Who includes it has defined ROW_VALUE,
 * which differs. */
#ifndef SK_CONFIG_OPTION_ROWS_H
#define SK_CONFIG_OPTION_ROWS_H

#define COMMON(shape_, kind_, key_, default_, min_, max_, example_, doc_)                                    \
    .key = SK_STR_INIT(#key_), .shape = CONFIG_SHAPE_##shape_, .kind = (kind_), .default_text = (default_),  \
    .min = (min_), .max = (max_), .example = (example_), .doc = (doc_)
#define ROW_HAND(S, kind, key, field, ...) {COMMON(HAND, CONFIG_KIND_##kind, key, __VA_ARGS__)},
#define ROW_LIST(S, kind, key, field, ...) {COMMON(LIST, CONFIG_KIND_##kind, key, __VA_ARGS__)},
#define ROW_ONE_OR_LIST(S, kind, key, field, ...) {COMMON(ONE_OR_LIST, CONFIG_KIND_##kind, key, __VA_ARGS__)},
#define ROW_SECTION(S, name, key, field, ...)                                                                \
    {COMMON(SECTION, CONFIG_KIND_COUNT_, key, __VA_ARGS__), .section = &name##_section},
#define ROW_SECTIONS(S, name, key, field, ...)                                                               \
    {COMMON(SECTIONS, CONFIG_KIND_COUNT_, key, __VA_ARGS__), .section = &name##_section},
#define ROW(S, shape, ...) ROW_##shape(S, __VA_ARGS__)

/* The X of a table of sections, inner ones first: NAME_options and NAME_section. */
#define CONFIG_SECTION_DEFINE(name_, title_, type)                                                           \
    typedef type fields_##name_;                                                                             \
    static const struct config_option name_##_options[] = {CONFIG_##name_##_TABLE(ROW, name_)};              \
    static const struct config_section name_##_section = {                                                   \
        .name = title_, .options = name_##_options, .count = SK_COUNT(name_##_options)};

#endif
