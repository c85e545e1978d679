/* skerry explain-route */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "cli/admin.h"
#include "cli/arguments.h"
#include "cli/command.h"

#define ROUTE_ADMIN_DEFAULT "unix:/run/skerry/route.sock"

struct explain_route_arguments {
    struct cli_admin admin;
    const char *client, *name;
    bool json;
};

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print what the process answered, as JSON", 1},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct explain_route_arguments *arguments = state->input;
    switch (key) {
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->admin; return 0;
    case ARGP_KEY_ARG:
        if (arguments->name) argp_error(state, "unexpected \"%s\"", value);
        *(arguments->client ? &arguments->name : &arguments->client) = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which client? (example: skerry explain-route 192.0.2.1 www.example.com)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- the page --------------------------------------------------------------------------------------- */

static const char *text(yyjson_val *object, const char *key) {
    const char *value = yyjson_get_str(yyjson_obj_get(object, key));
    return value ? value : "";
}

/* "12.3", or "-" where there is none. */
static const char *number(yyjson_val *object, const char *key, int digits, char out[32]) {
    yyjson_val *value = yyjson_obj_get(object, key);
    if (yyjson_is_num(value))
        snprintf(out, 32, "%.*f", digits, yyjson_get_num(value));
    else
        snprintf(out, 32, "-");
    return out;
}

static sk_err write_list(struct sk_buf *out, const char *title, yyjson_val *list) {
    yyjson_val *item;
    yyjson_arr_iter each = yyjson_arr_iter_with(list);
    if (!yyjson_arr_size(list)) return SK_OK;
    sk_err err = sk_buf_printf(out, "%-12s", title);
    while (!err && (item = yyjson_arr_iter_next(&each)))
        err = sk_buf_printf(out, " %s", yyjson_get_str(item));
    return err ? err : sk_buf_append(out, SK_STR("\n"));
}

static sk_err write_head(struct sk_buf *out, yyjson_val *root) {
    char latitude[32], longitude[32];
    yyjson_val *place = yyjson_obj_get(root, "place");
    sk_err err = sk_buf_printf(out, "%-12s %s", "client", text(root, "client"));
    if (!err && *text(place, "country"))
        err = sk_buf_printf(out, ", %s, AS %llu", text(place, "country"),
                            (unsigned long long)yyjson_get_uint(yyjson_obj_get(place, "as_number")));
    if (!err && yyjson_is_num(yyjson_obj_get(place, "latitude")))
        err = sk_buf_printf(out, ", at %s, %s", number(place, "latitude", 2, latitude),
                            number(place, "longitude", 2, longitude));
    if (!err) err = sk_buf_append(out, SK_STR("\n"));
    if (!err) err = write_list(out, "answer", yyjson_obj_get(root, "answer"));
    if (!err) err = write_list(out, "addresses", yyjson_obj_get(root, "addresses"));
    if (!err && *text(root, "location"))
        err = sk_buf_printf(out, "%-12s %s\n", "redirect to", text(root, "location"));
    if (!err) err = sk_buf_printf(out, "%-12s %s: %s\n", "reason", text(root, "reason"), text(root, "why"));
    if (!err && yyjson_is_false(yyjson_obj_get(root, "routed")))
        err = sk_buf_printf(out, "%-12s %s is not answered from the routing table\n", "note",
                            text(root, "name"));
    if (!err) err = sk_buf_printf(out, "%-12s %s\n", "measured by", text(root, "measured_by"));
    return err;
}

static sk_err write_site(struct sk_buf *out, yyjson_val *site) {
    static const struct {
        const char *key;
        int digits, width;
    } columns[] = {{"total", 4, 9},          {"proximity_term", 4, 9}, {"load_term", 4, 9},
                   {"hit_ratio_term", 4, 9}, {"cost_term", 4, 9},      {"distance_km", 0, 9},
                   {"rtt_ms", 1, 8},         {"load", 2, 6},           {"shed", 2, 6}};
    char value[32];
    bool up = yyjson_get_bool(yyjson_obj_get(site, "up"));
    bool draining = yyjson_get_bool(yyjson_obj_get(site, "draining"));
    sk_err err = sk_buf_printf(out, "%-12s", text(site, "name"));
    for (size_t i = 0; i < SK_COUNT(columns) && !err; i++)
        err = sk_buf_printf(out, " %*s", columns[i].width,
                            number(site, columns[i].key, columns[i].digits, value));
    return err ? err : sk_buf_printf(out, "  %s\n", !up ? "down" : draining ? "draining" : "up");
}

static sk_err write_page(struct sk_buf *out, sk_str json) {
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *site;
    yyjson_arr_iter each = yyjson_arr_iter_with(yyjson_obj_get(root, "sites"));
    sk_err err = root ? write_head(out, root) : SK_ERR_MALFORMED;
    if (!err)
        err = sk_buf_printf(out, "\n%-12s %9s %9s %9s %9s %9s %9s %8s %6s %6s\n", "site", "score", "nearness",
                            "load", "misses", "cost", "km", "rtt ms", "load", "shed");
    while (!err && (site = yyjson_arr_iter_next(&each))) err = write_site(out, site);
    yyjson_doc_free(doc);
    return err;
}

/* Frees ANSWER. */
static int show(struct sk_buf *answer, uint16_t status, bool json) {
    struct sk_buf page;
    if (status != 200) {
        fprintf(stderr, "skerry explain-route: %.*s", SK_STR_ARGS(sk_buf_str(answer)));
        sk_buf_free(answer);
        return status == 400 ? CLI_USAGE : CLI_FAILED;
    }
    if (json) return cli_print(answer, SK_OK);
    sk_buf_init(&page, 0);
    sk_err err = write_page(&page, sk_buf_str(answer));
    sk_buf_free(answer);
    return cli_print(&page, err);
}

static sk_err put_question(const struct explain_route_arguments *arguments, struct sk_buf *out) {
    sk_err err = cli_add_parameter(out, "/route?client", arguments->client);
    bool url = arguments->name && strstr(arguments->name, "://");
    if (!err && arguments->name) err = cli_add_parameter(out, url ? "&url" : "&name", arguments->name);
    return err;
}

int cli_explain_route(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "IP [NAME|URL]",
        .children = children,
        .doc =
            "Says where a running router sends a client now, and why: the client's place, who measured, and "
            "each site's score term by term (the lowest wins). The admin address is by default "
            "unix:/run/skerry/route.sock.\v"
            "Examples:\n"
            "  skerry explain-route 192.0.2.1 www.example.com\n"
            "  skerry explain-route --json 2001:db8::1 https://www.example.com/video/1.ts\n\n"
            "Exit codes: 0 explained, 1 the router could not be asked, 2 bad usage.",
    };
    struct explain_route_arguments arguments = {.admin.address = ROUTE_ADMIN_DEFAULT};
    struct sk_buf target, answer;
    uint16_t status = 0;
    cli_parse(&argp, "explain-route", argc, argv, &arguments);
    sk_buf_init(&target, 0);
    sk_buf_init(&answer, 0);
    int code = CLI_FAILED;
    if (put_question(&arguments, &target) == SK_OK)
        code = cli_admin_call(&arguments.admin, "explain-route", SK_STR("GET"), sk_buf_str(&target),
                              (sk_str){0}, &status, &answer);
    sk_buf_free(&target);
    if (code == CLI_FINE) return show(&answer, status, arguments.json);
    sk_buf_free(&answer);
    return code;
}
