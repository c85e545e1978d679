/* From YAML to struct config_route. The walk of scan.c has said all that is wrong before; here the values of a text
 * that is right are put in their places. */
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "config/route_options.h"
#include "config/scan.h"
#include "config/value.h"
#include "io/file.h"

struct filling {
    struct config_route *config;
    yaml_document_t *document; /* NULL: defaults only */
    sk_err err;                /* the first that is not about the text */
};

static const char hint[] = "expected at least: zones: [{name: example.com, file: example.com.zone}]";

static void *allocate(struct filling *f, size_t count, size_t bytes) {
    void *memory = sk_arena_zalloc(&f->config->arena, SK_MAX(count, 1) * bytes);
    if (!memory) f->err = SK_ERR_NO_MEMORY;
    return memory;
}

static sk_str keep(struct filling *f, sk_str text) {
    sk_str copy = sk_arena_copy(&f->config->arena, text);
    if (!copy.data) f->err = SK_ERR_NO_MEMORY;
    return copy;
}

/* --- the document ----------------------------------------------------------------------------------- */

static sk_str scalar(const yaml_node_t *node) {
    return sk_str_make((const char *)node->data.scalar.value, node->data.scalar.length);
}

/* The value of KEY, or NULL; one that was left empty is not there. */
static yaml_node_t *get(const struct filling *f, const yaml_node_t *mapping, const char *key) {
    if (!mapping || mapping->type != YAML_MAPPING_NODE) return NULL;
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
         pair++) {
        yaml_node_t *name = yaml_document_get_node(f->document, pair->key);
        if (name && sk_str_eq(scalar(name), sk_str_from_c(key)))
            return yaml_document_get_node(f->document, pair->value);
    }
    return NULL;
}

