/* The JSON Schema of the configuration (draft 2020-12), for editors. */
#include <stdlib.h>
#include <yyjson.h>

#include "config/load.h"
#include "config/value.h"

static const struct {
    const char *types, *pattern; /* types separated by '|' */
} kinds[] = {
#define X(kind, expected, json_type, json_pattern) {json_type, json_pattern},
    CONFIG_KIND_TABLE(X)
#undef X
};

/* All memory is the document's; a failed allocation shows as NULL in the end. */
typedef yyjson_mut_doc doc_t;
typedef yyjson_mut_val val_t;

static void add_type(doc_t *doc, val_t *schema, const char *types) {
    sk_str rest = sk_str_from_c(types), type;
    if (!strchr(types, '|')) {
        yyjson_mut_obj_add_str(doc, schema, "type", types);
        return;
    }
    val_t *list = yyjson_mut_obj_add_arr(doc, schema, "type");
    while (sk_str_cut(&rest, '|', &type)) yyjson_mut_arr_add_strn(doc, list, type.data, type.len);
}

static void add_choices(doc_t *doc, val_t *schema, const char *words) {
    sk_str rest = sk_str_from_c(words), word;
    val_t *list = yyjson_mut_obj_add_arr(doc, schema, "enum");
    while (sk_str_cut(&rest, ' ', &word)) yyjson_mut_arr_add_strn(doc, list, word.data, word.len);
}

static void add_bounds(doc_t *doc, val_t *schema, const char *min, const char *max) {
    uint64_t bound;
    if (sk_str_to_u64(sk_str_from_c(min), &bound) == SK_OK)
        yyjson_mut_obj_add_uint(doc, schema, "minimum", bound);
    if (sk_str_to_u64(sk_str_from_c(max), &bound) == SK_OK)
        yyjson_mut_obj_add_uint(doc, schema, "maximum", bound);
}

/* The schema of one value of the option's kind. */
static val_t *value_schema(doc_t *doc, const struct config_option *option) {
    val_t *schema = yyjson_mut_obj(doc);
    add_type(doc, schema, kinds[option->kind].types);
    if (option->kind == CONFIG_KIND_CHOICE) add_choices(doc, schema, option->min);
    if (option->kind == CONFIG_KIND_COUNT) add_bounds(doc, schema, option->min, option->max);
    if (kinds[option->kind].pattern[0])
        yyjson_mut_obj_add_str(doc, schema, "pattern", kinds[option->kind].pattern);
    return schema;
}

static val_t *section_schema(doc_t *doc, const struct config_section *section);

static val_t *list_schema(doc_t *doc, const struct config_option *option) {
    uint64_t bound;
    val_t *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "array");
    yyjson_mut_obj_add_val(doc, schema, "items",
                           option->section ? section_schema(doc, option->section)
                                           : value_schema(doc, option));
    if (sk_str_to_u64(sk_str_from_c(option->min), &bound) == SK_OK && bound)
        yyjson_mut_obj_add_uint(doc, schema, "minItems", bound);
    if (sk_str_to_u64(sk_str_from_c(option->max), &bound) == SK_OK)
        yyjson_mut_obj_add_uint(doc, schema, "maxItems", bound);
    return schema;
}

static val_t *one_or_list_schema(doc_t *doc, const struct config_option *option) {
    val_t *schema = yyjson_mut_obj(doc), *any = yyjson_mut_obj_add_arr(doc, schema, "anyOf");
    yyjson_mut_arr_append(any, value_schema(doc, option));
    yyjson_mut_arr_append(any, list_schema(doc, option));
    return schema;
}

static void add_default(doc_t *doc, val_t *schema, const struct config_option *option) {
    const char *text = option->default_text;
    uint64_t number;
    if (!*text) return;
    if (option->kind == CONFIG_KIND_FLAG)
        yyjson_mut_obj_add_bool(doc, schema, "default", !strcmp(text, "true"));
    else if (option->kind == CONFIG_KIND_COUNT && sk_str_to_u64(sk_str_from_c(text), &number) == SK_OK)
        yyjson_mut_obj_add_uint(doc, schema, "default", number);
    else
        yyjson_mut_obj_add_str(doc, schema, "default", text);
}

static val_t *option_schema(doc_t *doc, const struct config_option *option) {
    val_t *schema = option->shape == CONFIG_SHAPE_SECTION       ? section_schema(doc, option->section)
                    : option->shape == CONFIG_SHAPE_ONE_OR_LIST ? one_or_list_schema(doc, option)
                    : option->shape == CONFIG_SHAPE_LIST || option->shape == CONFIG_SHAPE_SECTIONS
                        ? list_schema(doc, option)
                        : value_schema(doc, option);
    yyjson_mut_obj_add_str(doc, schema, "description", option->doc);
    if (!option->section) add_default(doc, schema, option);
    return schema;
}

static val_t *section_schema(doc_t *doc, const struct config_section *section) {
    val_t *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    val_t *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    for (size_t i = 0; i < section->count; i++)
        yyjson_mut_obj_add_val(doc, properties, section->options[i].key.data,
                               option_schema(doc, &section->options[i]));
    return schema;
}

sk_err config_write_json_schema(struct sk_buf *out) {
    doc_t *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return SK_ERR_NO_MEMORY;
    val_t *schema = section_schema(doc, config_top);
    yyjson_mut_doc_set_root(doc, schema);
    yyjson_mut_obj_add_str(doc, schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    yyjson_mut_obj_add_str(doc, schema, "title", "The configuration of a Skerry edge");
    val_t *required = yyjson_mut_obj_add_arr(doc, schema, "required");
    yyjson_mut_arr_add_str(doc, required, "sites");
    size_t length;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &length);
    sk_err err = text ? sk_buf_append(out, sk_str_make(text, length)) : SK_ERR_NO_MEMORY;
    free(text);
    yyjson_mut_doc_free(doc);
    return err;
}
