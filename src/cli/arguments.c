#include "cli/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"

void cli_add(struct argp_state *state, const char **list, size_t *count, const char *flag,
             const char *value) {
    if (*count == CLI_LIST_MAX) argp_error(state, "%s: more than %d times", flag, CLI_LIST_MAX);
    list[(*count)++] = value;
}

void cli_add_word(struct argp_state *state, const char **words, size_t most, size_t *count,
                  const char *value) {
    if (*count == most) argp_error(state, "unexpected \"%s\"", value);
    words[(*count)++] = value;
}

sk_err cli_add_parameter(struct sk_buf *out, const char *name, const char *value) {
    static const char hex[] = "0123456789ABCDEF";
    sk_err err = sk_buf_printf(out, "%s=", name);
    for (; *value && !err; value++) {
        unsigned char byte = (unsigned char)*value;
        char escape[3] = {'%', hex[byte >> 4], hex[byte & 15]};
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z') || strchr("-._~/:", byte);
        err = sk_buf_append(out, plain ? sk_str_make(value, 1) : sk_str_make(escape, 3));
    }
    return err;
}

uint32_t cli_threads(struct argp_state *state, const char *value) {
    uint64_t threads;
    if (sk_str_to_u64(sk_str_from_c(value), &threads) || threads < 1 || threads > 1024)
        argp_error(state, "--threads: found \"%s\", expected a whole number from 1 to 1024 (example: 4)",
                   value);
    return (uint32_t)threads;
}

int cli_tell_problems(const char *command, struct config_problems *problems, sk_err err) {
    if (err && problems->count)
        fprintf(stderr, "%.*s", SK_STR_ARGS(sk_buf_str(&problems->text)));
    else if (err)
        fprintf(stderr, "%s: %s\n", command, sk_err_text(err));
    config_problems_free(problems);
    if (!err) return CLI_FINE;
    return err == SK_ERR_NO_MEMORY ? CLI_FAILED : CLI_USAGE;
}

const char *cli_own_path(const char *fallback) {
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0) return fallback;
    path[n] = 0;
    return path;
}

const char *const *cli_keep_arguments(const char *program, int argc, char **argv) {
    const char **kept = calloc((size_t)argc + 2, sizeof(*kept));
    if (!kept) return NULL;
    kept[0] = program;
    for (int i = 0; i < argc; i++) kept[i + 1] = argv[i];
    return kept;
}
