#include "config/compile_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/hosts.h"
#include "config/negotiate.h"
#include "config/rule_compile.h"
#include "config/scan.h"
#include "config/value.h"

enum { PATH_BYTES = CONFIG_PATH_BYTES, QUOTED = CONFIG_QUOTE_BYTES };

static void problem_at(const struct config_source *source, struct config_problems *problems, const char *path,
                       const char *text) {
    struct config_place place = {.name = source->name, .path = path};
    if (source->text.len) place = config_locate(source->text, source->name, path);
    config_problem(problems, place, "%s", text);
}

static void problem(struct compile *c, const char *path, const char *format, ...) SK_PRINTF(3, 4);
static void problem(struct compile *c, const char *path, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problem_at(c->source, c->problems, path, text);
}

static void *allocate(struct compile *c, size_t count, size_t bytes) {
    void *memory = sk_arena_zalloc(&c->config->arena, SK_MAX(count, 1) * bytes);
    if (!memory) c->err = SK_ERR_NO_MEMORY;
    return memory;
}

/* A copy in the configuration's arena. */
static sk_str keep(struct compile *c, sk_str text) {
    sk_str copy = sk_arena_copy(&c->config->arena, text);
    if (!copy.data) c->err = SK_ERR_NO_MEMORY;
    return copy;
}

/* ---- values ---- */

static void fill_value(struct compile *c, const struct config_option *option, sk_str text, void *fields) {
    struct config_value value;
    sk_err err = config_value_read(option, text, &c->config->arena, &value);
    if (!err && value.text.data) value.text = keep(c, value.text);
    if (!err)
        config_value_store(option, &value, fields);
    else if (!c->err)
        c->err = err; /* the scan has let it pass and it is bad now: the machine has changed under us */
}

/* All VALUE rows of a section, from RAW (NULL: nothing is there) or their defaults. */
static void fill(struct compile *c, const struct config_section *section, const void *raw, void *fields) {
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        if (option->shape != CONFIG_SHAPE_VALUE) continue;
        const char *text = NULL;
        if (raw) memcpy(&text, (const char *)raw + option->raw_offset, sizeof(text));
        if (!text) text = option->default_text;
        if (*text || option->kind == CONFIG_KIND_LOG) fill_value(c, option, sk_str_from_c(text), fields);
    }
}

static const struct config_section *section_of(const struct config_section *parent, const char *key) {
    return config_option_find(parent, sk_str_from_c(key))->section;
}

static bool flag_of(const char *text, bool otherwise) {
    static const struct config_option option = {.kind = CONFIG_KIND_FLAG, .min = "", .max = ""};
    struct config_value value;
    return text && !config_value_read(&option, sk_str_from_c(text), NULL, &value) ? value.number != 0
                                                                                  : otherwise;
}

/* Relative to the file that names it. */
static sk_str resolve_path(struct compile *c, sk_str path) {
    if (!path.len || path.data[0] == '/' || !c->source->folder || sk_str_eq(path, SK_STR("-"))) return path;
    sk_str whole = sk_arena_printf(&c->config->arena, "%s/%.*s", c->source->folder, SK_STR_ARGS(path));
    if (!whole.data) c->err = SK_ERR_NO_MEMORY;
    return whole;
}

/* ---- files named by the configuration ---- */

/* A descriptor to read from, or -1 with the problem told. PATH ends with NUL. */
static int open_named(struct compile *c, const char *key, sk_str path) {
    struct stat st;
    char quoted[QUOTED];
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    const char *why = fd < 0 ? strerrordesc_np(errno) : "not a regular file";
    problem(c, key, "found %s, expected a file that can be read: %s", config_quote(path, quoted), why);
    if (fd >= 0) close(fd);
    return -1;
}

static void check_readable(struct compile *c, const char *key, sk_str path) {
    int fd = path.len && !c->err ? open_named(c, key, path) : -1;
    if (fd >= 0) close(fd);
}

