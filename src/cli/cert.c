/* skerry cert: certificates that control gives to all edges. */
#include <argp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <time.h>
#include <yyjson.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/control_ask.h"
#include "io/file.h"

enum { FILE_MOST = 64 * 1024 };

struct cert_arguments {
    struct cli_control control;
    const char *words[2], *cert, *key;
    size_t word_count;
    bool json;
};

static const struct argp_option options[] = {
    {"cert", 'c', "FILE", 0, "put: the certificate, and behind it those that lead to its authority (PEM)", 1},
    {"key", 'k', "FILE", 0, "put: its private key (PEM, without a password)", 1},
    {"json", 'j', NULL, 0, "list: print what control answered, as JSON", 1},
    {0},
};

static bool is(const struct cert_arguments *arguments, const char *verb) {
    return arguments->word_count && !strcmp(arguments->words[0], verb);
}

static void check(struct argp_state *state, const struct cert_arguments *arguments) {
    size_t wanted = is(arguments, "list") ? 1 : 2;
    bool known = is(arguments, "put") || is(arguments, "list") || is(arguments, "remove");
    if (!known || arguments->word_count != wanted)
        argp_error(state, "expected put NAME --cert FILE --key FILE, list, or remove NAME");
    if (is(arguments, "put") != (arguments->cert && arguments->key))
        argp_error(state, "--cert and --key belong to put, which wants both");
}

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct cert_arguments *arguments = state->input;
    switch (key) {
    case 'c': arguments->cert = value; return 0;
    case 'k': arguments->key = value; return 0;
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->control; return 0;
    case ARGP_KEY_ARG:
        cli_add_word(state, arguments->words, SK_COUNT(arguments->words), &arguments->word_count, value);
        return 0;
    case ARGP_KEY_END: check(state, arguments); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* --- put and remove ------------------------------------------------------------------------------------------ */

static int failed(const char *file, sk_err err) {
    fprintf(stderr, "skerry cert: %s: %s\n", file, sk_err_text(err));
    return CLI_USAGE;
}

/* WHERE, with the name of the certificate as its parameter. */
static int post(const struct cert_arguments *arguments, const char *where, sk_str type, sk_str body) {
    struct sk_buf target;
    sk_buf_init(&target, 4096);
    sk_err err = cli_add_parameter(&target, where, arguments->words[1]);
    int code = err ? failed(arguments->words[1], err)
                   : cli_control_print(&arguments->control, "cert", "POST", sk_buf_str(&target), type, body);
    sk_buf_free(&target);
    return code;
}

static int put(const struct cert_arguments *arguments) {
    struct sk_buf pem;
    sk_buf_init(&pem, 4 * FILE_MOST);
    sk_err err = sk_buf_reserve(&pem, 2 * FILE_MOST + 2); /* it must not move: a key is in it */
    const char *file = arguments->cert;
    if (!err) err = io_file_load(file, FILE_MOST, &pem);
    if (!err) err = sk_buf_append(&pem, SK_STR("\n"));
    if (!err) {
        file = arguments->key;
        err = io_file_load(file, FILE_MOST, &pem);
    }
    int code =
        err ? failed(file, err)
            : post(arguments, "/certificates?name", SK_STR("application/x-pem-file"), sk_buf_str(&pem));
    if (pem.data) OPENSSL_cleanse(pem.data, pem.capacity);
    sk_buf_free(&pem);
    return code;
}

/* --- list ---------------------------------------------------------------------------------------------------- */

static const char *text(yyjson_val *object, const char *key) {
    const char *value = yyjson_get_str(yyjson_obj_get(object, key));
    return value && *value ? value : "-";
}

static sk_err write_one(struct sk_buf *out, yyjson_val *item) {
    time_t end = (time_t)yyjson_get_sint(yyjson_obj_get(item, "not_after"));
    struct tm tm;
    char date[16] = "-";
    if (gmtime_r(&end, &tm)) strftime(date, sizeof date, "%Y-%m-%d", &tm);
    return sk_buf_printf(out, "%-20s %-10s %5lld %-14s %s\n", text(item, "name"), date,
                         (long long)(end - time(NULL)) / 86400, text(item, "site"), text(item, "names"));
}

static int list(const struct cert_arguments *arguments) {
    struct sk_buf answer, page;
    int code = cli_control_ask(&arguments->control, "cert", "GET", SK_STR("/certificates"), (sk_str){0},
                               (sk_str){0}, &answer);
    if (code != CLI_FINE) return code;
    if (arguments->json) return cli_print(&answer, SK_OK);
    yyjson_doc *doc = yyjson_read(answer.data, sk_buf_len(&answer), 0);
    yyjson_arr_iter each = yyjson_arr_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc), "certificates"));
    yyjson_val *item;
    sk_buf_init(&page, 0);
    sk_err err = sk_buf_printf(&page, "%-20s %-10s %5s %-14s %s\n", "NAME", "UNTIL", "DAYS", "SITE", "FOR");
    while (!err && (item = yyjson_arr_iter_next(&each))) err = write_one(&page, item);
    yyjson_doc_free(doc);
    sk_buf_free(&answer);
    return cli_print(&page, err);
}

int cli_cert(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_control_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "put NAME | list | remove NAME",
        .children = children,
        .doc =
            "Certificates of sites that all edges of a fleet have from its control. A site uses one by its name, "
            "`certificates: [{fleet: NAME}]`. Another one under the same name is in force everywhere without a "
            "connection lost.\v"
            "Examples:\n"
            "  skerry cert put shop --cert shop.pem --key shop.key\n"
            "  skerry cert list\n"
            "  skerry cert remove shop\n\n"
            "A running edge tells by `skerry certs` what it shows to clients.\n\n"
            "Exit codes: 0 done, 1 refused or failed, 2 bad usage, or a certificate that is not good.",
    };
    struct cert_arguments arguments = {0};
    cli_parse(&argp, "cert", argc, argv, &arguments);
    if (is(&arguments, "put")) return put(&arguments);
    if (is(&arguments, "list")) return list(&arguments);
    return post(&arguments, "/certificates/remove?name", (sk_str){0}, (sk_str){0});
}
