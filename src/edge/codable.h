/* Which stored responses may be given out in a content coding, decided once when they are stored, and what their
 * fields must say then. Pure. */
#ifndef SK_EDGE_CODABLE_H
#define SK_EDGE_CODABLE_H

#include "cache/fill.h"
#include "config/config.h"

/* Whether a stored response with this STATUS, FIELDS and BODY_LENGTH (or CACHE_LENGTH_UNKNOWN) may be coded under
 * these rules: a 200 of a listed type and size that has no coding yet, allows to be transformed (RFC 9111 section
 * 5.2.2.6), and carries no digest of its bytes. */
bool edge_codable(const struct config_compress *rules, uint16_t status, const struct http_fields *fields,
                  uint64_t body_length);
/* Vary names Accept-Encoding from now on (RFC 9110 section 12.5.5): on every answer made from this response, also
 * in identity. Nothing happens when it does already. SK_ERR_NO_MEMORY. */
sk_err edge_codable_vary(struct sk_arena *arena, struct http_fields *fields);
/* A response that the origin has coded depends on Accept-Encoding, also when it does not say so: Vary then names it as
 * above, and a client that does not take the coding is not given what was stored for another. SK_ERR_NO_MEMORY. */
sk_err edge_coded_vary(struct sk_arena *arena, struct http_fields *fields);
/* Both for HEAD, whose fields (FIELDS, changed) are final: sets head->codable. head->vary is left alone: the
 * identity of the stored response does not depend on the request. Where the site uses dictionaries, Vary names
 * Available-Dictionary too (RFC 9842 section 6.2). SK_ERR_NO_MEMORY. */
sk_err edge_codable_mark(struct sk_arena *arena, const struct config_compress *rules,
                         struct http_fields *fields, struct cache_head *head);

#endif