/* The first line of the token's file. */
static void read_token(struct compile *c, const char *file) {
    static const char *const key = "admin_token_file";
    char text[512];
    int fd = open_named(c, key, resolve_path(c, sk_str_from_c(file)));
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    sk_str line = sk_str_make(text, n > 0 ? (size_t)n : 0);
    line = sk_str_trim(sk_str_slice(line, 0, sk_str_find_byte(line, '\n')));
    const struct config_option *option = config_option_find(config_top, SK_STR("admin_token"));
    struct config_value value;
    if (config_value_read(option, line, &c->config->arena, &value))
        problem(c, key,
                "found something else in the first line of the file, expected a secret of 16 to 256 "
                "visible characters");
    else
        c->config->admin_token = keep(c, value.text);
}

void config_compile_fill(struct compile *c, const struct config_section *section, const void *raw,
                         void *fields) {
    fill(c, section, raw, fields);
}

void *config_compile_allocate(struct compile *c, size_t count, size_t bytes) {
    return allocate(c, count, bytes);
}

void config_compile_problem(struct compile *c, const char *path, const char *text) {
    problem(c, path, "%s", text);
}

sk_str config_compile_path(struct compile *c, sk_str file) { return resolve_path(c, file); }

sk_str config_compile_file(struct compile *c, const char *path, sk_str file) {
    sk_str whole = resolve_path(c, file);
    check_readable(c, path, whole);
    return whole;
}

/* ---- origins ---- */

static void set_url(struct compile *c, struct config_origin *origin) {
    if (http_uri_parse_absolute(origin->url, &origin->uri)) {
        if (!c->err) c->err = SK_ERR_INVALID;
        return;
    }
    origin->tls = sk_str_ieq(origin->uri.scheme, SK_STR("https"));
    origin->port = origin->uri.port ? origin->uri.port : origin->tls ? 443 : 80;
}

static void compile_origin(struct compile *c, const struct config_section *section,
                           const struct config_raw_ORIGIN *raw, const char *path,
                           struct config_origin *origin) {
    fill(c, section, raw, origin);
    if (!origin->url.len) {
        problem(c, path, "found no url, expected one (example: url: http://10.0.0.1:9000)");
        return;
    }
    set_url(c, origin);
    config_compile_origin_tls(c, path, raw, origin);
}

static bool same_origin(const struct config_origin *a, const struct config_origin *b) {
    return a->tls == b->tls && a->port == b->port && sk_str_ieq(a->uri.host, b->uri.host) &&
           sk_str_eq(a->host, b->host);
}

static void check_origins(struct compile *c, const struct config_site *site, bool has_short) {
    char path[PATH_BYTES], quoted[QUOTED];
    for (uint32_t i = 1; i < site->origin_count; i++)
        for (uint32_t j = 0; j < i; j++) {
            if (!site->origins[i].url.len || !same_origin(&site->origins[i], &site->origins[j])) continue;
            snprintf(path, sizeof(path), "sites[%u].origins[%u].url", site->index, i - has_short);
            problem(c, path, "found %s again: this site already has it; give one of them more weight instead",
                    config_quote(site->origins[i].url, quoted));
            break;
        }
}

/* `origin: URL` comes before what `origins` lists. */
static void compile_origins(struct compile *c, const struct config_section *section,
                            const struct config_raw_SITE *raw, struct config_site *site) {
    char path[PATH_BYTES];
    uint32_t count = raw->origins_count + (raw->origin != NULL), n = 0;
    site->origins = allocate(c, count, sizeof(*site->origins));
    if (!site->origins) return;
    if (raw->origin) {
        struct config_raw_ORIGIN one = {.url = raw->origin};
        snprintf(path, sizeof(path), "sites[%u].origin", site->index);
        compile_origin(c, section, &one, path, &site->origins[n++]);
    }
    for (unsigned i = 0; i < raw->origins_count; i++) {
        snprintf(path, sizeof(path), "sites[%u].origins[%u]", site->index, i);
        compile_origin(c, section, &raw->origins[i], path, &site->origins[n++]);
    }
    site->origin_count = n;
    snprintf(path, sizeof(path), "sites[%u]", site->index);
    if (!n) problem(c, path, "found no origin, expected one (example: origin: \"http://127.0.0.1:9000\")");
    check_origins(c, site, raw->origin != NULL);
}

