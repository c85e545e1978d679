/* The rule that holds for a request, and what it changes on the way to and from an origin. */
#ifndef SK_EDGE_RULES_H
#define SK_EDGE_RULES_H

#include "edge/exchange.h"

/* The rule of SITE by which REQUEST is stored and looked for, where RULE is its own: that for GET, so that what another
 * method makes invalid is what GET has stored (RFC 9111 section 4.4). */
const struct config_rule *edge_key_rule_of(const struct config_site *site, const struct config_rule *rule,
                                           const struct http_request *request, struct sk_arena *arena);
/* The rule of SITE for REQUEST, never NULL. A path without a normal form has the site's own (and gets no key). ARENA
 * is for a moment. */
const struct config_rule *edge_rule_of(const struct config_site *site, const struct http_request *request,
                                       struct sk_arena *arena);
/* From now on the request's path and query are those that its key holds, so that the origin is asked for just what the
 * key was made of; its target stays as it came, for the log. A key under a search
 * rule (cache/search.h) does not hold them: it changes nothing. */
void edge_use_key_target(struct http_request *request, sk_str key_text);
/* Strips and adds. FIELDS is a list of the caller's own. SK_ERR_NO_MEMORY. */
sk_err edge_edit_fields(struct sk_arena *arena, const struct config_edits *edits, struct http_fields *fields);
/* The response as RULE wants the origin to have sent it: RESPONSE itself when there is nothing to change, else a copy in
 * ARENA. SK_ERR_NO_MEMORY. */
sk_err edge_edit_response(struct sk_arena *arena, const struct config_rule *rule,
                          const struct http_response *response, const struct http_response **out_response);

#endif
