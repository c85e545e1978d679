/* What somebody asks to purge, as JSON: {"url": "https://www.example.com/a"}, {"tag": ["a", "b"], "soft": true},
 * {"purges": [{"host": "www.example.com"}, ...]}, {"site": "shop", "erase": true}. Only what the text says; what it means
 * is edge/purge_target.h's. Pure. */
#ifndef SK_FLEET_PURGE_REQUEST_H
#define SK_FLEET_PURGE_REQUEST_H

#include "base/arena.h"
#include "cache/purge.h"

#define FLEET_PURGES_MAX 10000 /* of one request */

/* Kind, the key that names it, what its value is. */
#define FLEET_PURGE_TABLE(X)                                                                                 \
    X(KEY, "url", "one URL, all its variants (https://www.example.com/a?b=c)")                               \
    X(PREFIX, "prefix", "all that begins with it (https://www.example.com/images/)")                         \
    X(HOST, "host", "all of a host (www.example.com)")                                                       \
    X(SITE, "site", "all of a site of the configuration, by its name")                                       \
    X(TAG, "tag", "all responses with this tag (Surrogate-Key, Cache-Tag or xkey)")                          \
    X(GLOB, "glob", "all URLs that a pattern matches (www.example.com/*.png, or /*.png of every host)")      \
    X(ALL, "all", "everything")
/* "url" of CACHE_PURGE_KEY; a string that lives on. */
const char *fleet_purge_kind_key(enum cache_purge_kind kind);

/* One purge as it was asked for. */
struct fleet_purge_wish {
    enum cache_purge_kind kind;
    bool soft;
    bool erase;    /* of SITE alone, and never soft: also its key of an encrypted disk (cache/tier.h) */
    sk_str text;   /* as written; empty of ALL */
    sk_str site;   /* of TAG and GLOB: only this site; empty: all */
    uint32_t item; /* which of "purges" it stands in, or FLEET_PURGE_ALONE */
};
#define FLEET_PURGE_ALONE UINT32_MAX

struct fleet_purge_request {
    struct fleet_purge_wish *wishes; /* in the arena */
    uint32_t count;
    void *document; /* the texts are its */
};

/* What is wrong, and where: "purges[3].url: found ..., expected ...". NUL-terminated. */
struct fleet_purge_problem {
    char text[512];
};
/* Formats it. ITEM as in a wish; KEY "" for the object itself. Returns SK_ERR_INVALID. */
sk_err fleet_purge_problem(struct fleet_purge_problem *problem, uint32_t item, const char *key,
                           const char *format, ...) SK_PRINTF(4, 5);
/* What was found, for a message: at most some dozen bytes of it, control bytes as '?'. */
#define FLEET_PURGE_FOUND_BYTES 80
const char *fleet_purge_found(sk_str text, char out[FLEET_PURGE_FOUND_BYTES]);

/* Reads TEXT, which is borrowed only during the call. On success to be given back with fleet_purge_request_free before
 * ARENA ends. SK_ERR_INVALID with OUT_PROBLEM; SK_ERR_NO_MEMORY. */
sk_err fleet_purge_parse(sk_str text, struct sk_arena *arena, struct fleet_purge_request *out_request,
                         struct fleet_purge_problem *out_problem);
void fleet_purge_request_free(struct fleet_purge_request *request);

#endif