static void compile_origin_options(struct compile *c, const struct config_section *section,
                                   const struct config_raw_ORIGIN_OPTIONS *raw,
                                   struct config_origin_options *options) {
    const struct config_raw_HEALTH_CHECK *health = raw ? raw->health_check : NULL;
    fill(c, section, raw, options);
    fill(c, section_of(section, "health_check"), health, &options->health);
    options->health.enabled = health && flag_of(health->enabled, true);
}

/* ---- networks ---- */

static struct io_prefix *compile_prefixes(struct compile *c, char *const *texts, unsigned count) {
    struct io_prefix *prefixes = allocate(c, count, sizeof(*prefixes));
    for (unsigned i = 0; prefixes && i < count; i++)
        if (io_prefix_parse(sk_str_from_c(texts[i]), &prefixes[i]) && !c->err) c->err = SK_ERR_INVALID;
    return prefixes;
}

static void compile_purge(struct compile *c, const struct config_raw_PURGE *raw, struct config_purge *purge) {
    if (!raw) return;
    purge->allow = compile_prefixes(c, raw->allow, raw->allow_count);
    purge->allow_count = raw->allow_count;
}

static void compile_qlog(struct compile *c, const struct config_raw_QLOG *raw, struct config_qlog *qlog) {
    fill(c, section_of(config_top, "qlog"), raw, qlog);
    if (!raw) return;
    qlog->folder = resolve_path(c, qlog->folder);
    qlog->clients = compile_prefixes(c, raw->clients, raw->clients_count);
    qlog->client_count = qlog->clients ? raw->clients_count : 0;
}

/* ---- sites ---- */

static void add_host(struct compile *c, struct config_site *site, const char *text) {
    static const struct config_option option = {.kind = CONFIG_KIND_HOST, .min = "", .max = ""};
    struct config_value value;
    sk_err err = config_value_read(&option, sk_str_from_c(text), &c->config->arena, &value);
    if (err && !c->err) c->err = err;
    if (!err) site->hosts[site->host_count++] = value.text;
}

static void compile_hosts(struct compile *c, const struct config_raw_SITE *raw, struct config_site *site) {
    site->hosts = allocate(c, raw->hosts_count + 1, sizeof(*site->hosts));
    if (!site->hosts) return;
    if (raw->host) add_host(c, site, raw->host);
    for (unsigned i = 0; i < raw->hosts_count; i++) add_host(c, site, raw->hosts[i]);
    if (!site->host_count) add_host(c, site, "*");
}

static void compile_rules(struct compile *c, const struct config_section *section,
                          const struct config_raw_SITE *raw, struct config_site *site) {
    struct sk_arena *arena = &c->config->arena;
    char path[PATH_BYTES];
    fill(c, section_of(section, "cache"), raw->cache, &site->base.cache);
    fill(c, section_of(section, "key"), raw->key, &site->base.key);
    sk_err err = config_base_compile(arena, raw, &site->base);
    site->rules = allocate(c, raw->rules_count, sizeof(*site->rules));
    for (uint32_t i = 0; site->rules && i < raw->rules_count && !err; i++) {
        err = config_rule_compile(arena, &raw->rules[i], &site->base, &site->rules[i]);
        site->rules[i].index = i;
        if (err || site->rules[i].path_count) continue;
        snprintf(path, sizeof(path), "sites[%u].rules[%u]", site->index, i);
        problem(c, path, "found no path, expected one (example: path: /static/*)");
    }
    site->rule_count = raw->rules_count;
    if (err && !c->err) c->err = err;
}

static void compile_site(struct compile *c, const struct config_section *section,
                         const struct config_raw_SITE *raw, struct config_site *site) {
    fill(c, section, raw, site);
    site->purge = c->config->purge;
    compile_purge(c, raw->purge, &site->purge);
    compile_hosts(c, raw, site);
    if (!site->name.len && site->host_count) site->name = site->hosts[0];
    compile_origins(c, section_of(section, "origins"), raw, site);
    compile_origin_options(c, section_of(section, "origin_options"), raw->origin_options, &site->origin);
    compile_rules(c, section, raw, site);
    config_compile_site_certificates(c, raw, site);
    fill(c, section_of(section, "vary"), raw->vary, &site->vary);
    fill(c, section_of(section, "compress"), raw->compress, &site->compress);
    sk_err err = config_vary_compile(&c->config->arena, raw->vary, &site->vary);
    if (!err) err = config_compress_compile(&c->config->arena, raw->compress, &site->compress);
    if (err) c->err = err;
}

