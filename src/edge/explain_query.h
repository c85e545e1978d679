/* The question of /explain: "url=URL&method=GET&header=Name:%20value...", made into the request that a client would
 * send. Pure. */
#ifndef SK_EDGE_EXPLAIN_QUERY_H
#define SK_EDGE_EXPLAIN_QUERY_H

#include "wire/h1.h"

#define EDGE_EXPLAIN_FIELDS_MAX 64

/* Reads QUERY (percent-encoded; "+" is a space) into a request as it would come over HTTP/1.1, by the same parser and
 * under the same LIMITS. The URL is absolute ("http://" may be left out), or a path if a Host field is given; what
 * follows a "#" is left out. Everything lives in ARENA. SK_ERR_INVALID with *out_problem (constant), SK_ERR_NO_MEMORY. */
sk_err edge_explain_query(struct sk_arena *arena, sk_str query, const struct wire_h1_limits *limits,
                          struct http_request *out_request, const char **out_problem);

#endif
