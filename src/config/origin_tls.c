/* TLS to an origin: its files, and what goes with what. */
#include <stdio.h>

#include "config/compile_private.h"

static sk_str named_file(struct compile *c, const char *parent, const char *key, sk_str file) {
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof(path), "%s.%s", parent, key);
    return file.len ? config_compile_file(c, path, file) : file;
}

static void refuse_without_tls(struct compile *c, const char *parent, const char *key, const char *raw) {
    char path[CONFIG_PATH_BYTES];
    if (!raw) return;
    snprintf(path, sizeof(path), "%s.%s", parent, key);
    config_compile_problem(c, path, "found a %s, but the url is not https", key);
}

void config_compile_origin_tls(struct compile *c, const char *path, const struct config_raw_ORIGIN *raw,
                               struct config_origin *origin) {
    origin->ca_file = named_file(c, path, "ca_file", origin->ca_file);
    origin->client_cert = named_file(c, path, "client_cert", origin->client_cert);
    origin->client_key = named_file(c, path, "client_key", origin->client_key);
    if (!raw->client_cert != !raw->client_key)
        config_compile_problem(c, path, "found one of client_cert and client_key, expected both or none");
    if (raw->verify_name && !origin->verify)
        config_compile_problem(c, path, "found a verify_name, but verify is false");
    if (origin->tls) return;
    refuse_without_tls(c, path, "ca_file", raw->ca_file);
    refuse_without_tls(c, path, "verify_name", raw->verify_name);
    refuse_without_tls(c, path, "client_cert", raw->client_cert);
    refuse_without_tls(c, path, "pq", raw->pq);
}
