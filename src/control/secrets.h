/* What control keeps for the edges alone: certificates of sites with their keys, and keys of TLS tickets. In the store they
 * are sealed (fleet/vault.h), in tables "certificates", by name, and "tickets", by generation; open they are in this process
 * only, and on the links to edges. A mark in the table of the state changes whenever they do. Fibers; what is read lives
 * until the next refresh, which only a parked fiber lets happen. */
#ifndef SK_CONTROL_SECRETS_H
#define SK_CONTROL_SECRETS_H

#include "fleet/secrets.h"

struct control_process;

#define CONTROL_CERTIFICATES_BYTES (6u << 20) /* of all together, sealed: one answer of the store has them */

struct control_certificate {
    sk_str name, site; /* site: of the token that gave it; empty: the whole fleet's */
    sk_str by;         /* who gave it */
    uint64_t changed;  /* ms */
    sk_str pem;
    sk_str names; /* "www.example.com, example.com" */
    sk_unix_s not_before, not_after;
    char digest[FLEET_HEX_BYTES]; /* SHA-256 of PEM */
};

struct control_secrets {
    struct sk_arena arena;
    sk_str mark; /* of the store, as it was before this was read */
    struct control_certificate *certificates;
    size_t certificate_count, certificate_bytes;            /* bytes: of all, sealed */
    struct fleet_ticket_item tickets[WIRE_TLS_SHARED_KEYS]; /* the newest first */
    uint32_t ticket_count;
    sk_unix_s ticket_made;   /* the newest */
    uint64_t highest_ticket; /* generation in the store, one that cannot be opened included */
    struct sk_buf list;      /* as edges get it */
    char digest[FLEET_HEX_BYTES];
};

/* Reads them anew if the mark is another; *OUT_CHANGED is set then. Errors as of the store. What cannot be opened is left
 * out, with a line in the log. */
sk_err control_secrets_refresh(struct control_process *process, bool *out_changed);
void control_secrets_free(struct control_secrets *secrets); /* NULL is allowed */
/* NULL: there is none. */
const struct control_certificate *control_secrets_find(const struct control_secrets *secrets, sk_str name);

/* CERTIFICATE (name, site, by, changed and pem count) to the store. */
sk_err control_secrets_put(struct control_process *process, const struct control_certificate *certificate);
/* SK_ERR_NOT_FOUND. */
sk_err control_secrets_remove(struct control_process *process, sk_str name);

/* Another key of tickets when the newest is ticket_life old, or there is none. */
sk_err control_tickets_step(struct control_process *process);
/* Another one now, and the others are of no use any more: somebody knows them who must not. */
sk_err control_tickets_renew(struct control_process *process);

/* Everything that was sealed under an older root is sealed under the one that issues. */
sk_err control_secrets_seal_again(struct control_process *process);

/* --- for these parts alone ----------------------------------------------------------------------------------------- */

#define CONTROL_SECRETS_MARK "secrets"
enum control_how { CONTROL_OVER, CONTROL_IF_NEW /* SK_ERR_EXISTS */ };
/* CONTENT, sealed as KIND NAME, as field NAME of TABLE. The mark is not set. */
sk_err control_secrets_put_sealed(struct control_process *process, const char *table, const char *kind,
                                  sk_str name, sk_str content, enum control_how how);
/* After a change: whoever reads the mark reads the tables later. */
sk_err control_secrets_set_mark(struct control_process *process);
/* What a sealed text is of. No data: no memory. */
sk_str control_secrets_label(struct sk_arena *arena, const char *kind, sk_str name);

#endif
