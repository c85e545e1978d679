/* skerry nodes, and skerry node drain|undrain NAME. */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/control_ask.h"
#include "fleet/id.h"

struct nodes_arguments {
    struct cli_control control;
    bool json;
    const char *words[2]; /* of `node` */
    size_t word_count;
};

static const struct argp_child children[] = {{&cli_control_argp, 0, NULL, 0}, {0}};

/* --- the table ----------------------------------------------------------------------------------------------------- */

#define CELL_BYTES 72
/* Heading, function that writes a node's cell. */
#define COLUMN_TABLE(X)                                                                                      \
    X("NAME", name)                                                                                          \
    X("POP", pop)                                                                                            \
    X("ROLE", role)                                                                                          \
    X("STATE", state)                                                                                        \
    X("VERSION", version)                                                                                    \
    X("CONFIG", config)                                                                                      \
    X("BEHIND", behind)                                                                                      \
    X("LOAD", load)                                                                                          \
    X("HITS", hits)                                                                                          \
    X("CERTIFICATE", certificate)

static struct fleet_id id_of(yyjson_val *node) {
    struct fleet_id id = {0};
    const char *text = yyjson_get_str(yyjson_obj_get(node, "id"));
    if (!text || fleet_id_parse(sk_str_from_c(text), &id) != SK_OK) snprintf(id.name, sizeof id.name, "?");
    return id;
}

static void cell_name(yyjson_val *node, char out[CELL_BYTES]) {
    snprintf(out, CELL_BYTES, "%s", id_of(node).name);
}
static void cell_pop(yyjson_val *node, char out[CELL_BYTES]) {
    snprintf(out, CELL_BYTES, "%s", id_of(node).pop);
}
static void cell_role(yyjson_val *node, char out[CELL_BYTES]) {
    snprintf(out, CELL_BYTES, "%s", fleet_role_word(id_of(node).role));
}

/* The worst that is known of it. */
static void cell_state(yyjson_val *node, char out[CELL_BYTES]) {
    const char *state = yyjson_get_str(yyjson_obj_get(node, "state")),
               *serving = yyjson_get_str(yyjson_obj_get(node, "serving"));
    bool alive = state && !strcmp(state, "alive"), deaf = yyjson_is_false(yyjson_obj_get(node, "hears_bus"));
    const char *word = !alive ? (state ? state : "?") : serving ? serving : "alive";
    snprintf(out, CELL_BYTES, "%s%s", word, alive && deaf ? ", hears no bus" : "");
}

static void cell_version(yyjson_val *node, char out[CELL_BYTES]) {
    const char *text = yyjson_get_str(yyjson_obj_get(node, "version"));
    snprintf(out, CELL_BYTES, "%s", text && *text ? text : "-");
}

static void cell_config(yyjson_val *node, char out[CELL_BYTES]) {
    uint64_t number = yyjson_get_uint(yyjson_obj_get(node, "configuration")),
             refused = yyjson_get_uint(yyjson_obj_get(node, "refused"));
    int len = snprintf(out, CELL_BYTES, "%llu", (unsigned long long)number);
    if (refused > number)
        snprintf(out + len, CELL_BYTES - (size_t)len, " (refuses %llu)", (unsigned long long)refused);
}

static void cell_behind(yyjson_val *node, char out[CELL_BYTES]) {
    yyjson_val *behind = yyjson_obj_get(node, "purges_behind");
    if (behind)
        snprintf(out, CELL_BYTES, "%llu", (unsigned long long)yyjson_get_uint(behind));
    else
        snprintf(out, CELL_BYTES, "-");
}

static void share(yyjson_val *value, char out[CELL_BYTES]) {
    if (value)
        snprintf(out, CELL_BYTES, "%.0f%%", 100 * yyjson_get_num(value));
    else
        snprintf(out, CELL_BYTES, "-");
}
static void cell_load(yyjson_val *node, char out[CELL_BYTES]) { share(yyjson_obj_get(node, "load"), out); }
static void cell_hits(yyjson_val *node, char out[CELL_BYTES]) {
    share(yyjson_obj_get(node, "hit_ratio"), out);
}

static void cell_certificate(yyjson_val *node, char out[CELL_BYTES]) {
    double left_s = (double)yyjson_get_sint(yyjson_obj_get(node, "certificate_until")) - (double)time(NULL);
    if (left_s <= 0)
        snprintf(out, CELL_BYTES, "expired");
    else
        snprintf(out, CELL_BYTES, "%.1f days", left_s / 86400);
}

static const struct column {
    const char *heading;
    void (*write)(yyjson_val *node, char out[CELL_BYTES]);
} columns[] = {
#define X(heading, function) {heading, cell_##function},
    COLUMN_TABLE(X)
#undef X
};

