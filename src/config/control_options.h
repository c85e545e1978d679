/* Every key of a control's configuration: rows as in options.h, all of them single values. */
#ifndef SK_CONFIG_CONTROL_OPTIONS_H
#define SK_CONFIG_CONTROL_OPTIONS_H

#include "config/control.h"
#include "config/options.h"

#define CONFIG_CONTROL_TOP_TABLE(X, S)                                                                       \
    X(S, VALUE, NAME, fleet, fleet, "", "", "", "acme",                                                      \
      "The fleet's name, in the identity of every node. It cannot change.")                                  \
    X(S, VALUE, NAME, name, name, "control", "", "", "control-1", "This control's name; each has its own.")  \
    X(S, VALUE, NAME, pop, pop, "home", "", "", "fra", "Where it stands.")                                   \
    X(S, VALUE, LISTENER, listen, listen, "127.0.0.1:7443", "", "", ":7443",                                 \
      "Where nodes and people ask, over TLS 1.3 with the fleet's own certificates.")                         \
    X(S, VALUE, ADMIN, admin, admin, "unix:/run/skerry/control.sock", "", "", "unix:/run/skerry/c.sock",     \
      "Where the same is asked on this machine, by whom the socket's mode lets in; a Unix socket only.")     \
    X(S, VALUE, FILE, state, state, "/var/lib/skerry/control", "", "", "/var/lib/skerry/control",            \
      "Folder of the fleet's roots, this control's identity and its Valkey's data. Who can read it is the "  \
      "fleet's owner. Several controls have copies of its `ca`.")                                            \
    X(S, VALUE, TEXT, valkey, valkey, "", "", "", "valkey://:password@10.0.0.5:6379",                        \
      "A Valkey or Redis server for what controls share, `unix:PATH` or `valkey://...`. Without it: one of " \
      "our own is started, on a Unix socket in `state`, with its data on disk.")                             \
    X(S, VALUE, FILE, valkey_ca, valkey_ca, "", "", "", "/etc/skerry/valkey-ca.pem",                         \
      "Authorities of the certificate of a server behind `valkeys://` (PEM). Without it: the system's.")     \
    X(S, VALUE, FILE, valkey_cert, valkey_cert, "", "", "", "/etc/skerry/valkey.pem",                        \
      "The certificate that is shown to it when it asks for one (PEM). Without it: none.")                   \
    X(S, VALUE, FILE, valkey_key, valkey_key, "", "", "", "/etc/skerry/valkey.key",                          \
      "Its private key (PEM).")                                                                              \
    X(S, VALUE, FILE, valkey_server, valkey_server, "/usr/bin/valkey-server", "", "",                        \
      "/usr/bin/redis-server", "The program for that.")                                                      \
    X(S, VALUE, DURATION, certificate_life, certificate_life_ms, "1d", "3s", "90d", "12h",                   \
      "How long a node's certificate holds; it gets another one when two thirds are over.")                  \
    X(S, VALUE, DURATION, ticket_life, ticket_life_ms, "12h", "2s", "7d", "6h",                              \
      "How long edges make TLS tickets under one key of the fleet; it opens them for two such times more.")  \
    X(S, VALUE, DURATION, invite_life, invite_life_ms, "10m", "1s", "1d", "1h",                              \
      "How long an invitation may be used, once.")                                                           \
    X(S, VALUE, NAME, user, user, "", "", "", "skerry",                                                      \
      "User to become, which only root can. Without it: none.")                                              \
    X(S, VALUE, CHOICE, log_level, log_level, "info", "error warn info debug", "", "warn",                   \
      "How much to say on stderr about the process itself.")

#define CONFIG_CONTROL_SECTION_TABLE(X) X(CONTROL_TOP, "", struct config_control)

extern const struct config_section *const config_control_top;

#endif
