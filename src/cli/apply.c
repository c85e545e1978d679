/* skerry apply, diff, history and rollback: configurations of a fleet. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/control_ask.h"
#include "fleet/snapshot.h"
#include "io/file.h"

struct apply_arguments {
    struct cli_control control;
    const char *word; /* FILE or number */
    bool needs_word, staged;
};

static const struct argp_option plain_options[] = {{0}};
static const struct argp_option apply_options[] = {
    {"staged", 'S', NULL, 0, "One edge first, then its PoP, then all; back by itself when they fare worse",
     1},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct apply_arguments *arguments = state->input;
    switch (key) {
    case 'S': arguments->staged = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->control; return 0;
    case ARGP_KEY_ARG:
        if (arguments->word || !arguments->needs_word) argp_error(state, "unexpected \"%s\"", value);
        arguments->word = value;
        return 0;
    case ARGP_KEY_END:
        if (arguments->needs_word && !arguments->word) argp_error(state, "which?");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_control_argp, 0, NULL, 0}, {0}};

static int load(const char *name, const char *file, struct sk_buf *out_text) {
    sk_buf_init(out_text, 0);
    sk_err err = io_file_load(file, FLEET_SNAPSHOT_BODY_MAX, out_text);
    if (!err) return CLI_FINE;
    fprintf(stderr, "skerry %s: %s: %s\n", name, file, sk_err_text(err));
    sk_buf_free(out_text);
    return CLI_USAGE;
}

int cli_apply(int argc, char **argv) {
    static const struct argp argp = {
        .options = apply_options,
        .parser = on_argument,
        .args_doc = "FILE",
        .children = children,
        .doc =
            "Makes the sites of FILE (YAML: sites, limits, timeouts, purge, trusted_proxies) the "
            "configuration of the whole fleet: checked, numbered, signed, and taken by every edge.\v"
            "Examples:\n"
            "  skerry apply sites.yaml\n"
            "  skerry apply --staged sites.yaml\n\n"
            "Exit codes: 0 it is the configuration, 1 control could not be asked or refused, 2 FILE is wrong.",
    };
    struct apply_arguments arguments = {.needs_word = true};
    struct sk_buf text;
    cli_parse(&argp, "apply", argc, argv, &arguments);
    int code = load("apply", arguments.word, &text);
    if (code != CLI_FINE) return code;
    code = cli_control_print(&arguments.control, "apply", "POST",
                             arguments.staged ? SK_STR("/configuration?rollout=staged")
                                              : SK_STR("/configuration"),
                             SK_STR("application/yaml"), sk_buf_str(&text));
    sk_buf_free(&text);
    return code;
}

int cli_history(int argc, char **argv) {
    static const struct argp argp = {
        .options = plain_options,
        .parser = on_argument,
        .children = children,
        .doc = "All configurations that the fleet had, the newest first.\v"
               "Exit codes: 0 told, 1 control could not be asked or refused, 2 bad usage.",
    };
    struct apply_arguments arguments = {0};
    cli_parse(&argp, "history", argc, argv, &arguments);
    return cli_control_print(&arguments.control, "history", "GET", SK_STR("/configurations"), (sk_str){0},
                             (sk_str){0});
}

int cli_rollback(int argc, char **argv) {
    static const struct argp argp = {
        .options = plain_options,
        .parser = on_argument,
        .args_doc = "N",
        .children = children,
        .doc = "Makes configuration N the fleet's again, under the next number, everywhere at once.\v"
               "Example:\n"
               "  skerry history && skerry rollback 7\n\n"
               "Exit codes: 0 done, 1 control could not be asked or refused, 2 bad usage.",
    };
    struct apply_arguments arguments = {.needs_word = true};
    char target[64];
    cli_parse(&argp, "rollback", argc, argv, &arguments);
    snprintf(target, sizeof target, "/rollback?number=%.20s", arguments.word);
    return cli_control_print(&arguments.control, "rollback", "POST", sk_str_from_c(target), (sk_str){0},
                             (sk_str){0});
}

/* --- diff ---------------------------------------------------------------------------------------------------- */

/* diff(1), which every Debian has: the present text on its standard input. */
static int run_diff(const char *file, sk_str present) {
    int pipe_fds[2], status = 0;
    if (pipe(pipe_fds) < 0) return CLI_FAILED;
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_fds[0], STDIN_FILENO);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        execlp("diff", "diff", "-u", "--label", "in force", "--label", file, "-", file, NULL);
        _exit(CLI_USAGE);
    }
    close(pipe_fds[0]);
    for (ssize_t n; child > 0 && present.len; present = sk_str_slice(present, (size_t)n, present.len))
        if ((n = write(pipe_fds[1], present.data, present.len)) <= 0) break;
    close(pipe_fds[1]);
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) return CLI_FAILED;
    return WEXITSTATUS(status) <= 1 ? CLI_FINE : CLI_FAILED;
}

int cli_diff(int argc, char **argv) {
    static const struct argp argp = {
        .options = plain_options,
        .parser = on_argument,
        .args_doc = "FILE",
        .children = children,
        .doc = "What `skerry apply FILE` would change.\v"
               "Exit codes: 0 told, 1 control could not be asked or refused, 2 bad usage.",
    };
    struct apply_arguments arguments = {.needs_word = true};
    struct sk_buf present;
    cli_parse(&argp, "diff", argc, argv, &arguments);
    int code = cli_control_ask(&arguments.control, "diff", "GET", SK_STR("/configuration"), (sk_str){0},
                               (sk_str){0}, &present);
    if (code != CLI_FINE) return code;
    code = run_diff(arguments.word, sk_buf_str(&present));
    sk_buf_free(&present);
    return code;
}
