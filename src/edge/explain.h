/* What would happen to a request now, and why: asked of the same functions that answer requests (edge/serve.h,
 * http/freshness.h, cache/explain.h), and changing nothing. Main thread, on the loop's own stack. */
#ifndef SK_EDGE_EXPLAIN_H
#define SK_EDGE_EXPLAIN_H

#include <yyjson.h>

#include "cache/explain.h"
#include "edge/serve.h"

struct edge_explanation {
    const struct config *config;
    const struct http_request *request;
    sk_unix_s now;
    /* the request's way to the cache */
    const struct config_site *site; /* NULL: none serves the host */
    const struct config_rule *rule; /* of the site; NULL: none was looked for */
    uint16_t refused;               /* a status, with DETAIL; 0: it is not */
    const char *detail;
    sk_str owner,
        next_owner; /* POP/NAME of the nodes (edge/peers.h); empty: there is no ring. The caller's to set */
    bool owned;     /* it is us */
    struct cache_key key; /* primary; text empty: none */
    enum http_reason pass;
    /* what the cache knows; when `looked` */
    bool looked;
    struct edge_asked asked;
    const struct http_request *selecting; /* as it chooses among variants (edge/selecting.h) */
    struct cache_explanation cache;
    struct edge_verdict verdict;
};

/* Looks. Inside a section of THREAD, which OUT borrows from until it ends. SK_ERR_NO_MEMORY. */
sk_err edge_explain_look(struct cache_thread *thread, const struct config *config,
                         const struct http_request *request, sk_unix_s now, struct sk_arena *arena,
                         struct edge_explanation *out_explanation);
/* As JSON; the keys are listed in docs/operations.md. NULL: no memory. Inside the same section. */
yyjson_mut_doc *edge_explain_json(const struct edge_explanation *explanation, struct sk_arena *arena);

#endif
