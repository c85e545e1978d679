/* skerry explain */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/explain_page.h"

struct explain_arguments {
    struct cli_admin admin;
    const char *url, *method;
    const char *fields[CLI_LIST_MAX];
    size_t field_count;
    bool json;
};

static const struct argp_option options[] = {
    {"header", 'H', "FIELD", 0, "A field of the request, 'Name: value'; may be repeated", 1},
    {"method", 'X', "METHOD", 0, "Its method (default GET)", 1},
    {"json", 'j', NULL, 0, "Print what the process answered, as JSON", 2},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct explain_arguments *arguments = state->input;
    switch (key) {
    case 'H': cli_add(state, arguments->fields, &arguments->field_count, "--header", value); return 0;
    case 'X': arguments->method = value; return 0;
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->admin; return 0;
    case ARGP_KEY_ARG:
        if (arguments->url) argp_error(state, "one URL at a time; unexpected \"%s\"", value);
        arguments->url = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which URL? (example: skerry explain http://www.example.com/a)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static sk_err put_question(const struct explain_arguments *arguments, struct sk_buf *out) {
    sk_err err = cli_add_parameter(out, "/explain?url", arguments->url);
    if (!err && arguments->method) err = cli_add_parameter(out, "&method", arguments->method);
    for (size_t i = 0; i < arguments->field_count && !err; i++)
        err = cli_add_parameter(out, "&header", arguments->fields[i]);
    return err;
}

/* Writes the answer for people or programs. Frees it. */
static int show(struct sk_buf *answer, uint16_t status, bool json) {
    struct sk_buf page;
    if (status != 200) {
        fprintf(stderr, "skerry explain: %.*s", SK_STR_ARGS(sk_buf_str(answer)));
        sk_buf_free(answer);
        return status == 400 ? CLI_USAGE : CLI_FAILED;
    }
    if (json) return cli_print(answer, SK_OK);
    sk_buf_init(&page, 0);
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    sk_err err = cli_explain_page(sk_buf_str(answer), colour, &page);
    sk_buf_free(answer);
    return cli_print(&page, err);
}

int cli_explain(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_admin_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "URL",
        .children = children,
        .doc =
            "Says what a running edge would do with a request now, and why: the site, the key and the variant, "
            "what is stored, the arithmetic of its freshness line by line, and the reason in the words of "
            "Cache-Status. Nothing is changed by it: nothing is fetched, and nothing counts as used.\v"
            "Examples:\n"
            "  skerry explain http://www.example.com/style.css\n"
            "  skerry explain www.example.com/ -H 'Accept-Language: de' -H 'Cache-Control: max-age=0'\n"
            "  skerry explain --json --admin unix:/run/skerry/admin.sock www.example.com/\n\n"
            "The reasons: skerry help reasons.\n\n"
            "Exit codes: 0 explained, 1 the edge could not be asked, 2 bad usage.",
    };
    struct explain_arguments arguments = {0};
    struct sk_buf target, answer;
    uint16_t status = 0;
    cli_parse(&argp, "explain", argc, argv, &arguments);
    sk_buf_init(&target, 0);
    sk_buf_init(&answer, 0);
    int code = CLI_FAILED;
    if (put_question(&arguments, &target) == SK_OK)
        code = cli_admin_call(&arguments.admin, "explain", SK_STR("GET"), sk_buf_str(&target), (sk_str){0},
                              &status, &answer);
    sk_buf_free(&target);
    if (code == CLI_FINE) return show(&answer, status, arguments.json);
    sk_buf_free(&answer);
    return code;
}
