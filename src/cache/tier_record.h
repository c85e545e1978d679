/* What the SSD tier keeps of an object beside its key and its body: the head of a record (disk.h). Pure. Numbers are
 * LEB128 (signed ones zigzag), texts are length and bytes; the first byte is the layout's version. */
#ifndef SK_CACHE_TIER_RECORD_H
#define SK_CACHE_TIER_RECORD_H

#include "base/buf.h"
#include "cache/object.h"
#include "http/tags.h"

struct tier_record {
    bool list; /* of variants: only `number`, `names` and `born` count */
    bool codable;
    enum cache_part part;
    uint16_t status;
    enum http_reason reason;
    struct http_freshness freshness;
    struct http_validators validators;
    sk_unix_s stored_at;
    uint64_t born;   /* purge clock (cache/purge.h); of a list: when it was put */
    uint64_t number; /* of its content, or of the list; 0: none */
    uint64_t length; /* of the body; of a CACHE_PART_HEAD, of the representation */
    uint16_t tag_counts[HTTP_TAG_SOURCES];
    const uint64_t *tags; /* scopes, as cache_entry.tags */
    sk_str names;
    sk_str fields; /* lines "Name: value\r\n" */
};

/* Appends it. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE (OUT's limit). */
sk_err tier_record_encode(const struct tier_record *record, struct sk_buf *out);
/* Texts are borrowed from DATA, tags in ARENA. SK_ERR_CORRUPT: not one of ours, or of another version;
 * SK_ERR_NO_MEMORY. */
sk_err tier_record_decode(sk_str data, struct sk_arena *arena, struct tier_record *out_record);
/* The lines as fields, in ARENA; names and values borrowed. SK_ERR_CORRUPT, SK_ERR_NO_MEMORY. */
sk_err tier_record_fields(const struct tier_record *record, struct sk_arena *arena,
                          struct http_fields *out_fields);

#endif
