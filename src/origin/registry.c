#include "origin/registry.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"

const char *origin_phase_text(enum origin_phase phase) {
    static const char *const texts[] = {
#define X(name, text) text,
        ORIGIN_PHASE_TABLE(X)
#undef X
    };
    SK_ASSERT((size_t)phase < SK_COUNT(texts));
    return texts[phase];
}

sk_err origin_registry_create(struct origin_registry **out_registry) {
    struct origin_registry *registry = calloc(1, sizeof *registry);
    if (!registry) return SK_ERR_NO_MEMORY;
    registry->magic = ORIGIN_REGISTRY_MAGIC;
    pthread_mutex_init(&registry->lock, NULL);
    sk_list_init(&registry->origins);
    sk_list_init(&registry->trusts);
    *out_registry = registry;
    return SK_OK;
}

void origin_registry_destroy(struct origin_registry *registry) {
    if (!registry) return;
    SK_CHECK_MAGIC(registry, ORIGIN_REGISTRY_MAGIC);
    SK_ASSERT(sk_list_empty(&registry->origins) && sk_list_empty(&registry->trusts));
    pthread_mutex_destroy(&registry->lock);
    registry->magic = 0;
    free(registry);
}

sk_err origin_registry_take_slot(struct origin_registry *registry, size_t *out_slot) {
    SK_CHECK_MAGIC(registry, ORIGIN_REGISTRY_MAGIC);
    sk_err err = SK_ERR_FULL;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < ORIGIN_THREADS_MOST && err; i++) {
        if (registry->slots[i / 64] >> (i % 64) & 1) continue;
        registry->slots[i / 64] |= UINT64_C(1) << (i % 64);
        *out_slot = i;
        err = SK_OK;
    }
    pthread_mutex_unlock(&registry->lock);
    return err;
}

void origin_registry_give_slot(struct origin_registry *registry, size_t slot) {
    pthread_mutex_lock(&registry->lock);
    registry->slots[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    pthread_mutex_unlock(&registry->lock);
}

/* --- whom to trust -------------------------------------------------------------------------------------- */

/* What the authorities are, by content for a pinned file, by the file's state for the system's store. */
static sk_err file_identity(const char *file, uint64_t *out_identity) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(file, (size_t)16 << 20, &text);
    if (!err) *out_identity = sk_hash64(sk_buf_str(&text).data, sk_buf_len(&text));
    sk_buf_free(&text);
    return err;
}

static sk_err authorities_identity(const char *ca_file, uint64_t *out_identity) {
    if (ca_file) return file_identity(ca_file, out_identity);
    *out_identity = io_file_stamp(0, X509_get_default_cert_file()); /* without it the directory is used */
    return SK_OK;
}

static sk_err trust_identity(const struct wire_tls_client_options *options, uint64_t *out_identity) {
    uint64_t parts[5] = {options->verify, options->pq};
    sk_err err = options->verify ? authorities_identity(options->ca_file, &parts[2]) : SK_OK;
    if (!err && options->cert_file) err = file_identity(options->cert_file, &parts[3]);
    if (!err && options->cert_file) err = file_identity(options->key_file, &parts[4]);
    if (!err) *out_identity = sk_hash64(parts, sizeof parts);
    return err;
}

static void trust_free(struct origin_trust *trust) {
    wire_tls_context_free(trust->context);
    free(trust);
}

/* Under the lock. */
static sk_err trust_acquire(struct origin_registry *registry, const struct wire_tls_client_options *options,
                            struct origin_trust **out_trust) {
    uint64_t identity;
    sk_err err = trust_identity(options, &identity);
    if (err) return err == SK_ERR_NO_MEMORY ? err : SK_ERR_INVALID;
    SK_LIST_FOR_EACH(link, &registry->trusts) {
        struct origin_trust *known = SK_CONTAINER_OF(link, struct origin_trust, link);
        if (known->identity != identity) continue;
        known->references++;
        *out_trust = known;
        return SK_OK;
    }
    struct origin_trust *trust = calloc(1, sizeof *trust);
    if (!trust) return SK_ERR_NO_MEMORY;
    *trust = (struct origin_trust){.references = 1, .identity = identity};
    err = wire_tls_client_context(options, &trust->context);
    if (err) {
        trust_free(trust);
        return err;
    }
    sk_list_push_back(&registry->trusts, &trust->link);
    *out_trust = trust;
    return SK_OK;
}

/* Under the lock. */
static void trust_release(struct origin_trust *trust) {
    if (!trust || --trust->references) return;
    sk_list_remove(&trust->link);
    trust_free(trust);
}

/* --- origins -------------------------------------------------------------------------------------------- */

static char *text_of(sk_str s) { return strndup(s.data ? s.data : "", s.len); }

/* An IPv6 address without its brackets. */
static sk_str bare_host(sk_str host) {
    bool bracketed = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    return bracketed ? sk_str_slice(host, 1, host.len - 1) : host;
}

/* The name that TLS is about: `host` of the configuration without its port, else the url's. */
static sk_str peer_name(const struct config_origin *config) {
    sk_str host;
    uint16_t port;
    if (sk_str_empty(config->host) || http_authority_parse(config->host, &host, &port))
        host = config->uri.host;
    return bare_host(host);
}

