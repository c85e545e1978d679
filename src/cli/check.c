/* skerry check FILE... */
#include <argp.h>
#include <stdio.h>

#include "base/units.h"
#include "cli/command.h"
#include "config/load.h"

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
        io_addr_format(&config->listeners[i], text);
        PRINT(page, "  listen      http on %s\n", text);
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

static void print_site(struct page *page, const struct config_site *site) {
    PRINT(page, "  site        %.*s%s: ", SK_STR_ARGS(site->name), site->base.enabled ? "" : " (not cached)");
    for (uint32_t i = 0; i < site->host_count && i < HOSTS_SHOWN; i++)
        PRINT(page, "%s%.*s", i ? ", " : "", SK_STR_ARGS(site->hosts[i]));
    if (site->host_count > HOSTS_SHOWN) PRINT(page, " and %u more", site->host_count - HOSTS_SHOWN);
    for (uint32_t i = 0; i < site->origin_count; i++)
        PRINT(page, "%s%.*s", i ? ", " : " <- ", SK_STR_ARGS(site->origins[i].url));
    PRINT(page, "\n");
}

static void print_summary(struct page *page, const char *file, const struct config *config) {
    PRINT(page, "%s: OK\n", file);
    print_listeners(page, config);
    print_process(page, config);
    for (uint32_t i = 0; i < config->site_count && i < SITES_SHOWN; i++) print_site(page, &config->sites[i]);
    if (config->site_count > SITES_SHOWN)
        PRINT(page, "  and %u sites more\n", config->site_count - SITES_SHOWN);
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
        sk_buf_init(&page.buf, 0);
        print_summary(&page, file, config);
        code = cli_print(&page.buf, page.err);
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
