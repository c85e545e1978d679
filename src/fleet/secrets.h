/* What control gives to the edges of a fleet and to nobody else: certificates of sites with their keys, and keys of TLS
 * tickets. It goes over the link between nodes (mutual TLS), never in a configuration. An edge asks for the list, then for
 * each certificate that it does not have as the list says.
 *
 *     skerry secrets 1
 *     ticket GENERATION USE_UNTIL ACCEPT_UNTIL HEX       160 digits: name, cipher key, code key; the one in use first
 *     certificate NAME CHANGED DIGEST                    SHA-256 of its text
 *
 * Numbers are decimal, times Unix seconds (CHANGED: milliseconds). Pure. */
#ifndef SK_FLEET_SECRETS_H
#define SK_FLEET_SECRETS_H

#include "base/arena.h"
#include "fleet/id.h"
#include "fleet/token.h"
#include "wire/tls_server.h"

#define FLEET_CERTIFICATE_MAX (32u << 10) /* bytes of one in PEM, with its chain and key */
#define FLEET_CERTIFICATES_MAX 1000       /* of a fleet */
#define FLEET_SECRETS_MAX (512u << 10)    /* of the list */

struct fleet_certificate_item {
    sk_str name;      /* fleet_word_valid */
    uint64_t changed; /* ms; a later one of the same name has more */
    char digest[FLEET_HEX_BYTES];
};
struct fleet_ticket_item {
    uint64_t generation;
    sk_unix_s use_until, accept_until;
    struct wire_tls_ticket_key key;
};
struct fleet_secrets {
    struct fleet_certificate_item *certificates;
    uint32_t certificate_count;
    struct fleet_ticket_item tickets[WIRE_TLS_SHARED_KEYS];
    uint32_t ticket_count;
};

/* Appends. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err fleet_secrets_write(const struct fleet_secrets *secrets, struct sk_buf *out);
/* Names are copied to ARENA. SK_ERR_MALFORMED: anything that is not as above, to the last byte; SK_ERR_NO_MEMORY. */
sk_err fleet_secrets_parse(sk_str text, struct sk_arena *arena, struct fleet_secrets *out_secrets);
/* 80 bytes of a ticket's key as 160 hexadecimal digits, with NUL, and back. SK_ERR_MALFORMED. */
#define FLEET_TICKET_HEX_BYTES 161
void fleet_ticket_format(const struct wire_tls_ticket_key *key, char out[FLEET_TICKET_HEX_BYTES]);
sk_err fleet_ticket_parse(sk_str text, struct wire_tls_ticket_key *out_key);

/* --- certificates on an edge's disk ------------------------------------------------------------------------------
 *
 * FOLDER/certificates/NAME.pem, mode 0600: "Changed: N", then the text in PEM as it came. Blocking. */

/* *OUT_HAVE: ITEM is there, or a newer one of its name is. SK_OK also when it is not. */
sk_err fleet_certificate_look(sk_str folder, const struct fleet_certificate_item *item, bool *out_have);
/* TEXT is what control gave for ITEM. SK_ERR_CORRUPT: it is another than ITEM says; what files give. */
sk_err fleet_certificate_keep(sk_str folder, const struct fleet_certificate_item *item, sk_str text);
/* Removes all that KEEP says false of. What cannot be removed stays. */
void fleet_certificates_prune(sk_str folder, bool (*keep)(void *arg, sk_str name), void *arg);

#endif