static void origin_free(struct origin *origin) {
    origin_health_destroy(&origin->health);
    free(origin->url), free(origin->host), free(origin->peer), free(origin->expected);
    origin->magic = 0;
    free(origin);
}

static struct origin *origin_new(struct origin_registry *registry, const struct config_origin *config,
                                 struct origin_trust *trust) {
    struct origin *origin = calloc(1, sizeof *origin);
    if (!origin) return NULL;
    origin->magic = ORIGIN_MAGIC;
    origin->references = 1;
    origin->registry = registry;
    origin->url = text_of(config->url);
    origin->host = text_of(bare_host(config->uri.host));
    origin->peer = text_of(peer_name(config));
    origin->expected = text_of(config->verify_name);
    origin->port = config->port;
    origin->http2 = config->http2;
    origin->id = sk_hash64(config->url.data, config->url.len);
    origin->trust = trust;
    origin_health_init(&origin->health);
    if (origin->url && origin->host && origin->peer && origin->expected) return origin;
    origin_free(origin);
    return NULL;
}

/* Under the lock. */
static struct origin *find(struct origin_registry *registry, const struct config_origin *config,
                           const struct origin_trust *trust) {
    SK_LIST_FOR_EACH(link, &registry->origins) {
        struct origin *origin = SK_CONTAINER_OF(link, struct origin, link);
        if (origin->trust == trust && origin->port == config->port && origin->http2 == config->http2 &&
            sk_str_eq(sk_str_from_c(origin->url), config->url) &&
            sk_str_ieq(sk_str_from_c(origin->peer), peer_name(config)) &&
            sk_str_eq(sk_str_from_c(origin->expected), config->verify_name))
            return origin;
    }
    return NULL;
}

/* Under the lock; takes over the caller's reference to TRUST. */
static sk_err find_or_add(struct origin_registry *registry, const struct config_origin *config,
                          struct origin_trust *trust, struct origin **out_origin) {
    struct origin *origin = find(registry, config, trust);
    if (origin) {
        origin->references++;
        trust_release(trust); /* the origin has its own */
    } else {
        origin = origin_new(registry, config, trust);
        if (!origin) {
            trust_release(trust);
            return SK_ERR_NO_MEMORY;
        }
        sk_list_push_back(&registry->origins, &origin->link);
    }
    *out_origin = origin;
    return SK_OK;
}

static const enum wire_tls_pq policies[] = {
    [CONFIG_PQ_OFF] = WIRE_TLS_PQ_OFF,
    [CONFIG_PQ_OFFER] = WIRE_TLS_PQ_OFFER,
    [CONFIG_PQ_PREFER] = WIRE_TLS_PQ_PREFER,
    [CONFIG_PQ_REQUIRE] = WIRE_TLS_PQ_REQUIRE,
    [CONFIG_PQ_ADVERTISE] = WIRE_TLS_PQ_ADVERTISE,
};

static char *path_of(sk_str path) { return sk_str_empty(path) ? NULL : text_of(path); }

static void tell_bad_files(const struct config_origin *config,
                           const struct wire_tls_client_options *options) {
    if (options->cert_file)
        sk_log(SK_LOG_ERROR, "origin",
               "%.*s: the certificates in %s, or %s with the key in %s, cannot be used",
               SK_STR_ARGS(config->url), options->ca_file ? options->ca_file : "the system's store",
               options->cert_file, options->key_file);
    else
        sk_log(SK_LOG_ERROR, "origin", "%.*s: no certificate can be read from %s", SK_STR_ARGS(config->url),
               options->ca_file ? options->ca_file : "the system's store");
}

sk_err origin_acquire(struct origin_registry *registry, const struct config_origin *config,
                      struct origin **out_origin) {
    SK_CHECK_MAGIC(registry, ORIGIN_REGISTRY_MAGIC);
    struct origin_trust *trust = NULL;
    char *ca_file = path_of(config->ca_file), *cert = path_of(config->client_cert),
         *key = path_of(config->client_key);
    struct wire_tls_client_options options = {ca_file, config->verify, policies[config->pq], cert, key};
    pthread_mutex_lock(&registry->lock);
    sk_err err = config->tls ? trust_acquire(registry, &options, &trust) : SK_OK;
    if (!err) err = find_or_add(registry, config, trust, out_origin);
    pthread_mutex_unlock(&registry->lock);
    if (err == SK_ERR_INVALID) tell_bad_files(config, &options);
    free(ca_file), free(cert), free(key);
    return err;
}

struct origin *origin_ref(struct origin *origin) {
    SK_CHECK_MAGIC(origin, ORIGIN_MAGIC);
    pthread_mutex_lock(&origin->registry->lock);
    origin->references++;
    pthread_mutex_unlock(&origin->registry->lock);
    return origin;
}

void origin_unref(struct origin *origin) {
    SK_CHECK_MAGIC(origin, ORIGIN_MAGIC);
    struct origin_registry *registry = origin->registry;
    pthread_mutex_lock(&registry->lock);
    bool last = --origin->references == 0;
    if (last) {
        sk_list_remove(&origin->link);
        trust_release(origin->trust);
    }
    pthread_mutex_unlock(&registry->lock);
    if (last) origin_free(origin);
}
