#include "config/route_options.h"

#include "config/option_rows.h"

#define ROW_VALUE(S, kind, key, field, ...)                                                                  \
    {COMMON(VALUE, CONFIG_KIND_##kind, key, __VA_ARGS__), .field_offset = offsetof(fields_##S, field),       \
     .field_bytes = sizeof(((fields_##S *)0)->field)},

CONFIG_ROUTE_SECTION_TABLE(CONFIG_SECTION_DEFINE)

const struct config_section *const config_route_top = &ROUTE_TOP_section;
