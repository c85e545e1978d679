/* skerry purge */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "cli/admin.h"
#include "cli/command.h"
#include "cli/control_ask.h"

struct purge_arguments {
    struct cli_admin admin;
    yyjson_mut_doc *document;
    yyjson_mut_val *purges;
    const char *in;      /* tags and patterns of this site only */
    const char *control; /* a whole fleet's; NULL: one process */
    bool soft, json, wait, erase;
};

static const struct argp_option options[] = {
    {"prefix", 'p', "PREFIX", 0, "All that begins with it: https://www.example.com/images/", 1},
    {"host", 'H', "HOST", 0, "All of a host", 1},
    {"site", 's', "NAME", 0, "All of a site of the configuration", 1},
    {"tag", 't', "TAG", 0, "All responses with this tag (Surrogate-Key, Cache-Tag, xkey)", 1},
    {"glob", 'g', "PATTERN", 0,
     "All that a pattern matches: www.example.com/*.png, or '/*.png' of every host", 1},
    {"all", 'A', NULL, 0, "Everything", 1},
    {"in", 'i', "NAME", 0, "Tags and patterns of this site only", 2},
    {"soft", 'S', NULL, 0, "Stale instead of gone: the origin is asked whether it is still good", 2},
    {"erase", 'E', NULL, 0,
     "With --site alone: also erase its key of an encrypted disk, so that nothing of it can be read there again, nor in "
     "copies of the disk; with --control at all edges",
     2},
    {"control", 'c', "ADDRESS", 0, "All edges of a fleet, by its control: unix:PATH or https://HOST:PORT", 3},
    {"wait", 'w', NULL, 0, "Until every living edge has applied it, at most 10 s (with --control)", 3},
    {"json", 'j', NULL, 0, "Print what the process answered, as JSON", 3},
    {0},
};

static void add(struct argp_state *state, struct purge_arguments *arguments, const char *key,
                const char *text) {
    yyjson_mut_val *item = yyjson_mut_arr_add_obj(arguments->document, arguments->purges);
    bool added = item && (text ? yyjson_mut_obj_add_str(arguments->document, item, key, text)
                               : yyjson_mut_obj_add_true(arguments->document, item, key));
    if (!added) argp_failure(state, CLI_FAILED, 0, "out of memory");
}