/* Where host I of a site was written: `host` comes before what `hosts` lists. */
static void host_path(const struct config_raw_SITE *raw, uint32_t site, uint32_t i, char path[PATH_BYTES]) {
    if (i == 0 && raw->host)
        snprintf(path, PATH_BYTES, "sites[%u].host", site);
    else if (raw->hosts_count)
        snprintf(path, PATH_BYTES, "sites[%u].hosts[%u]", site, i - (raw->host != NULL));
    else
        snprintf(path, PATH_BYTES, "sites[%u]", site); /* "*" by default */
}

static void index_hosts(struct compile *c, const struct config_raw_TOP *raw) {
    char path[PATH_BYTES], quoted[QUOTED], other_name[QUOTED];
    size_t count = 0;
    for (uint32_t s = 0; s < c->config->site_count; s++) count += c->config->sites[s].host_count;
    sk_err err = config_hosts_create(&c->config->arena, count, &c->config->hosts);
    if (err) {
        c->err = err;
        return;
    }
    for (uint32_t s = 0; s < c->config->site_count; s++) {
        const struct config_site *site = &c->config->sites[s], *other;
        for (uint32_t i = 0; i < site->host_count; i++) {
            if (config_hosts_add(c->config->hosts, site->hosts[i], site, &other) == SK_OK) continue;
            host_path(&raw->sites[s], s, i, path);
            problem(c, path, "found host %s again: the site %s (sites[%u]) already serves it",
                    config_quote(site->hosts[i], quoted), config_quote(other->name, other_name),
                    other->index);
        }
    }
}

