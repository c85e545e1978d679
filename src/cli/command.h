/* The command line: subcommands and their help, nothing else. */
#ifndef SK_CLI_COMMAND_H
#define SK_CLI_COMMAND_H

#include "base/buf.h"

/* What every command ends with; other tools rely on it. */
enum cli_exit {
    CLI_FINE = 0,
    CLI_FAILED = 1, /* at run time */
    CLI_USAGE = 2,  /* bad usage or configuration */
};

/* Name, function, arguments, one line of help. */
#define CLI_COMMAND_TABLE(X)                                                                                 \
    X("edge", cli_edge, "-c FILE | --origin URL | --join URL TOKEN [OPTION...]",                             \
      "serve clients from the cache")                                                                        \
    X("route", cli_route, "-c FILE | --zone NAME=FILE [OPTION...]", "tell clients where to go, by DNS")      \
    X("control", cli_control, "-c FILE | COMMAND [OPTION...]", "what a fleet agrees on; ask it")             \
    X("join", cli_join, "URL TOKEN --state DIR", "make this machine a node of a fleet")                      \
    X("nodes", cli_nodes, "[--json]", "the fleet's nodes and how they are")                                  \
    X("node", cli_node, "drain|undrain NAME", "a node takes no clients, or takes them again")                \
    X("apply", cli_apply, "FILE [--staged]", "make sites the configuration of the whole fleet")              \
    X("diff", cli_diff, "FILE", "what apply would change")                                                   \
    X("history", cli_history, "", "configurations that the fleet had")                                       \
    X("rollback", cli_rollback, "N", "make an older one the fleet's configuration again")                    \
    X("cert", cli_cert, "put NAME --cert FILE --key FILE | list | remove NAME",                              \
      "certificates that all edges of the fleet have")                                                       \
    X("check", cli_check, "FILE...", "say whether configuration files are right, and what they mean")        \
    X("certs", cli_certs, "[--retry] [--admin ADDRESS]",                                                     \
      "list certificates, and what came of ordering them")                                                   \
    X("explain", cli_explain, "URL [-H FIELD]... [--admin ADDRESS]",                                         \
      "say what would happen to a request, and why")                                                         \
    X("explain-route", cli_explain_route, "IP [NAME|URL] [--admin ADDRESS]",                                 \
      "say where a client is sent, and why")                                                                 \
    X("anycast", cli_anycast, "--file FILE --prefix PREFIX... [OPTION...]",                                  \
      "announce addresses by BIRD while the edge is healthy")                                                \
    X("purge", cli_purge, "URL... | --tag TAG | --all [OPTION...]", "make what is stored invalid")           \
    X("store", cli_store, "info|verify|bench PATH...", "look at the files of the SSD tier")                  \
    X("help", cli_help, "[TOPIC]", "explain a command or a topic")

/* ARGV[0] is the command's name; returns an exit code. */
#define X(name, function, arguments, help) int function(int argc, char **argv);
CLI_COMMAND_TABLE(X)
#undef X

/* Whether the ACME client has started us, and what is then done: no command of a person's. */
bool cli_is_acme_hook(int argc);
int cli_acme_hook(char **argv);

/* Parses by argp as "skerry NAME", which prints and exits for --help (0) and for bad usage (2). */
struct argp;
void cli_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input);
/* "skerry: unknown KIND "WORD"; did you mean "NEAREST"?" on stderr (NEAREST may be NULL). Returns CLI_USAGE. */
int cli_unknown(const char *kind, const char *word, const char *nearest);
/* Writes the buffer to stdout, or says on stderr why not. ERR is of the buffer's making. Frees it. */
int cli_print(struct sk_buf *buf, sk_err err);
/* The list of commands. */
void cli_usage(struct sk_buf *out);

#endif
