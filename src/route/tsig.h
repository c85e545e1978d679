/* Signed requests and their answers (TSIG, RFC 8945) as the router needs them: which key, whether it is right, and the answer signed
 * with it. Pure but for OpenSSL's memory; any thread. */
#ifndef SK_ROUTE_TSIG_H
#define SK_ROUTE_TSIG_H

#include "wire/dns_tsig.h"

struct tsig_keys {
    const struct dns_tsig_key *items;
    size_t count;
};

/* A request that carries a TSIG. */
struct tsig_request {
    struct dns_tsig record;
    const struct dns_tsig_key *key; /* NULL: none that we know */
    enum dns_tsig_error error;      /* FINE: it is who it says */
    struct dns_tsig_chain chain;    /* for the answers */
};
/* MESSAGE with a TSIG at AT. SK_ERR_MALFORMED (the answer is FORMERR, unsigned), SK_ERR_NO_MEMORY. */
sk_err tsig_open(const struct tsig_keys *keys, const uint8_t *message, size_t bytes, size_t at, sk_unix_s now,
                 struct tsig_request *out_request);
/* What the record behind the answers of REQUEST takes. */
size_t tsig_room(const struct tsig_request *request);
/* Puts it behind the ANSWER of *bytes. SK_ERR_FULL, SK_ERR_NO_MEMORY: the answer may not be sent. */
sk_err tsig_close(struct tsig_request *request, uint8_t *answer, size_t *bytes, size_t capacity,
                  sk_unix_s now);
/* NULL: none of this name. */
const struct dns_tsig_key *tsig_key_named(const struct tsig_keys *keys, const struct dns_name *name);

#endif