static int by_name(const void *a, const void *b) {
    const struct config_site *x = *(const struct config_site *const *)a,
                             *y = *(const struct config_site *const *)b;
    int order = sk_str_compare(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Logs and metrics tell sites apart by their names. */
static void check_names(struct compile *c, const struct config_raw_TOP *raw) {
    char path[PATH_BYTES], quoted[QUOTED];
    uint32_t count = c->config->site_count;
    const struct config_site **sorted = allocate(c, count, sizeof(*sorted));
    if (!sorted) return;
    for (uint32_t i = 0; i < count; i++) sorted[i] = &c->config->sites[i];
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (uint32_t i = 1; i < count; i++) {
        /* Sites that take their name from a host they share: that problem is already told. */
        if (!sk_str_eq(sorted[i]->name, sorted[i - 1]->name) || !raw->sites[sorted[i]->index].name) continue;
        snprintf(path, sizeof(path), "sites[%u].name", sorted[i]->index);
        problem(c, path, "found name %s again: sites[%u] already has it",
                config_quote(sorted[i]->name, quoted), sorted[i - 1]->index);
    }
}

static void compile_sites(struct compile *c, const struct config_raw_TOP *raw) {
    const struct config_section *section = section_of(config_top, "sites");
    if (!raw->sites_count && !c->config->fleet.state.len) /* a fleet's come from control */
        problem(c, "sites",
                "found no sites, expected at least one (example: sites: "
                "[{origin: \"http://127.0.0.1:9000\"}])");
    c->config->sites = allocate(c, raw->sites_count, sizeof(*c->config->sites));
    if (!c->config->sites) return;
    for (uint32_t i = 0; i < raw->sites_count && !c->err; i++) {
        struct config_site *site = &c->config->sites[i];
        site->index = i;
        compile_site(c, section, &raw->sites[i], site);
        c->config->site_count++;
    }
    if (c->err) return;
    index_hosts(c, raw);
    check_names(c, raw);
}

/* ---- the top ---- */

static void compile_trusted(struct compile *c, const struct config_raw_TOP *raw) {
    c->config->trusted_proxies = compile_prefixes(c, raw->trusted_proxies, raw->trusted_proxies_count);
    c->config->trusted_proxy_count = raw->trusted_proxies_count;
}

/* What a default takes at most: the table's percentage of a very large machine would surprise. */
#define MEMORY_DEFAULT_MOST (UINT64_C(16) << 30)

static void compile_top(struct compile *c, const struct config_raw_TOP *raw) {
    struct config *config = c->config;
    fill(c, config_top, raw, config);
    fill(c, section_of(config_top, "access_log"), raw->access_log, config);
    fill(c, section_of(config_top, "limits"), raw->limits, &config->limits);
    fill(c, section_of(config_top, "timeouts"), raw->timeouts, &config->timeouts);
    fill(c, section_of(config_top, "fleet"), raw->fleet, &config->fleet);
    config->fleet.state = resolve_path(c, config->fleet.state);
    config->fleet.bus_ca = resolve_path(c, config->fleet.bus_ca);
    config->fleet.bus_cert = resolve_path(c, config->fleet.bus_cert);
    config->fleet.bus_key = resolve_path(c, config->fleet.bus_key);
    config->access_log = resolve_path(c, config->access_log);
    if (!raw->memory) config->memory_bytes = SK_MIN(config->memory_bytes, MEMORY_DEFAULT_MOST);
    if (!config->max_object_bytes) config->max_object_bytes = config->memory_bytes / 2;
    if (!config->threads) config->threads = config_machine_cores();
    if (raw->admin_token && raw->admin_token_file)
        problem(c, "admin_token_file", "found both admin_token and admin_token_file, expected one of them");
    else if (raw->admin_token_file)
        read_token(c, raw->admin_token_file);
    config_compile_listeners(c, raw);
    config_compile_acme(c, raw->acme, &config->acme);
    config_compile_peers(c, raw->peers, &config->peers);
    config_compile_disk(c, raw->disk, &config->disk);
    compile_trusted(c, raw);
    compile_purge(c, raw->purge, &config->purge);
    compile_qlog(c, raw->qlog, &config->qlog);
}

void config_check_whole(const struct config *config, const struct config_source *source,
                        struct config_problems *problems) {
    if (config->admin.len && !sk_str_starts_with(config->admin, SK_STR("unix:")) && !config->admin_token.len)
        problem_at(
            source, problems, "admin",
            "found an address for everybody who can reach it: it needs admin_token or admin_token_file, or "
            "use a Unix socket (example: unix:/run/skerry/admin.sock)");
    if (config->fleet.bus.len && !config->fleet.state.len)
        problem_at(
            source, problems, "fleet.bus",
            "found a bus but no state: whom to believe on it is in the folder with this node's identity "
            "(example: state: /var/lib/skerry/fleet)");
    if (!config->fleet.bus_cert.len != !config->fleet.bus_key.len)
        problem_at(source, problems, "fleet.bus_cert",
                   "found one of bus_cert and bus_key, expected both or none");
    if (config->max_object_bytes > config->memory_bytes)
        problem_at(source, problems, "max_object", "found more than memory");
    /* A fleet's are with its sites, which may yet come. */
    if (config_serves_tls(config) && !config_has_certificate(config) && !config->fleet.state.len)
        problem_at(source, problems, "",
                   "found no certificate, expected one because a listener speaks TLS (example: certificates: "
                   "[{cert: /etc/skerry/www.pem, key: /etc/skerry/www.key}])");
}

/* Counts configurations made by this process; relaxed: only to be told apart. */
static uint64_t next_number(void) {
    static _Atomic uint64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

sk_err config_compile(const struct config_source *source, const struct config_raw_TOP *raw,
                      struct config_problems *problems, struct config **out_config) {
    struct compile c = {.source = source, .problems = problems, .config = calloc(1, sizeof(struct config))};
    uint32_t before = problems->count;
    if (!c.config) return SK_ERR_NO_MEMORY;
    atomic_init(&c.config->references, 1);
    c.config->number = next_number();
    sk_arena_init(&c.config->arena, 4096, 0);
    compile_top(&c, raw);
    if (!c.err) compile_sites(&c, raw);
    if (!c.err && problems->count == before) config_check_whole(c.config, source, problems);
    if (!c.err && problems->count != before) c.err = SK_ERR_INVALID;
    if (c.err) {
        config_unref(c.config);
        return c.err;
    }
    *out_config = c.config;
    return SK_OK;
}
