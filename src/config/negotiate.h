/* What a site says about content negotiation, from its raw form. */
#ifndef SK_CONFIG_NEGOTIATE_H
#define SK_CONFIG_NEGOTIATE_H

#include "config/config.h"
#include "config/raw.h"

/* The lists of `vary`; its single values are in OUT_VARY already. RAW may be NULL. Texts are copied to ARENA.
 * SK_ERR_NO_MEMORY. */
sk_err config_vary_compile(struct sk_arena *arena, const struct config_raw_VARY *raw,
                           struct config_vary *out_vary);
/* The same for `compress`, with the defaults of its lists. */
sk_err config_compress_compile(struct sk_arena *arena, const struct config_raw_COMPRESS *raw,
                               struct config_compress *out_compress);

#endif
