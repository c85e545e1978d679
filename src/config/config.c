#include "config/config.h"

#include <stdlib.h>

#include "config/hosts.h"

struct config *config_ref(struct config *config) {
    /* relaxed: whoever refs holds a reference already */
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config) {
    /* acq_rel: the last one frees only after all others have read what they wanted to */
    if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1) return;
    sk_arena_free(&config->arena);
    free(config);
}

bool config_serves_tls(const struct config *config) {
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls && !config->listeners[i].for_nodes) return true;
    return false;
}

bool config_has_tls(const struct config *config) {
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls) return true;
    return false;
}

/* RFC 3986 3.2.2, 3.2.3: without the port, and without the dot that ends an absolute DNS name. */
static sk_str bare_host(sk_str host) {
    size_t end = 0;
    if (host.len && host.data[0] == '[') end = sk_str_find_byte(host, ']');
    end += sk_str_find_byte(sk_str_slice(host, end, host.len), ':');
    if (end > 1 && host.data[end - 1] == '.') end--;
    return sk_str_slice(host, 0, end);
}

const struct config_site *config_site_for(const struct config *config, sk_str host) {
    return config_hosts_find(config->hosts, bare_host(host));
}
