/* The configuration of a control as a plain, immutable struct, from one YAML file (control_load.c). */
#ifndef SK_CONFIG_CONTROL_H
#define SK_CONFIG_CONTROL_H

#include "base/arena.h"
#include "config/load.h"

struct config_control {
    struct sk_arena arena;
    /* texts end with a NUL that is not counted */
    sk_str fleet, name, pop;
    sk_str listen;                             /* for nodes and people */
    sk_str admin;                              /* on this machine; "unix:PATH" */
    sk_str state;                              /* folder */
    sk_str valkey;                             /* empty: one of our own */
    sk_str valkey_ca, valkey_cert, valkey_key; /* of TLS to it: paths; empty: none */
    sk_str valkey_server;
    int64_t certificate_life_ms, ticket_life_ms, invite_life_ms;
    sk_str user;
    int log_level;
};

/* SK_ERR_INVALID with at least one problem; SK_ERR_NO_MEMORY. Paths are relative to the file's folder. */
sk_err config_control_load_file(const char *path, struct config_control **out_config,
                                struct config_problems *problems);
sk_err config_control_parse(sk_str text, const char *name, struct config_control **out_config,
                            struct config_problems *problems);
void config_control_free(struct config_control *config); /* NULL is allowed */

#endif
