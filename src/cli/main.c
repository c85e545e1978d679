/* skerry COMMAND ARGUMENTS */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/version.h"
#include "cli/command.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *help;
} commands[] = {
#define X(name, function, arguments, help) {name, function, arguments, help},
    CLI_COMMAND_TABLE(X)
#undef X
};

#define VERSION_LINE "skerry " SK_VERSION " (" SK_VERSION_COMMIT ")\n"

static void print_version(FILE *stream, struct argp_state *state) {
    (void)state;
    fputs(VERSION_LINE, stream);
}

void cli_usage(struct sk_buf *out) {
    sk_err err = sk_buf_printf(out, "usage: skerry COMMAND [ARGUMENTS]\n\n"
                                    "Skerry is a content delivery network that you run yourself.\n\n");
    for (size_t i = 0; i < SK_COUNT(commands) && !err; i++)
        err = sk_buf_printf(out, "  skerry %-7s %-38s %s\n", commands[i].name, commands[i].arguments,
                            commands[i].help);
    if (!err)
        err = sk_buf_printf(out, "\n  skerry --version, skerry COMMAND --help, skerry help TOPIC\n\n"
                                 "Try: skerry edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000\n");
    (void)err; /* short of memory for a page of help: what is there is printed */
}

int cli_unknown(const char *kind, const char *word, const char *nearest) {
    fprintf(stderr, "skerry: unknown %s \"%s\"", kind, word);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?\n", nearest);
    else
        fprintf(stderr, "; see: skerry help\n");
    return CLI_USAGE;
}

int cli_print(struct sk_buf *buf, sk_err err) {
    sk_str text = sk_buf_str(buf);
    bool written = !err && fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    if (!written) fprintf(stderr, "skerry: %s\n", err ? sk_err_text(err) : strerrordesc_np(errno));
    sk_buf_free(buf);
    return written ? CLI_FINE : CLI_FAILED;
}

void cli_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input) {
    static char program[64],
        help[] = "--help"; /* argp names the program by argv[0] in messages, also after this returns */
    snprintf(program, sizeof(program), "skerry %s", name);
    argv[0] = program;
    if (argc == 2 && !strcmp(argv[1], "-h")) argv[1] = help;
    argp_err_exit_status = CLI_USAGE;
    argp_program_version_hook = print_version;
    error_t failed = argp_parse(argp, argc, argv, 0, NULL, input);
    if (!failed) return;
    fprintf(stderr, "%s: %s\n", program, strerrordesc_np(failed));
    exit(CLI_FAILED);
}

static int unknown_command(const char *word) {
    struct sk_nearest nearest = sk_nearest_to(sk_str_from_c(word));
    const char *best = NULL;
    for (size_t i = 0; i < SK_COUNT(commands); i++)
        if (sk_nearest_offer(&nearest, sk_str_from_c(commands[i].name))) best = commands[i].name;
    return cli_unknown(word[0] == '-' ? "option" : "command", word, best);
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : NULL;
    struct sk_buf buf;
    if (cli_is_acme_hook(argc)) return cli_acme_hook(argv);
    sk_buf_init(&buf, 0);
    if (!word) {
        cli_usage(&buf);
        fwrite(buf.data, 1, sk_buf_len(&buf), stderr);
        sk_buf_free(&buf);
        return CLI_USAGE;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "-?")) {
        cli_usage(&buf);
        return cli_print(&buf, SK_OK);
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        return cli_print(&buf, sk_buf_append(&buf, SK_STR(VERSION_LINE)));
    }
    for (size_t i = 0; i < SK_COUNT(commands); i++)
        if (!strcmp(word, commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    return unknown_command(word);
}