/* Twice over all nodes: how wide each column is, then the lines. */
static sk_err write_table(yyjson_val *nodes, struct sk_buf *out) {
    size_t widths[SK_COUNT(columns)], index, most;
    yyjson_val *node;
    char cell[CELL_BYTES];
    sk_err err = SK_OK;
    for (size_t c = 0; c < SK_COUNT(columns); c++) {
        widths[c] = strlen(columns[c].heading);
        yyjson_arr_foreach(nodes, index, most, node) {
            columns[c].write(node, cell);
            widths[c] = SK_MAX(widths[c], strlen(cell));
        }
    }
    for (size_t c = 0; c < SK_COUNT(columns) && !err; c++)
        err = sk_buf_printf(out, "%-*s%s", (int)widths[c], columns[c].heading,
                            c + 1 < SK_COUNT(columns) ? "  " : "\n");
    yyjson_arr_foreach(nodes, index, most, node) {
        for (size_t c = 0; c < SK_COUNT(columns) && !err; c++) {
            columns[c].write(node, cell);
            err = sk_buf_printf(out, "%-*s%s", (int)widths[c], cell, c + 1 < SK_COUNT(columns) ? "  " : "\n");
        }
    }
    return err;
}

static int print_table(struct sk_buf *answer) {
    sk_str json = sk_buf_str(answer);
    struct sk_buf table;
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    sk_buf_init(&table, 0);
    sk_err err =
        doc ? write_table(yyjson_obj_get(yyjson_doc_get_root(doc), "nodes"), &table) : SK_ERR_MALFORMED;
    yyjson_doc_free(doc);
    sk_buf_free(answer);
    return cli_print(&table, err);
}

/* --- skerry nodes -------------------------------------------------------------------------------------------------- */

static error_t on_nodes_argument(int key, char *value, struct argp_state *state) {
    struct nodes_arguments *arguments = state->input;
    switch (key) {
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->control; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected \"%s\"", value); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_nodes(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "All that is known, as JSON", 1},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = on_nodes_argument,
        .children = children,
        .doc =
            "The fleet's nodes and how they are, a line each.\v"
            "STATE: running; drained (by a person's wish); sick (it has withdrawn by itself); stopping; alive (it has "
            "no bus, or is not believed on it); silent (control has not heard it for 30 s); expelled. BEHIND: purges "
            "of the control that is asked which are not in force there yet. HITS: since it began. CERTIFICATE: how "
            "long it is still good.\n\n"
            "Example:\n"
            "  skerry nodes --control https://10.0.0.2:7443 --token-file ops.token\n\n"
            "Exit codes: 0 done, 1 control cannot be asked or refuses, 2 bad usage.",
    };
    struct nodes_arguments arguments = {0};
    struct sk_buf answer;
    cli_parse(&argp, "nodes", argc, argv, &arguments);
    int code = cli_control_ask(&arguments.control, "nodes", "GET", SK_STR("/nodes"), (sk_str){0}, (sk_str){0},
                               &answer);
    if (code != CLI_FINE) return code;
    return arguments.json ? cli_print(&answer, SK_OK) : print_table(&answer);
}

/* --- skerry node --------------------------------------------------------------------------------------------------- */

static error_t on_node_argument(int key, char *value, struct argp_state *state) {
    struct nodes_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->control; return 0;
    case ARGP_KEY_ARG:
        cli_add_word(state, arguments->words, SK_COUNT(arguments->words), &arguments->word_count, value);
        return 0;
    case ARGP_KEY_END:
        if (arguments->word_count < SK_COUNT(arguments->words))
            argp_error(state, "expected what, and which node (example: skerry node drain fra-1)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* All that names and ids are made of may stand in a query as it is (RFC 3986 3.4). */
static bool is_name(const char *word) {
    struct fleet_id id;
    return fleet_word_valid(sk_str_from_c(word)) || fleet_id_parse(sk_str_from_c(word), &id) == SK_OK;
}

int cli_node(int argc, char **argv) {
    static const struct argp argp = {
        .parser = on_node_argument,
        .args_doc = "drain|undrain NAME",
        .children = children,
        .doc =
            "drain: the node NAME (or its id) takes no clients from now on. Its health says so, so routers send nobody "
            "there; who is connected is told to go after the next answer; who comes all the same is served. It "
            "holds through restarts, until undrain.\v"
            "Examples:\n"
            "  skerry node drain fra-1\n"
            "  skerry node undrain spiffe://acme/fra/edge/fra-1\n\n"
            "Exit codes: 0 done, 1 refused or failed, 2 bad usage.",
    };
    struct nodes_arguments arguments = {0};
    char target[64 + FLEET_ID_TEXT_BYTES];
    cli_parse(&argp, "node", argc, argv, &arguments);
    const char *verb = arguments.words[0];
    if (strcmp(verb, "drain") != 0 && strcmp(verb, "undrain") != 0)
        return cli_unknown("command of node", verb, NULL);
    if (!is_name(arguments.words[1])) {
        fprintf(stderr, "skerry node: \"%s\" is no node's name or id\n", arguments.words[1]);
        return CLI_USAGE;
    }
    int len = snprintf(target, sizeof target, "/nodes/%s?node=%s", verb, arguments.words[1]);
    return cli_control_print(&arguments.control, "node", "POST", sk_str_make(target, (size_t)len),
                             (sk_str){0}, (sk_str){0});
}