/* A key is of a whole site, and for good. */
static void check_erase(struct argp_state *state, const struct purge_arguments *arguments) {
    yyjson_mut_val *item;
    yyjson_mut_arr_iter iterator;
    yyjson_mut_arr_iter_init(arguments->purges, &iterator);
    bool sites = true;
    while ((item = yyjson_mut_arr_iter_next(&iterator))) sites = sites && yyjson_mut_obj_get(item, "site");
    if (arguments->erase && (!sites || arguments->soft))
        argp_error(state, "--erase goes with --site alone (example: skerry purge --erase --site shop)");
}

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct purge_arguments *arguments = state->input;
    switch (key) {
    case 'p': add(state, arguments, "prefix", value); return 0;
    case 'H': add(state, arguments, "host", value); return 0;
    case 's': add(state, arguments, "site", value); return 0;
    case 't': add(state, arguments, "tag", value); return 0;
    case 'g': add(state, arguments, "glob", value); return 0;
    case 'A': add(state, arguments, "all", NULL); return 0;
    case 'i': arguments->in = value; return 0;
    case 'S': arguments->soft = true; return 0;
    case 'j': arguments->json = true; return 0;
    case 'c': arguments->control = value; return 0;
    case 'w': arguments->wait = true; return 0;
    case 'E': arguments->erase = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->admin; return 0;
    case ARGP_KEY_ARG: add(state, arguments, "url", value); return 0;
    case ARGP_KEY_END:
        if (!yyjson_mut_arr_size(arguments->purges))
            argp_error(state, "what? Give a URL, or one of --prefix, --host, --site, --tag, --glob, --all "
                              "(example: skerry purge https://www.example.com/a)");
        check_erase(state, arguments);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What only a site narrows: a text that is searched for in all of them. */
static void narrow(struct purge_arguments *arguments) {
    yyjson_mut_val *item;
    yyjson_mut_arr_iter iterator;
    yyjson_mut_arr_iter_init(arguments->purges, &iterator);
    while (arguments->in && (item = yyjson_mut_arr_iter_next(&iterator)))
        if (yyjson_mut_obj_get(item, "tag") || yyjson_mut_obj_get(item, "glob"))
            yyjson_mut_obj_add_str(arguments->document, item, "site", arguments->in);
}

static int refused(uint16_t status, struct sk_buf *answer) {
    fprintf(stderr, "skerry purge: %.*s", SK_STR_ARGS(sk_buf_str(answer)));
    if (!sk_buf_len(answer)) fprintf(stderr, "the process answered with %u\n", status);
    sk_buf_free(answer);
    return status == 400 || status == 413 ? CLI_USAGE : CLI_FAILED;
}

static int show(struct sk_buf *answer, bool json) {
    if (json) return cli_print(answer, SK_OK);
    sk_str text = sk_buf_str(answer);
    yyjson_doc *document = yyjson_read(text.data, text.len, 0);
    yyjson_val *root = yyjson_doc_get_root(document);
    const char *kind = yyjson_get_str(yyjson_obj_get(root, "kind"));
    bool several = yyjson_get_uint(yyjson_obj_get(root, "purges")) > 1;
    struct sk_buf line;
    sk_buf_init(&line, 0);
    sk_err err = kind ? sk_buf_printf(&line, "purge %llu: %s%s%s, in force after %.1f us\n",
                                      (unsigned long long)yyjson_get_uint(yyjson_obj_get(root, "purge")),
                                      several ? "the last of several, " : "",
                                      yyjson_get_bool(yyjson_obj_get(root, "soft")) ? "soft " : "", kind,
                                      yyjson_get_num(yyjson_obj_get(root, "applied_us")))
                      : SK_ERR_MALFORMED;
    yyjson_doc_free(document);
    sk_buf_free(answer);
    return cli_print(&line, err);
}

/* Whether somebody waited in vain: an edge that has not applied it, or has not erased, or could not. */
static bool is_unfinished(sk_str text) {
    yyjson_doc *document = yyjson_read(text.data, text.len, 0);
    yyjson_val *root = yyjson_doc_get_root(document), *erase = yyjson_obj_get(root, "erase");
    bool unfinished = yyjson_arr_size(yyjson_obj_get(root, "behind")) > 0 ||
                      yyjson_arr_size(yyjson_obj_get(erase, "missing")) > 0 ||
                      yyjson_arr_size(yyjson_obj_get(erase, "not_encrypted")) > 0;
    yyjson_doc_free(document);
    return unfinished;
}

/* Purged where control says; who has not applied it yet is in the answer, and not fine. */
static int ask_control(const struct purge_arguments *arguments, sk_str body) {
    const struct cli_control control = {arguments->control, arguments->admin.token_file};
    struct sk_buf answer;
    int code = cli_control_ask(&control, "purge", "POST",
                               arguments->wait ? SK_STR("/purge?wait_ms=10000") : SK_STR("/purge"),
                               SK_STR("application/json"), body, &answer);
    if (code != CLI_FINE) return code;
    bool unfinished = is_unfinished(sk_buf_str(&answer));
    code = cli_print(&answer, SK_OK);
    return unfinished ? CLI_FAILED : code;
}

/* {"site": NAME} of one purge to /erase. */
static int erase_one(const struct purge_arguments *arguments, yyjson_mut_val *item) {
    struct sk_buf answer;
    uint16_t status = 0;
    size_t bytes = 0;
    char *text = yyjson_mut_val_write(item, 0, &bytes);
    sk_buf_init(&answer, 1 << 20);
    int code = text ? cli_admin_call(&arguments->admin, "purge", SK_STR("POST"), SK_STR("/erase"),
                                     sk_str_make(text, bytes), &status, &answer)
                    : CLI_FAILED;
    free(text);
    if (code == CLI_FINE && status != 200) return refused(status, &answer);
    bool erased = sk_str_find(sk_buf_str(&answer), SK_STR("true")) < sk_buf_len(&answer);
    if (code == CLI_FINE && !arguments->json)
        printf("site %s: purged, and %s\n", yyjson_mut_get_str(yyjson_mut_obj_get(item, "site")),
               erased ? "its key erased" : "it had no key: nothing of it was on disk");
    if (code == CLI_FINE && arguments->json) return cli_print(&answer, SK_OK);
    sk_buf_free(&answer);
    return code;
}

/* The same by control, for all edges. */
static int erase_one_everywhere(const struct purge_arguments *arguments, yyjson_mut_val *item) {
    size_t bytes = 0;
    yyjson_mut_obj_add_true(arguments->document, item, "erase");
    char *text = yyjson_mut_val_write(item, 0, &bytes);
    int code = text ? ask_control(arguments, sk_str_make(text, bytes)) : CLI_FAILED;
    free(text);
    return code;
}

/* One site after the other; each has an answer of its own. */
static int erase(const struct purge_arguments *arguments) {
    yyjson_mut_val *item;
    yyjson_mut_arr_iter iterator;
    int code = CLI_FINE;
    yyjson_mut_arr_iter_init(arguments->purges, &iterator);
    while (code == CLI_FINE && (item = yyjson_mut_arr_iter_next(&iterator)))
        code = arguments->control ? erase_one_everywhere(arguments, item) : erase_one(arguments, item);
    return code;
}

static int ask(struct purge_arguments *arguments) {
    struct sk_buf answer;
    uint16_t status = 0;
    size_t bytes = 0;
    if (arguments->erase) return erase(arguments);
    narrow(arguments);
    char *text = yyjson_mut_write(arguments->document, 0, &bytes);
    sk_buf_init(&answer, 1 << 20);
    int code = CLI_FAILED;
    if (text && arguments->control) {
        code = ask_control(arguments, sk_str_make(text, bytes));
        free(text);
        sk_buf_free(&answer);
        return code;
    }
    if (text)
        code = cli_admin_call(&arguments->admin, "purge", SK_STR("POST"), SK_STR("/purge"),
                              sk_str_make(text, bytes), &status, &answer);
    free(text);
    if (code == CLI_FINE) return status == 200 ? show(&answer, arguments->json) : refused(status, &answer);
    sk_buf_free(&answer);
    return code;
}

int cli_purge(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "[URL...]",
        .children = children,
        .doc =
            "Makes what an edge has stored invalid, at once, however much it is. A URL means all variants of "
            "it. What was being fetched when the purge came never becomes fresh after it.\v"
            "Examples:\n"
            "  skerry purge https://www.example.com/style.css\n"
            "  skerry purge --soft --tag news --tag sports\n"
            "  skerry purge --prefix https://www.example.com/images/ --glob '*/thumb-*.webp'\n"
            "  skerry purge --erase --site shop\n"
            "  skerry purge --admin 10.0.0.7:9001 --token-file /etc/skerry/token --all\n"
            "  skerry purge --control unix:/run/skerry/control.sock --wait --tag news\n"
            "  skerry purge --control unix:/run/skerry/control.sock --wait --erase --site shop\n\n"
            "In a pattern, * is any bytes and ? is one. Several at once are applied all or, when one of them is "
            "wrong, none.\n\n"
            "Exit codes: 0 in force, 1 the edge could not be asked, or some edges have not done it (--wait), 2 bad usage or "
            "refused.",
    };
    struct purge_arguments arguments = {.document = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(arguments.document);
    yyjson_mut_doc_set_root(arguments.document, root);
    arguments.purges = yyjson_mut_obj_add_arr(arguments.document, root, "purges");
    if (!arguments.purges) return CLI_FAILED;
    cli_parse(&argp, "purge", argc, argv, &arguments);
    yyjson_mut_obj_add_bool(arguments.document, root, "soft", arguments.soft);
    int code = ask(&arguments);
    yyjson_mut_doc_free(arguments.document);
    return code;
}
