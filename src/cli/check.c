/* skerry check FILE... */
#include <argp.h>
#include <stdio.h>

#include "base/units.h"
#include "cli/command.h"
#include "config/load.h"
#include "edge/tls.h"
#include "http/date.h"

enum { FILES_MAX = 64, SITES_SHOWN = 20, HOSTS_SHOWN = 4 };

struct check_arguments {
    const char *files[FILES_MAX];
    size_t count;
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct check_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (arguments->count == FILES_MAX) argp_error(state, "too many files");
        arguments->files[arguments->count++] = value;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which file? (example: skerry check edge.yaml)"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* A buffer that stops taking text at the first failure, which it remembers. */
struct page {
    struct sk_buf buf;
    sk_err err;
};

#define PRINT(page, ...)                                                                                     \
    do {                                                                                                     \
        if (!(page)->err) (page)->err = sk_buf_printf(&(page)->buf, __VA_ARGS__);                            \
    } while (0)

static void print_listeners(struct page *page, const struct config *config) {
    for (uint32_t i = 0; i < config->listener_count; i++) {
        char text[IO_ADDR_TEXT_BYTES];
        const struct config_listener *listener = &config->listeners[i];
        io_addr_format(&listener->addr, text);
        PRINT(page, "  listen      %s on %s%s\n", listener->tls ? "https" : "http", text,
              listener->client_ca.len ? ", for clients with a certificate" : "");
    }
    if (config->admin.len) PRINT(page, "  admin       %.*s\n", SK_STR_ARGS(config->admin));
}

static void print_process(struct page *page, const struct config *config) {
    char memory[24], object[24];
    sk_size_format(config->memory_bytes, memory);
    sk_size_format(config->max_object_bytes, object);
    PRINT(page, "  cache       %s of memory, objects up to %s, %u threads\n", memory, object,
          config->threads);
    if (config->access_log.len)
        PRINT(page, "  access log  %s (%s)\n",
              sk_str_eq(config->access_log, SK_STR("-")) ? "stdout" : config->access_log.data,
              config->access_log_format == CONFIG_LOG_JSON ? "json" : "common");
}

static void print_certificate(struct page *page, const struct wire_tls_certificate *certificate) {
    char date[HTTP_DATE_BYTES];
    http_date_format(certificate->not_after, date);
    PRINT(page, "  certificate %s (%s, to %.*s): ", certificate->file,
          certificate->kind == WIRE_TLS_RSA ? "RSA" : "ECDSA", HTTP_DATE_BYTES, date);
    for (uint32_t i = 0; i < certificate->name_count && i < HOSTS_SHOWN; i++)
        PRINT(page, "%s%.*s", i ? ", " : "", SK_STR_ARGS(certificate->names[i]));
    if (certificate->name_count > HOSTS_SHOWN)
        PRINT(page, " and %u more", certificate->name_count - HOSTS_SHOWN);
    PRINT(page, "\n");
}

static void print_certificates(struct page *page, const struct wire_tls_store *store) {
    uint32_t count = wire_tls_store_count(store);
    for (uint32_t i = 0; i < count && i < SITES_SHOWN; i++)
        print_certificate(page, wire_tls_store_at(store, i));
    if (count > SITES_SHOWN) PRINT(page, "  and %u certificates more\n", count - SITES_SHOWN);
}

static void print_site(struct page *page, const struct config_site *site) {
    PRINT(page, "  site        %.*s%s: ", SK_STR_ARGS(site->name), site->base.enabled ? "" : " (not cached)");
    for (uint32_t i = 0; i < site->host_count && i < HOSTS_SHOWN; i++)
        PRINT(page, "%s%.*s", i ? ", " : "", SK_STR_ARGS(site->hosts[i]));
    if (site->host_count > HOSTS_SHOWN) PRINT(page, " and %u more", site->host_count - HOSTS_SHOWN);
    for (uint32_t i = 0; i < site->origin_count; i++)
        PRINT(page, "%s%.*s", i ? ", " : " <- ", SK_STR_ARGS(site->origins[i].url));
    PRINT(page, "\n");
}

static void print_summary(struct page *page, const char *file, const struct config *config,
                          const struct wire_tls_store *store) {
    PRINT(page, "%s: OK\n", file);
    print_listeners(page, config);
    print_process(page, config);
    for (uint32_t i = 0; i < config->site_count && i < SITES_SHOWN; i++) print_site(page, &config->sites[i]);
    print_certificates(page, store);
    if (config->site_count > SITES_SHOWN)
        PRINT(page, "  and %u sites more\n", config->site_count - SITES_SHOWN);
}

/* What is wrong with certificates goes to stderr: what is to be refused, and what is only to be known. */
static sk_err check_certificates(const char *file, const struct config *config,
                                 struct wire_tls_store **out_store) {
    struct sk_buf report;
    sk_buf_init(&report, 0);
    sk_err err = edge_tls_load(config, &report, out_store);
    if (err)
        fprintf(stderr, "%s: certificates: %.*s", file, SK_STR_ARGS(sk_buf_str(&report)));
    else if (edge_tls_warn(config, *out_store, sk_wall_now_ns() / SK_NS_PER_S, &report) == SK_OK)
        fprintf(stderr, "%.*s", SK_STR_ARGS(sk_buf_str(&report)));
    sk_buf_free(&report);
    return err;
}

/* The problems go to stderr. */
static int check_file(const char *file) {
    struct config_problems problems;
    struct config *config;
    struct page page = {0};
    int code = CLI_USAGE;
    config_problems_init(&problems);
    sk_err err = config_load_file(file, &config, &problems);
    if (err) {
        fprintf(stderr, "%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
        fprintf(stderr, "%s: %u problem%s\n", file, problems.count, problems.count == 1 ? "" : "s");
    } else {
        struct wire_tls_store *store = NULL;
        if (check_certificates(file, config, &store) == SK_OK) {
            sk_buf_init(&page.buf, 0);
            print_summary(&page, file, config, store);
            code = cli_print(&page.buf, page.err);
        }
        wire_tls_store_unref(store);
        config_unref(config);
    }
    config_problems_free(&problems);
    return code;
}

int cli_check(int argc, char **argv) {
    static const struct argp argp = {
        .parser = on_argument,
        .args_doc = "FILE...",
        .doc =
            "Reads configuration files as `skerry edge -c FILE` would, and says what they mean or what is wrong: "
            "every problem with its line and column, what was found, and what is allowed. Nothing is started.\v"
            "Example:\n"
            "  skerry check /etc/skerry/edge.yaml && systemctl reload skerry-edge\n\n"
            "Exit codes: 0 all are right, 2 a file is wrong or cannot be read.",
    };
    struct check_arguments arguments = {0};
    int code = CLI_FINE;
    cli_parse(&argp, "check", argc, argv, &arguments);
    for (size_t i = 0; i < arguments.count; i++) {
        int one = check_file(arguments.files[i]);
        if (one > code) code = one;
    }
    return code;
}
