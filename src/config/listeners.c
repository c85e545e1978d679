#include <stdio.h>

#include "config/compile_private.h"
#include "config/value.h"

/* Options of a listener that has none of its own. */
static sk_err set_defaults(struct config_listener *listener) {
    const struct config_section *section = config_compile_section(config_top, "listeners");
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        struct config_value value;
        if (option->shape != CONFIG_SHAPE_VALUE || !option->default_text[0]) continue;
        sk_err err = config_value_read(option, sk_str_from_c(option->default_text), NULL, &value);
        if (err) return err;
        config_value_store(option, &value, listener);
    }
    return SK_OK;
}

static sk_err set_endpoint(struct config_listener *listener, const char *text) {
    sk_err err = set_defaults(listener);
    return err ? err : config_endpoint_parse(sk_str_from_c(text), &listener->addr, &listener->tls);
}

sk_err config_set_listeners(struct config *config, const char *const *texts, size_t count) {
    struct config_listener *listeners = sk_arena_zalloc(&config->arena, (count + 1) * sizeof(*listeners));
    if (!listeners) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        if (set_endpoint(&listeners[i], texts[i])) return SK_ERR_INVALID;
    for (uint32_t i = 0; i < config->listener_count; i++) /* that one is the machine's own */
        if (config->listeners[i].for_nodes) listeners[count++] = config->listeners[i];
    config->listeners = listeners;
    config->listener_count = (uint32_t)count;
    return SK_OK;
}

bool config_has_certificate(const struct config *config) {
    if (config->certificate_count || config->acme.certificate_count) return true;
    for (uint32_t i = 0; i < config->site_count; i++)
        if (config->sites[i].certificate_count) return true;
    return false;
}

sk_err config_set_certificates(struct config *config, const char *const *certs, const char *const *keys,
                               size_t count) {
    struct config_certificate *certificates = sk_arena_zalloc(&config->arena, count * sizeof(*certificates));
    if (!certificates) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        certificates[i].cert = sk_arena_copy(&config->arena, sk_str_from_c(certs[i]));
        certificates[i].key = sk_arena_copy(&config->arena, sk_str_from_c(keys[i]));
        certificates[i].ocsp = true;
        if (!certificates[i].cert.data || !certificates[i].key.data) return SK_ERR_NO_MEMORY;
    }
    config->certificates = certificates;
    config->certificate_count = (uint32_t)count;
    return SK_OK;
}

/* ---- from the file ---- */

static sk_str file_at(struct compile *c, const char *parent, const char *key, sk_str file) {
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof(path), "%s.%s", parent, key);
    if (file.len) return config_compile_file(c, path, file);
    config_compile_problem(c, parent, "found no %s, expected a path", key);
    return file;
}

static struct config_certificate *compile_certificates(struct compile *c, const char *parent,
                                                       const struct config_raw_CERTIFICATE *raw,
                                                       unsigned count) {
    const struct config_section *section = config_compile_section(config_top, "certificates");
    struct config_certificate *certificates =
        config_compile_allocate(c, count, sizeof(struct config_certificate));
    for (unsigned i = 0; certificates && i < count; i++) {
        char path[CONFIG_PATH_BYTES];
        snprintf(path, sizeof(path), "%scertificates[%u]", parent, i);
        config_compile_fill(c, section, &raw[i], &certificates[i]);
        certificates[i].cert = file_at(c, path, "cert", certificates[i].cert);
        certificates[i].key = file_at(c, path, "key", certificates[i].key);
    }
    return certificates;
}

void config_compile_site_certificates(struct compile *c, const struct config_raw_SITE *raw,
                                      struct config_site *site) {
    char parent[32];
    snprintf(parent, sizeof(parent), "sites[%u].", site->index);
    site->certificates = compile_certificates(c, parent, raw->certificates, raw->certificates_count);
    site->certificate_count = site->certificates ? raw->certificates_count : 0;
}

static void compile_section(struct compile *c, unsigned i, const struct config_raw_LISTENERS *raw,
                            struct config_listener *listener) {
    char path[CONFIG_PATH_BYTES];
    bool tls = false;
    snprintf(path, sizeof(path), "listeners[%u]", i);
    config_compile_fill(c, config_compile_section(config_top, "listeners"), raw, listener);
    if (!raw->address) {
        config_compile_problem(c, path, "found no address, expected one (example: address: 0.0.0.0:443)");
        return;
    }
    if (config_endpoint_parse(sk_str_from_c(raw->address), &listener->addr, &tls) && !c->err)
        c->err = SK_ERR_INVALID;
    bool plain = sk_str_starts_with(sk_str_from_c(raw->address), SK_STR("http://"));
    if ((tls && !listener->tls) || (plain && listener->tls))
        config_compile_problem(c, path, "found a scheme before the address that contradicts tls");
    if (!listener->tls && (raw->pq || raw->min_version || raw->early_data || raw->client_ca))
        config_compile_problem(c, path, "found options of TLS where tls is false");
    if (listener->client_ca.len) listener->client_ca = file_at(c, path, "client_ca", listener->client_ca);
    if (listener->pq == CONFIG_PQ_REQUIRE) listener->min_version = CONFIG_TLS_1_3; /* 1.2 has no such group */
}

/* `listen` comes before what `listeners` has. */
static const char *const *texts_of(const struct config_raw_TOP *raw, const char *const *fallback,
                                   size_t *out_count) {
    *out_count = 1;
    if (raw->listen_one) return (const char *const *)&raw->listen_one;
    *out_count = raw->listen_count;
    if (raw->listen_count || raw->listeners_count) return (const char *const *)raw->listen;
    *out_count = 1;
    return fallback;
}

static void listener_path(size_t i, size_t listed, char path[CONFIG_PATH_BYTES]) {
    if (i < listed)
        snprintf(path, CONFIG_PATH_BYTES, "listen[%zu]", i);
    else
        snprintf(path, CONFIG_PATH_BYTES, "listeners[%zu].address", i - listed);
}

static void check_twice(struct compile *c, size_t listed) {
    const struct config_listener *listeners = c->config->listeners;
    for (uint32_t i = 1; i < c->config->listener_count; i++)
        for (uint32_t j = 0; j < i; j++) {
            char path[CONFIG_PATH_BYTES], addr[IO_ADDR_TEXT_BYTES];
            if (!io_addr_eq(&listeners[i].addr, &listeners[j].addr)) continue;
            listener_path(i, listed, path);
            io_addr_format(&listeners[i].addr, addr);
            config_compile_problem(c, path, "found %s again", addr);
            break;
        }
}

void config_compile_listeners(struct compile *c, const struct config_raw_TOP *raw) {
    const char *fallback = config_option_find(config_top, SK_STR("listen"))->default_text;
    size_t listed;
    const char *const *texts = texts_of(raw, &fallback, &listed);
    struct config *config = c->config;
    config->listeners = config_compile_allocate(c, listed + raw->listeners_count + 1,
                                                sizeof(struct config_listener)); /* and for nodes */
    if (!config->listeners) return;
    for (size_t i = 0; i < listed; i++)
        if (set_endpoint(&config->listeners[i], texts[i]) && !c->err) c->err = SK_ERR_INVALID;
    for (unsigned i = 0; i < raw->listeners_count; i++)
        compile_section(c, i, &raw->listeners[i], &config->listeners[listed + i]);
    config->listener_count = (uint32_t)listed + raw->listeners_count;
    config->certificates = compile_certificates(c, "", raw->certificates, raw->certificates_count);
    config->certificate_count = config->certificates ? raw->certificates_count : 0;
    if (!c->err) check_twice(c, listed);
}
