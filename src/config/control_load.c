/* From YAML to struct config_control. The walk of scan.c has said all that is wrong before. */
#include "config/control_options.h"

#include <stdlib.h>
#include <yaml.h>

#include "config/option_rows.h"
#include "config/problem.h"
#include "config/scan.h"
#include "config/value.h"
#include "io/file.h"

#define ROW_VALUE(S, kind, key, field, ...)                                                                  \
    {COMMON(VALUE, CONFIG_KIND_##kind, key, __VA_ARGS__), .field_offset = offsetof(fields_##S, field),       \
     .field_bytes = sizeof(((fields_##S *)0)->field)},

CONFIG_CONTROL_SECTION_TABLE(CONFIG_SECTION_DEFINE)

const struct config_section *const config_control_top = &CONTROL_TOP_section;

static sk_err put(struct config_control *config, const struct config_option *option, sk_str text) {
    struct config_value value;
    sk_err err = config_value_read(option, text, &config->arena, &value);
    if (!err && value.text.data) {
        value.text = sk_arena_copy(&config->arena, value.text);
        if (!value.text.data) err = SK_ERR_NO_MEMORY;
    }
    if (!err) config_value_store(option, &value, config);
    return err;
}

static sk_err put_defaults(struct config_control *config) {
    sk_err err = SK_OK;
    for (size_t i = 0; i < config_control_top->count && !err; i++) {
        const struct config_option *option = &config_control_top->options[i];
        if (option->default_text[0]) err = put(config, option, sk_str_from_c(option->default_text));
    }
    return err;
}

static sk_str scalar(yaml_document_t *document, yaml_node_item_t item) {
    const yaml_node_t *node = yaml_document_get_node(document, item);
    return node->type == YAML_SCALAR_NODE
               ? sk_str_make((const char *)node->data.scalar.value, node->data.scalar.length)
               : (sk_str){0};
}

static sk_err put_document(struct config_control *config, yaml_document_t *document) {
    const yaml_node_t *root = yaml_document_get_root_node(document);
    sk_err err = SK_OK;
    if (!root || root->type != YAML_MAPPING_NODE) return SK_OK;
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top && !err;
         pair++) {
        const struct config_option *option =
            config_option_find(config_control_top, scalar(document, pair->key));
        sk_str text = scalar(document, pair->value);
        if (option && text.len) err = put(config, option, text);
    }
    return err;
}

static sk_err put_text(struct config_control *config, sk_str text) {
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser)) return SK_ERR_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    sk_err err = yaml_parser_load(&parser, &document) ? SK_OK : SK_ERR_NO_MEMORY;
    yaml_parser_delete(&parser);
    if (err) return err;
    err = put_document(config, &document);
    yaml_document_delete(&document);
    return err;
}

/* What only makes sense together. */
static void check(const struct config_control *config, const char *name, struct config_problems *problems) {
    if (!config->fleet.len)
        config_problem(problems, (struct config_place){.name = name, .path = "fleet"},
                       "is missing: every fleet has a name (example: fleet: acme)");
    if (!config->valkey_cert.len != !config->valkey_key.len)
        config_problem(problems, (struct config_place){.name = name, .path = "valkey_cert"},
                       "found one of valkey_cert and valkey_key, expected both or none");
    if (!sk_str_starts_with(config->admin, SK_STR("unix:")))
        config_problem(problems, (struct config_place){.name = name, .path = "admin"},
                       "expected unix:PATH: on the network, `listen` is asked, with a token");
}

static sk_err resolve(struct config_control *config, sk_str *path, sk_str folder) {
    if (!folder.len || path->data[0] == '/') return SK_OK;
    *path = sk_arena_printf(&config->arena, "%.*s/%.*s", SK_STR_ARGS(folder), SK_STR_ARGS(*path));
    return path->data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err parse(sk_str text, const char *name, sk_str folder, struct config_control **out_config,
                    struct config_problems *problems) {
    uint32_t before = problems->count;
    sk_err err =
        config_scan_section(text, name, config_control_top, "expected at least: fleet: acme", problems);
    if (err) return err;
    struct config_control *config = calloc(1, sizeof *config);
    if (!config) return SK_ERR_NO_MEMORY;
    sk_arena_init(&config->arena, 4096, 0);
    err = put_defaults(config);
    if (!err) err = put_text(config, text);
    sk_str *const paths[] = {&config->state, &config->valkey_ca, &config->valkey_cert, &config->valkey_key};
    for (size_t i = 0; i < SK_COUNT(paths) && !err; i++)
        if (paths[i]->len) err = resolve(config, paths[i], folder);
    if (!err) check(config, name, problems);
    if (!err && problems->count != before) err = SK_ERR_INVALID;
    if (err)
        config_control_free(config);
    else
        *out_config = config;
    return err;
}

sk_err config_control_parse(sk_str text, const char *name, struct config_control **out_config,
                            struct config_problems *problems) {
    return parse(text, name, (sk_str){0}, out_config, problems);
}

sk_err config_control_load_file(const char *path, struct config_control **out_config,
                                struct config_problems *problems) {
    const char *slash = strrchr(path, '/');
    sk_str folder = slash ? sk_str_make(path, SK_MAX((size_t)(slash - path), 1)) : (sk_str){0};
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(path, CONFIG_MAX_BYTES, &text);
    if (err)
        config_problem(problems, (struct config_place){.name = path}, "cannot be read: %s", sk_err_text(err));
    else
        err = parse(sk_buf_str(&text), path, folder, out_config, problems);
    sk_buf_free(&text);
    return err;
}

void config_control_free(struct config_control *config) {
    if (!config) return;
    sk_arena_free(&config->arena);
    free(config);
}
