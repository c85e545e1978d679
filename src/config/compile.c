#include "config/compile_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "config/value.h"

/* The first line of the token's file. */
static void read_token(struct compile *c, const char *file) {
    static const char *const key = "admin_token_file";
    char text[512];
    int fd = config_compile_open(c, key, config_compile_path(c, sk_str_from_c(file)));
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    sk_str line = sk_str_make(text, n > 0 ? (size_t)n : 0);
    line = sk_str_trim(sk_str_slice(line, 0, sk_str_find_byte(line, '\n')));
    const struct config_option *option = config_option_find(config_top, SK_STR("admin_token"));
    struct config_value value;
    if (config_value_read(option, line, &c->config->arena, &value))
        config_compile_problem(
            c, key,
            "found something else in the first line of the file, expected a secret of 16 to 256 "
            "visible characters");
    else
        c->config->admin_token = config_compile_keep(c, value.text);
}

void config_compile_purge(struct compile *c, const struct config_raw_PURGE *raw, struct config_purge *purge) {
    if (!raw) return;
    purge->allow = config_compile_prefixes(c, raw->allow, raw->allow_count);
    purge->allow_count = raw->allow_count;
}

static void compile_qlog(struct compile *c, const struct config_raw_QLOG *raw, struct config_qlog *qlog) {
    config_compile_fill(c, config_compile_section(config_top, "qlog"), raw, qlog);
    if (!raw) return;
    qlog->folder = config_compile_path(c, qlog->folder);
    qlog->clients = config_compile_prefixes(c, raw->clients, raw->clients_count);
    qlog->client_count = qlog->clients ? raw->clients_count : 0;
}

static void compile_trusted(struct compile *c, const struct config_raw_TOP *raw) {
    c->config->trusted_proxies = config_compile_prefixes(c, raw->trusted_proxies, raw->trusted_proxies_count);
    c->config->trusted_proxy_count = raw->trusted_proxies_count;
}

/* What a default takes at most: the table's percentage of a very large machine would surprise. */
#define MEMORY_DEFAULT_MOST (UINT64_C(16) << 30)

static void compile_top(struct compile *c, const struct config_raw_TOP *raw) {
    struct config *config = c->config;
    config_compile_fill(c, config_top, raw, config);
    config_compile_fill(c, config_compile_section(config_top, "access_log"), raw->access_log, config);
    config_compile_fill(c, config_compile_section(config_top, "limits"), raw->limits, &config->limits);
    config_compile_fill(c, config_compile_section(config_top, "timeouts"), raw->timeouts, &config->timeouts);
    config_compile_fill(c, config_compile_section(config_top, "fleet"), raw->fleet, &config->fleet);
    config->fleet.state = config_compile_path(c, config->fleet.state);
    config->fleet.bus_ca = config_compile_path(c, config->fleet.bus_ca);
    config->fleet.bus_cert = config_compile_path(c, config->fleet.bus_cert);
    config->fleet.bus_key = config_compile_path(c, config->fleet.bus_key);
    config->access_log = config_compile_path(c, config->access_log);
    if (!raw->memory) config->memory_bytes = SK_MIN(config->memory_bytes, MEMORY_DEFAULT_MOST);
    if (!config->max_object_bytes) config->max_object_bytes = config->memory_bytes / 2;
    if (!config->threads) config->threads = config_machine_cores();
    if (raw->admin_token && raw->admin_token_file)
        config_compile_problem(c, "admin_token_file",
                               "found both admin_token and admin_token_file, expected one of them");
    else if (raw->admin_token_file)
        read_token(c, raw->admin_token_file);
    config_compile_listeners(c, raw);
    config_compile_acme(c, raw->acme, &config->acme);
    config_compile_peers(c, raw->peers, &config->peers);
    config_compile_disk(c, raw->disk, &config->disk);
    compile_trusted(c, raw);
    config_compile_purge(c, raw->purge, &config->purge);
    compile_qlog(c, raw->qlog, &config->qlog);
}

void config_check_whole(const struct config *config, const struct config_source *source,
                        struct config_problems *problems) {
    if (config->admin.len && !sk_str_starts_with(config->admin, SK_STR("unix:")) && !config->admin_token.len)
        config_compile_told(
            source, problems, "admin",
            "found an address for everybody who can reach it: it needs admin_token or admin_token_file, or "
            "use a Unix socket (example: unix:/run/skerry/admin.sock)");
    if (config->fleet.bus.len && !config->fleet.state.len)
        config_compile_told(
            source, problems, "fleet.bus",
            "found a bus but no state: whom to believe on it is in the folder with this node's identity "
            "(example: state: /var/lib/skerry/fleet)");
    if (!config->fleet.bus_cert.len != !config->fleet.bus_key.len)
        config_compile_told(source, problems, "fleet.bus_cert",
                            "found one of bus_cert and bus_key, expected both or none");
    if (config->max_object_bytes > config->memory_bytes)
        config_compile_told(source, problems, "max_object", "found more than memory");
    if (config_serves_tls(config) && !config_has_certificate(config))
        config_compile_told(
            source, problems, "",
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
    if (!c.err) config_compile_sites(&c, raw);
    if (!c.err && problems->count == before) config_check_whole(c.config, source, problems);
    if (!c.err && problems->count != before) c.err = SK_ERR_INVALID;
    if (c.err) {
        config_unref(c.config);
        return c.err;
    }
    *out_config = c.config;
    return SK_OK;
}
