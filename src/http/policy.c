#include "http/policy.h"

#define HEURISTIC_MAX_S INT64_C(86400)

void http_cache_policy_default(struct http_cache_policy *out_policy) {
    *out_policy = (struct http_cache_policy){.default_ttl_s = HTTP_SECONDS_NONE,
                                             .override_ttl_s = HTTP_SECONDS_NONE,
                                             .max_ttl_s = HTTP_SECONDS_NONE,
                                             .heuristic_max_s = HEURISTIC_MAX_S,
                                             .stale_while_revalidate_s = HTTP_SECONDS_NONE,
                                             .stale_if_error_s = HTTP_SECONDS_NONE,
                                             .heuristics = true,
                                             .deception_armor = true,
                                             .no_vary_search = true};
}

const struct http_status_ttl *http_status_ttl_find(const struct http_status_ttls *ttls, uint16_t status) {
    for (uint32_t i = 0; i < ttls->count; i++)
        if (status >= ttls->items[i].first && status <= ttls->items[i].last) return &ttls->items[i];
    return NULL;
}

bool http_status_client_error(uint16_t status) {
    switch (status) {
    case 400:
    case 406:
    case 411:
    case 412:
    case 413:
    case 414:
    case 415:
    case 417:
    case 421:
    case 426:
    case 428:
    case 431: return true;
    default: return false;
    }
}
