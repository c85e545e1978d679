/* skerry certs */
#include <argp.h>
#include <stdio.h>
#include <time.h>
#include <yyjson.h>

#include "cli/admin.h"
#include "cli/command.h"

#define DAY_S 86400

struct certs_arguments {
    struct cli_admin admin;
    bool json, retry;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print what the process answered, as JSON", 1},
    {"retry", 'r', NULL, 0, "Try orders and status requests that failed again, at once, instead of waiting",
     1},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct certs_arguments *arguments = state->input;
    switch (key) {
    case 'j': arguments->json = true; return 0;
    case 'r': arguments->retry = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->admin; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected \"%s\"", value); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- the page --------------------------------------------------------------------------------------- */

static const char *text(yyjson_val *object, const char *key) {
    const char *value = yyjson_get_str(yyjson_obj_get(object, key));
    return value ? value : "";
}

static int64_t number(yyjson_val *object, const char *key) {
    return yyjson_get_sint(yyjson_obj_get(object, key));
}

/* "www.example.com and 3 more" */
static sk_err write_names(struct sk_buf *out, yyjson_val *object) {
    yyjson_val *names = yyjson_obj_get(object, "names");
    const char *first = yyjson_get_str(yyjson_arr_get_first(names));
    char shown[96];
    if (yyjson_arr_size(names) > 1)
        snprintf(shown, sizeof shown, "%.40s and %zu more", first ? first : "-", yyjson_arr_size(names) - 1);
    else
        snprintf(shown, sizeof shown, "%.60s", first ? first : "-");
    return sk_buf_printf(out, "%-40s", shown);
}

/* "2026-03-01", and how many days that is from now. */
static sk_err write_end(struct sk_buf *out, int64_t now, int64_t not_after) {
    time_t end = (time_t)not_after;
    struct tm tm;
    char date[16] = "-";
    if (not_after && gmtime_r(&end, &tm)) strftime(date, sizeof date, "%Y-%m-%d", &tm);
    return sk_buf_printf(out, " %-10s %5lld", date, not_after ? (long long)(not_after - now) / DAY_S : 0LL);
}

/* What is shown beside it: "-" where nothing is asked for. */
static const char *status_of(yyjson_val *certificate) {
    yyjson_val *status = yyjson_obj_get(certificate, "ocsp");
    return status ? text(status, "status") : "-";
}

static sk_err write_certificate(struct sk_buf *out, int64_t now, yyjson_val *certificate) {
    sk_err err = write_names(out, certificate);
    if (!err) err = write_end(out, now, number(certificate, "not_after"));
    if (!err)
        err = sk_buf_printf(out, " %-6s %-8s %s\n", text(certificate, "key"), status_of(certificate),
                            text(certificate, "file"));
    return err;
}

static sk_err write_order(struct sk_buf *out, int64_t now, yyjson_val *order) {
    sk_err err = write_names(out, order);
    if (!err)
        err = write_end(out, now,
                        yyjson_is_true(yyjson_obj_get(order, "usable")) ? number(order, "not_after") : 0);
    if (!err)
        err = sk_buf_printf(out, " %-9s %8lld s%s%s\n", text(order, "last"),
                            (long long)SK_MAX(number(order, "next") - now, 0),
                            *text(order, "why") ? "  " : "", text(order, "why"));
    return err;
}

static sk_err write_page(struct sk_buf *out, yyjson_val *root) {
    yyjson_val *list = yyjson_obj_get(root, "certificates"), *orders = yyjson_obj_get(root, "acme"), *item;
    int64_t now = number(root, "now");
    yyjson_arr_iter each = yyjson_arr_iter_with(list);
    sk_err err = sk_buf_printf(out, "%-40s %-10s %5s %-6s %-8s %s\n", "IN FORCE", "UNTIL", "DAYS", "KEY",
                               "STATUS", "FILE");
    while (!err && (item = yyjson_arr_iter_next(&each))) err = write_certificate(out, now, item);
    if (err || !yyjson_arr_size(orders)) return err;
    err = sk_buf_printf(out, "\n%-40s %-10s %5s %-9s %s\n", "BY ACME", "UNTIL", "DAYS", "LAST",
                        "ASKED AGAIN IN");
    each = yyjson_arr_iter_with(orders);
    while (!err && (item = yyjson_arr_iter_next(&each))) err = write_order(out, now, item);
    return err;
}

static int print(struct sk_buf *answer, bool json) {
    struct sk_buf page;
    sk_buf_init(&page, 0);
    yyjson_doc *doc = yyjson_read(answer->data, sk_buf_len(answer), 0);
    sk_err err = json  ? sk_buf_append(&page, sk_buf_str(answer))
                 : doc ? write_page(&page, yyjson_doc_get_root(doc))
                       : SK_ERR_MALFORMED;
    yyjson_doc_free(doc);
    return cli_print(&page, err);
}

int cli_certs(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .children = children,
        .doc =
            "The certificates that a running edge shows, and those that it has from an authority (ACME): until when, "
            "what came of the last order, when the authority is asked again. STATUS: what the authority says of it "
            "now, as clients that ask are shown (OCSP): good, revoked, none so far, or - where nobody is asked.\v"
            "Examples:\n"
            "  skerry certs\n"
            "  skerry certs --retry    after what was in the way is mended\n\n"
            "Exit codes: 0 told, 1 the process could not be asked, 2 bad usage.",
    };
    struct certs_arguments arguments = {0};
    struct sk_buf answer;
    uint16_t status = 0;
    cli_parse(&argp, "certs", argc, argv, &arguments);
    sk_buf_init(&answer, 0);
    int code = CLI_FINE;
    if (arguments.retry)
        code = cli_admin_call(&arguments.admin, "certs", SK_STR("POST"), SK_STR("/certificates/retry"),
                              (sk_str){0}, &status, &answer);
    sk_buf_clear(&answer);
    if (code == CLI_FINE)
        code = cli_admin_call(&arguments.admin, "certs", SK_STR("GET"), SK_STR("/certificates"), (sk_str){0},
                              &status, &answer);
    if (code == CLI_FINE && status != 200) {
        fprintf(stderr, "skerry certs: the process answers %u\n", status);
        code = CLI_FAILED;
    }
    if (code == CLI_FINE) code = print(&answer, arguments.json);
    sk_buf_free(&answer);
    return code;
}