static uint32_t count_of(const yaml_node_t *list) {
    if (!list) return 0;
    if (list->type == YAML_SCALAR_NODE) return list->data.scalar.length > 0; /* ONE_OR_LIST, or left empty */
    if (list->type != YAML_SEQUENCE_NODE) return 0;
    return (uint32_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

static yaml_node_t *entry(const struct filling *f, yaml_node_t *list, uint32_t index) {
    if (list->type == YAML_SCALAR_NODE) return list;
    return yaml_document_get_node(f->document, list->data.sequence.items.start[index]);
}

/* --- values ----------------------------------------------------------------------------------------- */

static const struct config_section *section_of(const struct config_section *parent, const char *key) {
    return config_option_find(parent, sk_str_from_c(key))->section;
}

static void fill_value(struct filling *f, const struct config_option *option, sk_str text, void *fields) {
    struct config_value value;
    sk_err err = config_value_read(option, text, &f->config->arena, &value);
    if (!err && value.text.data) value.text = keep(f, value.text);
    if (!err)
        config_value_store(option, &value, fields);
    else if (!f->err)
        f->err = err;
}

/* All VALUE rows of a section, from MAPPING (NULL: nothing is there) or their defaults. */
static void fill(struct filling *f, const struct config_section *section, const yaml_node_t *mapping,
                 void *fields) {
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        if (option->shape != CONFIG_SHAPE_VALUE) continue;
        const yaml_node_t *node = get(f, mapping, option->key.data);
        sk_str text = node ? scalar(node) : sk_str_from_c(option->default_text);
        if (node || text.len) fill_value(f, option, text, fields);
    }
}

/* Relative to the file that names it. */
static void resolve(struct filling *f, sk_str *path) {
    if (!path->len || path->data[0] == '/' || !f->config->folder.len) return;
    *path =
        sk_arena_printf(&f->config->arena, "%.*s/%.*s", SK_STR_ARGS(f->config->folder), SK_STR_ARGS(*path));
    if (!path->data) f->err = SK_ERR_NO_MEMORY;
}

/* An address with its port, or with PORT. */
static struct io_addr address_of(sk_str text, uint16_t port) {
    struct io_addr addr = {0};
    struct io_prefix prefix;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (io_addr_parse(text, &addr) == SK_OK) return addr;
    if (io_prefix_parse(text, &prefix) != SK_OK) return addr;
    bool v4 = memcmp(prefix.ip, mapped, sizeof mapped) == 0;
    (void)!io_addr_from_ip(v4 ? prefix.ip + 12 : prefix.ip, v4 ? 4 : 16, port, &addr);
    return addr;
}

static struct io_addr *addresses(struct filling *f, yaml_node_t *list, uint16_t port, uint32_t *out_count) {
    uint32_t count = count_of(list);
    struct io_addr *items = allocate(f, count, sizeof *items);
    for (uint32_t i = 0; items && i < count; i++) items[i] = address_of(scalar(entry(f, list, i)), port);
    *out_count = items ? count : 0;
    return items;
}

static sk_str *texts(struct filling *f, yaml_node_t *list, uint32_t *out_count) {
    uint32_t count = count_of(list);
    sk_str *items = allocate(f, count, sizeof *items);
    for (uint32_t i = 0; items && i < count; i++) items[i] = keep(f, scalar(entry(f, list, i)));
    *out_count = items ? count : 0;
    return items;
}

/* --- entries ---------------------------------------------------------------------------------------- */

static void fill_zone(struct filling *f, const yaml_node_t *node, void *item) {
    struct config_route_zone *zone = item;
    yaml_node_t *allow = get(f, node, "allow_transfer");
    resolve(f, &zone->file);
    resolve(f, &zone->keys);
    zone->notify = addresses(f, get(f, node, "notify"), 53, &zone->notify_count);
    zone->allow_transfer_count = count_of(allow);
    zone->allow_transfer = allocate(f, zone->allow_transfer_count, sizeof *zone->allow_transfer);
    for (uint32_t i = 0; zone->allow_transfer && i < zone->allow_transfer_count; i++)
        if (io_prefix_parse(scalar(entry(f, allow, i)), &zone->allow_transfer[i])) f->err = SK_ERR_INVALID;
}

static void fill_tsig_key(struct filling *f, const yaml_node_t *node, void *item) {
    (void)f, (void)node, (void)item; /* values alone */
}

static void fill_site(struct filling *f, const yaml_node_t *node, void *item) {
    struct config_route_site *site = item;
    site->addresses = addresses(f, get(f, node, "edges"), 443, &site->address_count);
    site->reports = addresses(f, get(f, node, "reports"), 80, &site->report_count);
    site->hosts = texts(f, get(f, node, "hosts"), &site->host_count);
}

static void fill_name(struct filling *f, const yaml_node_t *node, void *item) {
    (void)node;
    resolve(f, &((struct config_route_name *)item)->ech_file);
}

static void fill_override(struct filling *f, const yaml_node_t *node, void *item) {
    struct config_route_override *override = item;
    override->sites = texts(f, get(f, node, "sites"), &override->site_count);
}

/* The entries of a list of sections: VALUE rows by the table, the rest by REST. */
static void *entries(struct filling *f, const yaml_node_t *top, const char *key, size_t bytes,
                     uint32_t *out_count,
                     void (*rest)(struct filling *f, const yaml_node_t *node, void *item)) {
    yaml_node_t *list = get(f, top, key);
    uint32_t count = count_of(list);
    char *items = allocate(f, count, bytes);
    for (uint32_t i = 0; items && i < count; i++) {
        yaml_node_t *node = entry(f, list, i);
        fill(f, section_of(config_route_top, key), node, items + i * bytes);
        rest(f, node, items + i * bytes);
    }
    *out_count = items ? count : 0;
    return items;
}

static void fill_listeners(struct filling *f, yaml_node_t *list) {
    const char *fallback = config_option_find(config_route_top, SK_STR("listen"))->default_text;
    f->config->listeners = addresses(f, list, 53, &f->config->listener_count);
    if (f->config->listener_count || !f->config->listeners) return;
    f->config->listeners[0] = address_of(sk_str_from_c(fallback), 53);
    f->config->listener_count = 1;
}

static void fill_all(struct filling *f, const yaml_node_t *top) {
    struct config_route *config = f->config;
    fill(f, config_route_top, top, config);
    fill(f, section_of(config_route_top, "rate_limit"), get(f, top, "rate_limit"), &config->rate);
    fill(f, section_of(config_route_top, "tcp"), get(f, top, "tcp"), &config->tcp);
    fill(f, section_of(config_route_top, "weights"), get(f, top, "weights"), &config->weights);
    fill(f, section_of(config_route_top, "health"), get(f, top, "health"), &config->health);
    resolve(f, &config->health.ca_file);
    resolve(f, &config->state);
    fill(f, section_of(config_route_top, "query_log"), get(f, top, "query_log"), &config->query_log);
    if (!sk_str_eq(config->query_log.path, SK_STR("-"))) resolve(f, &config->query_log.path);
    fill(f, section_of(config_route_top, "reports"), get(f, top, "reports"), &config->reports);
    const yaml_node_t *http = get(f, top, "http");
    fill(f, section_of(config_route_top, "http"), http, &config->http);
    config->http.listeners = addresses(f, get(f, http, "listen"), 80, &config->http.listener_count);
    fill_listeners(f, get(f, top, "listen"));
    config->databases = texts(f, get(f, top, "databases"), &config->database_count);
    for (uint32_t i = 0; i < config->database_count; i++) resolve(f, &config->databases[i]);
    config->tsig_keys =
        entries(f, top, "tsig_keys", sizeof *config->tsig_keys, &config->tsig_key_count, fill_tsig_key);
    config->zones = entries(f, top, "zones", sizeof *config->zones, &config->zone_count, fill_zone);
    config->sites = entries(f, top, "sites", sizeof *config->sites, &config->site_count, fill_site);
    config->names = entries(f, top, "names", sizeof *config->names, &config->name_count, fill_name);
    config->overrides =
        entries(f, top, "overrides", sizeof *config->overrides, &config->override_count, fill_override);
}

/* --- checks that need more than one value ----------------------------------------------------------- */

static void missing(struct config_problems *problems, const char *name, const char *key, uint32_t index,
                    const char *field) {
    char path[64];
    snprintf(path, sizeof path, "%s[%u]", key, index);
    config_problem(problems, (struct config_place){.name = name, .path = path}, "has no %s", field);
}

static void check(const struct config_route *config, const char *name, struct config_problems *problems) {
    struct config_place place = {.name = name};
    if (config->zone_count == 0) config_problem(problems, place, "no zones; %s", hint);
    for (uint32_t i = 0; i < config->zone_count; i++) {
        if (!config->zones[i].name.len) missing(problems, name, "zones", i, "name");
        if (!config->zones[i].file.len) missing(problems, name, "zones", i, "file");
    }
    for (uint32_t i = 0; i < config->site_count; i++) {
        if (!config->sites[i].name.len) missing(problems, name, "sites", i, "name");
        if (!config->sites[i].address_count) missing(problems, name, "sites", i, "edges");
    }
    for (uint32_t i = 0; i < config->name_count; i++)
        if (!config->names[i].name.len) missing(problems, name, "names", i, "name");
    if (config->name_count && !config->site_count)
        config_problem(problems, place, "names need sites to send clients to");
    bool tcp_admin = config->admin.len && !sk_str_starts_with(config->admin, SK_STR("unix:"));
    if (tcp_admin && !config->admin_token.len)
        config_problem(problems, place, "admin on TCP needs an admin_token");
}

/* --- from the outside ------------------------------------------------------------------------------- */

static struct config_route *new_config(void) {
    struct config_route *config = calloc(1, sizeof *config);
    if (config) sk_arena_init(&config->arena, 4096, 0);
    return config;
}

void config_route_free(struct config_route *config) {
    if (!config) return;
    sk_arena_free(&config->arena);
    free(config);
}

sk_err config_route_empty(struct config_route **out_config) {
    struct filling f = {.config = new_config()};
    if (!f.config) return SK_ERR_NO_MEMORY;
    fill_all(&f, NULL);
    if (f.err)
        config_route_free(f.config);
    else
        *out_config = f.config;
    return f.err;
}

static sk_err load_document(sk_str text, yaml_document_t *document) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return SK_ERR_NO_MEMORY;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    int loaded = yaml_parser_load(&parser, document);
    yaml_parser_delete(&parser);
    return loaded ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err parse(sk_str text, const char *name, sk_str folder, struct config_route **out_config,
                    struct config_problems *problems) {
    yaml_document_t document;
    if (text.len > CONFIG_MAX_BYTES) {
        config_problem(problems, (struct config_place){.name = name}, "larger than %u MiB",
                       CONFIG_MAX_BYTES >> 20);
        return SK_ERR_INVALID;
    }
    sk_err err = config_scan_section(text, name, config_route_top, hint, problems);
    if (!err) err = load_document(text, &document);
    if (err) return err;
    struct filling f = {.config = new_config(), .document = &document};
    if (f.config) {
        f.config->path = keep(&f, sk_str_from_c(name));
        f.config->folder = keep(&f, folder);
        fill_all(&f, yaml_document_get_root_node(&document));
        uint32_t before = problems->count;
        check(f.config, name, problems);
        if (!f.err && problems->count != before) f.err = SK_ERR_INVALID;
    } else {
        f.err = SK_ERR_NO_MEMORY;
    }
    yaml_document_delete(&document);
    if (f.err)
        config_route_free(f.config);
    else
        *out_config = f.config;
    return f.err;
}

sk_err config_route_parse(sk_str text, const char *name, struct config_route **out_config,
                          struct config_problems *problems) {
    return parse(text, name, SK_STR(""), out_config, problems);
}

sk_err config_route_load_file(const char *path, struct config_route **out_config,
                              struct config_problems *problems) {
    struct sk_buf text;
    const char *slash = strrchr(path, '/');
    sk_str folder = slash ? sk_str_make(path, SK_MAX((size_t)(slash - path), 1)) : SK_STR("");
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(path, CONFIG_MAX_BYTES, &text);
    if (err)
        config_problem(problems, (struct config_place){.name = path}, "cannot be read: %s", sk_err_text(err));
    else
        err = parse(sk_buf_str(&text), path, folder, out_config, problems);
    sk_buf_free(&text);
    return err;
}

/* --- the command line ------------------------------------------------------------------------------- */

static bool good(const char *key, const char *text, const char *flag, struct config_problems *problems) {
    struct config_place place = {.name = "command line", .path = flag};
    return config_check_value(config_option_find(config_route_top, sk_str_from_c(key)), sk_str_from_c(text),
                              place, problems);
}

static bool apply_zone(struct filling *f, struct config_route_zone *zone, const char *text,
                       struct config_problems *problems) {
    sk_str rest = sk_str_from_c(text), name;
    struct config_place place = {.name = "command line", .path = "--zone"};
    const struct config_option *option =
        config_option_find(section_of(config_route_top, "zones"), SK_STR("name"));
    bool cut = sk_str_cut(&rest, '=', &name);
    if (!cut || !rest.data || !rest.len || !config_check_value(option, name, place, NULL)) {
        config_problem(problems, place, "expected NAME=FILE (example: example.com=example.com.zone)");
        return false;
    }
    fill(f, section_of(config_route_top, "zones"), NULL, zone);
    zone->name = keep(f, name);
    zone->file = keep(f, rest);
    return true;
}

sk_err config_route_apply_arguments(struct config_route *config,
                                    const struct config_route_arguments *arguments,
                                    struct config_problems *problems) {
    struct filling f = {.config = config};
    bool all_good = true;
    if (arguments->listen_count) {
        config->listeners = allocate(&f, arguments->listen_count, sizeof *config->listeners);
        config->listener_count = (uint32_t)arguments->listen_count;
    }
    for (size_t i = 0; config->listeners && i < arguments->listen_count; i++) {
        all_good &= good("listen", arguments->listen[i], "--listen", problems);
        config->listeners[i] = address_of(sk_str_from_c(arguments->listen[i]), 53);
    }
    if (arguments->admin) {
        all_good &= good("admin", arguments->admin, "--admin", problems);
        config->admin = keep(&f, sk_str_from_c(arguments->admin));
    }
    if (arguments->threads) config->threads = arguments->threads;
    if (arguments->zone_count) {
        config->zones = allocate(&f, arguments->zone_count, sizeof *config->zones);
        config->zone_count = config->zones ? (uint32_t)arguments->zone_count : 0;
    }
    for (uint32_t i = 0; config->zones && i < arguments->zone_count; i++)
        all_good &= apply_zone(&f, &config->zones[i], arguments->zones[i], problems);
    if (f.err) return f.err;
    return all_good ? SK_OK : SK_ERR_INVALID;
}
