/* What the request path decides before it acts, without acting. The same functions answer a request (edge_serve) and
 * explain one (edge/explain.h), so that an explanation cannot differ from what happens. Pure. */
#ifndef SK_EDGE_SERVE_H
#define SK_EDGE_SERVE_H

#include "cache/cache.h"
#include "config/config.h"

/* The site for host[:port]; NULL: none serves it. */
const struct config_site *edge_site_of(const struct config *config, sk_str authority);
/* NONE: the cache may look at it. */
enum http_reason edge_pass_reason(const struct config_site *site, const struct http_request *request);
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
/* OBJECT is what cache_find gave, with FINDING. */
struct edge_verdict edge_verdict_on(const struct cache_object *object, const struct cache_finding *finding,
                                    const struct http_cache_control *control, sk_unix_s now);

#endif
