/* Tags of a response, by which it can be purged together with others: Surrogate-Key and xkey (separated by white
 * space), Cache-Tag (separated by commas), and the groups of Cache-Groups (RFC 9875), which have a name space of
 * their own for each origin. Pure. */
#ifndef SK_HTTP_TAGS_H
#define SK_HTTP_TAGS_H

#include "http/field.h"

#define HTTP_TAGS_MAX 1024      /* of one response, of all fields together */
#define HTTP_TAG_MAX_BYTES 1024 /* of one tag */

/* The fields that name tags, in the order in which their tags stand. */
#define HTTP_TAG_SOURCE_TABLE(X)                                                                             \
    X(SURROGATE_KEY)                                                                                         \
    X(CACHE_TAG)                                                                                             \
    X(XKEY)                                                                                                  \
    X(CACHE_GROUPS)
enum http_tag_source {
#define X(name) HTTP_TAG_##name,
    HTTP_TAG_SOURCE_TABLE(X)
#undef X
        HTTP_TAG_SEARCH, /* no field: the path, of what is stored under a search rule (cache/search.h) */
    HTTP_TAG_SOURCES
};

/* How many tags came from which field. A 304 changes only the tags of fields that it has (RFC 9111 section 3.2). */
struct http_tag_parts {
    uint16_t counts[HTTP_TAG_SOURCES];
    uint8_t present; /* a bit for each source whose field is there, be it empty */
};

struct http_tags {
    sk_str *items; /* source after source */
    uint32_t count;
    struct http_tag_parts parts;
};

/* All tags of FIELDS; ORIGIN is what the groups are scoped by (RFC 9875 section 2.1). Texts are borrowed from FIELDS
 * or in ARENA. A Cache-Groups that is no List of Strings has none (RFC 9651 section 4.2). SK_ERR_TOO_LARGE: more or
 * longer ones than the bounds; SK_ERR_NO_MEMORY. */
sk_err http_tags_of(const struct http_fields *fields, sk_str origin, struct sk_arena *arena,
                    struct http_tags *out_tags);

/* The members of ID, a List of Strings (Cache-Groups, Cache-Group-Invalidation), as tags of ORIGIN, in ARENA.
 * Parameters are ignored. As above; none when the field is absent or malformed. */
sk_err http_groups_of(const struct http_fields *fields, enum http_field_id id, sk_str origin,
                      struct sk_arena *arena, sk_str **out_groups, uint32_t *out_count);

/* Takes Surrogate-Key, Cache-Tag and xkey out: they are for caches like us, not for clients. */
void http_tags_strip(struct http_fields *fields);

#endif
