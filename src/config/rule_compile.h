/* Rules, and what a site says for all its paths, from their raw form. */
#ifndef SK_CONFIG_RULE_COMPILE_H
#define SK_CONFIG_RULE_COMPILE_H

#include "config/config.h"
#include "config/raw.h"

/* The site's own rule, whose single values are in OUT_BASE already. Texts are copied to ARENA. SK_ERR_NO_MEMORY. */
sk_err config_base_compile(struct sk_arena *arena, const struct config_raw_SITE *raw,
                           struct config_rule *out_base);
/* A rule: what it does not say is as BASE has it. SK_ERR_NO_MEMORY, SK_ERR_INVALID (the scan would have told). */
sk_err config_rule_compile(struct sk_arena *arena, const struct config_raw_RULE *raw,
                           const struct config_rule *base, struct config_rule *out_rule);

/* "404=10s 5xx=1s" or "none"; ARENA may be NULL for a look only (OUT_TTLS is untouched then). SK_ERR_INVALID,
 * SK_ERR_NO_MEMORY. */
sk_err config_status_ttls_read(struct sk_arena *arena, sk_str text, struct http_status_ttls *out_ttls);
/* Forms of text that values.c asks for. */
bool config_is_pattern(sk_str text);
bool config_is_names(sk_str text);
bool config_is_field(sk_str text);
bool config_is_field_line(sk_str text);

#endif
