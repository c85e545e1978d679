/* Structured fields (RFC 9651, which replaces RFC 8941): parsing of items, lists and dictionaries, strict as its
 * section 4.2 says: any error fails the whole field. Pure; results live in the caller's arena and borrow from the
 * text where nothing had to be unescaped. */
#ifndef SK_HTTP_STRUCTURED_H
#define SK_HTTP_STRUCTURED_H

#include "base/arena.h"

#define HTTP_SF_MEMBERS_MAX 1024 /* of a list, dictionary or inner list, or parameters of one item */

enum http_sf_type {
    HTTP_SF_INTEGER,
    HTTP_SF_DECIMAL,
    HTTP_SF_STRING,
    HTTP_SF_TOKEN,
    HTTP_SF_BYTES,
    HTTP_SF_BOOLEAN,
    HTTP_SF_DATE,
    HTTP_SF_DISPLAY_STRING,
    HTTP_SF_INNER_LIST,
};

struct http_sf_param;
struct http_sf_member;

struct http_sf_value {
    enum http_sf_type type;
    int64_t number;                 /* integer and date as they are, decimal in thousandths, boolean 0 or 1 */
    sk_str text;                    /* string, token, display string; bytes decoded */
    struct http_sf_member *members; /* of an inner list, keys empty */
    uint32_t member_count;
};
struct http_sf_param {
    sk_str key;
    struct http_sf_value value;
};
/* A member of a list (key empty) or dictionary, or an item alone. */
struct http_sf_member {
    sk_str key;
    struct http_sf_value value;
    struct http_sf_param *params;
    uint32_t param_count;
};

/* Several field lines are one text, joined by ", " (section 4.2). An empty list or dictionary is fine.
 * SK_ERR_MALFORMED, SK_ERR_TOO_LARGE (a bound above), SK_ERR_NO_MEMORY. */
sk_err http_sf_parse_list(struct sk_arena *arena, sk_str text, struct http_sf_member **out_members,
                          uint32_t *out_count);
/* Of a repeated key the last value counts, in its first place (section 3.2). */
sk_err http_sf_parse_dictionary(struct sk_arena *arena, sk_str text, struct http_sf_member **out_members,
                                uint32_t *out_count);
sk_err http_sf_parse_item(struct sk_arena *arena, sk_str text, struct http_sf_member *out_item);

/* The member or parameter with this key, or NULL. */
const struct http_sf_member *http_sf_find(const struct http_sf_member *members, uint32_t count, sk_str key);
const struct http_sf_value *http_sf_param(const struct http_sf_member *member, sk_str key);

#endif
