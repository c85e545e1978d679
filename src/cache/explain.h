/* What the cache knows about a request, without acting on it: nothing is marked as used, joined or fetched. */
#ifndef SK_CACHE_EXPLAIN_H
#define SK_CACHE_EXPLAIN_H

#include "cache/cache.h"

struct cache_explanation {
    struct cache_key key; /* of the response that the request selects; text in the caller's arena */
    struct cache_object
        *object;  /* what cache_find would give, or else the SSD tier, or NULL; until cache_leave */
    bool on_disk; /* it is in the SSD tier alone */
    struct cache_finding finding; /* the same */
    bool has_variants;
    sk_str vary;           /* of them: the field names, lower case, joined by ","; valid until cache_leave */
    uint32_t variants;     /* stored so far under this list */
    uint32_t tags;         /* of the object */
    uint64_t memory_bytes; /* the object's, with head, key and body; 0: none */
    uint64_t disk_bytes;   /* of its record, if it is on disk alone */
    uint64_t purge_clock;
    bool coming;                        /* a fetch is on its way that the request would join */
    bool remembered;                    /* the key is remembered as not shareable, */
    enum http_reason remembered_reason; /* for this */
};

/* Inside a section, as cache_find, on no fiber. DISK: what is not in RAM is looked for in the SSD tier, which is waited
 * for. SK_ERR_NO_MEMORY. */
sk_err cache_explain(struct cache_thread *thread, const struct cache_key *primary,
                     const struct http_request *request, bool disk, struct sk_arena *arena,
                     struct cache_explanation *out_explanation);

#endif
