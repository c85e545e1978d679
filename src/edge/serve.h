/* What the request path decides before it acts, without acting. The same functions answer a request (edge_serve) and
 * explain one (edge/explain.h), so that an explanation cannot differ from what happens. Pure. */
#ifndef SK_EDGE_SERVE_H
#define SK_EDGE_SERVE_H

#include "cache/cache.h"
#include "config/config.h"
#include "http/freshness.h"

/* The site for the request's host; NULL: none serves it. */
const struct config_site *edge_site_of(const struct config *config, const struct http_request *request);
/* What is wrong with the request before anybody looks into the cache: a status, with *out_detail; 0: nothing. SITE may be
 * NULL. */
uint16_t edge_refusal(const struct config *config, const struct config_site *site,
                      const struct http_request *request, const char **out_detail);
/* The primary key; as cache_key_make, but where fields or cookies are too long for a key it is empty. */
sk_err edge_key_make(struct sk_arena *arena, const struct config_site *site, const struct config_rule *rule,
                     const struct http_request *request, struct cache_key *out_key);
/* The status for a request that can have no key. */
uint16_t edge_key_refusal(sk_err err);
/* NONE: the cache may look at it. KEY is the request's. */
enum http_reason edge_pass_reason(const struct config_rule *rule, const struct http_request *request,
                                  const struct cache_key *key);
/* The request's directives; TRAITS (edge_traits_of) say whether it has any. */
void edge_request_control(uint32_t traits, const struct http_request *request,
                          struct http_cache_control *out_control);

enum edge_step {
    EDGE_STEP_ANSWER,         /* from the store */
    EDGE_STEP_ANSWER_REFRESH, /* the same, with a refresh behind it */
    EDGE_STEP_VALIDATE,       /* ask the origin about what is stored, first */
    EDGE_STEP_FETCH,          /* ask the origin: nothing is stored that could answer */
    EDGE_STEP_PASS,           /* alone: a condition of the request is the origin's to judge */
    EDGE_STEP_REFUSE,         /* only-if-cached: 504 */
};
struct edge_verdict {
    enum edge_step step;
    enum http_reason reason;
};
/* The request as the decisions look at it. */
struct edge_asked {
    const struct http_request *request;
    uint32_t traits;                   /* edge_traits_of */
    struct http_cache_control control; /* edge_request_control */
    sk_unix_s now;
};
/* OBJECT is what cache_find gave, with FINDING. */
struct edge_verdict edge_verdict_on(const struct cache_object *object, const struct cache_finding *finding,
                                    const struct edge_asked *asked);
/* What the request's conditions say about OBJECT, where it is ours to say: PASS for what is not stored, or no 200. */
enum http_precondition edge_precondition_on(const struct cache_object *object,
                                            const struct http_request *request, uint32_t traits,
                                            sk_unix_s now);

#endif
