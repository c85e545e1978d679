#include "config/raw.h"

#include <cyaml/cyaml.h>

/* libcyaml's flags are bits of an enum that has no names for their sums. */
/* NOLINTBEGIN(clang-analyzer-optin.core.EnumCastOutOfRange) */

/* Every value is a string to libcyaml: kinds, units and ranges are ours. */
static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};

/* Sections and lists may be left empty ("limits:" with all below it commented out). */
#define OPTIONAL CYAML_FLAG_OPTIONAL
#define OR_EMPTY (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER_NULL_STR)

#define RAW(S) struct config_raw_##S
#define FIELD_VALUE(S, kind, key) CYAML_FIELD_STRING_PTR(#key, OPTIONAL, RAW(S), key, 0, CYAML_UNLIMITED),
#define FIELD_HAND(S, kind, key) FIELD_VALUE(S, kind, key)
#define FIELD_LIST(S, kind, key)                                                                             \
    CYAML_FIELD_SEQUENCE(#key, OR_EMPTY, RAW(S), key, &text_entry, 0, CYAML_UNLIMITED),
#define FIELD_ONE_OR_LIST(S, kind, key) FIELD_LIST(S, kind, key)
#define FIELD_SECTION(S, kind, key) CYAML_FIELD_MAPPING_PTR(#key, OR_EMPTY, RAW(S), key, kind##_fields),
#define FIELD_SECTIONS(S, kind, key)                                                                         \
    CYAML_FIELD_SEQUENCE(#key, OR_EMPTY, RAW(S), key, &kind##_entry, 0, CYAML_UNLIMITED),
#define FIELD(S, shape, kind, key, ...) FIELD_##shape(S, kind, key)

/* For each section its fields, and itself as an entry of a list. */
#define X(name, title, type)                                                                                 \
    static const cyaml_schema_field_t name##_fields[] = {CONFIG_##name##_TABLE(FIELD, name)                  \
                                                             CYAML_FIELD_END};                               \
    [[maybe_unused]] static const cyaml_schema_value_t name##_entry = {                                      \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, RAW(name), name##_fields),                                   \
    };
CONFIG_SECTION_TABLE(X)
#undef X

static const cyaml_config_t settings = {
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR, /* with no log_fn: config_scan has better words */
    .flags = CYAML_CFG_NO_ALIAS,
};

/* libcyaml knows no "one or a list": the field's type follows what the scan has seen. */
struct schema {
    cyaml_schema_field_t fields[SK_COUNT(TOP_fields)];
    cyaml_schema_value_t top;
};

static void schema_for(struct config_raw_forms forms, struct schema *schema) {
    static const cyaml_schema_field_t listen_one =
        CYAML_FIELD_STRING_PTR("listen", OPTIONAL, RAW(TOP), listen_one, 0, CYAML_UNLIMITED);
    memcpy(schema->fields, TOP_fields, sizeof(TOP_fields));
    for (cyaml_schema_field_t *field = schema->fields; field->key && forms.listen_is_one; field++)
        if (!strcmp(field->key, listen_one.key)) memcpy(field, &listen_one, sizeof(*field));
    schema->top = (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, RAW(TOP), schema->fields)};
}

/* NOLINTEND(clang-analyzer-optin.core.EnumCastOutOfRange) */

sk_err config_raw_load(sk_str text, struct config_raw_forms forms, struct config_raw_TOP **out_raw,
                       const char **out_detail) {
    struct schema schema;
    schema_for(forms, &schema);
    cyaml_data_t *data = NULL;
    cyaml_err_t failed =
        cyaml_load_data((const uint8_t *)text.data, text.len, &settings, &schema.top, &data, NULL);
    if (failed == CYAML_ERR_OOM) return SK_ERR_NO_MEMORY;
    if (failed) {
        *out_detail = cyaml_strerror(failed);
        return SK_ERR_INVALID;
    }
    *out_raw = data;
    return SK_OK;
}

void config_raw_free(struct config_raw_TOP *raw, struct config_raw_forms forms) {
    struct schema schema;
    schema_for(forms, &schema);
    cyaml_free(&settings, &schema.top, raw, 0);
}
