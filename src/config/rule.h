/* What holds for some paths of a site, and the function that finds it. Immutable, part of a configuration. */
#ifndef SK_CONFIG_RULE_H
#define SK_CONFIG_RULE_H

#include "http/field.h"
#include "http/freshness.h"
#include "http/query.h"

struct config_site;

struct config_pattern {
    sk_str text;
    size_t literal; /* bytes before the first wildcard */
};

/* Changes to fields: first STRIP goes, then ADD comes. Names in any case. */
struct config_edits {
    sk_str *strip;
    struct http_field *add;
    uint32_t strip_count, add_count;
};

struct config_rule {
    struct config_pattern *paths; /* none: of the site itself */
    uint32_t path_count;
    sk_str host;     /* lower case; empty: any; "*.example.com" */
    sk_str *methods; /* none: any */
    uint32_t method_count;
    bool enabled; /* false: requests pass, nothing is stored */
    struct http_cache_policy cache;
    struct http_key_rules key;
    struct config_edits request, response;
    uint32_t index; /* in config_site.rules */
};

/* The first rule that HOST (in any case, without a port), PATH (as http_path_normalise leaves it) and METHOD (GET for
 * HEAD) match, else the site's own. Never NULL; allocates nothing. */
const struct config_rule *config_rule_for(const struct config_site *site, sk_str host, sk_str path,
                                          sk_str method);

#endif
