#include "acme/held.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"
#include "wire/tls_store.h"

#define CERTIFICATE_MAX (256 * 1024)
#define KEY_MAX (64 * 1024)

static sk_err wrong(char why[ACME_WHY_BYTES], const char *what) {
    snprintf(why, ACME_WHY_BYTES, "%s", what);
    return SK_ERR_INVALID;
}

static bool has_name(const struct wire_tls_certificate *certificate, sk_str name) {
    for (uint32_t i = 0; i < certificate->name_count; i++)
        if (sk_str_eq(certificate->names[i], name)) return true;
    return false;
}

static sk_err check(const struct wire_tls_certificate *certificate, const sk_str *names, uint32_t name_count,
                    sk_unix_s now, char why[ACME_WHY_BYTES]) {
    for (uint32_t i = 0; i < name_count; i++)
        if (!has_name(certificate, names[i])) {
            snprintf(why, ACME_WHY_BYTES, "the certificate is not for %.*s", SK_STR_ARGS(names[i]));
            return SK_ERR_INVALID;
        }
    if (certificate->not_after <= certificate->not_before) return wrong(why, "the certificate has no life");
    if (certificate->not_before > now) return wrong(why, "the certificate is not valid yet");
    if (certificate->not_after <= now) return wrong(why, "the certificate has expired");
    return SK_OK;
}

/* A file that is no certificate of reasonable size is not even read. */
static sk_err check_size(const char *cert_file, char why[ACME_WHY_BYTES]) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(cert_file, CERTIFICATE_MAX, &text);
    sk_buf_free(&text);
    return err == SK_ERR_TOO_LARGE ? wrong(why, "the certificate is too large") : err;
}

sk_err acme_held_look(const char *cert_file, const char *key_file, const sk_str *names, uint32_t name_count,
                      sk_unix_s now, struct acme_held *out_held, char why[ACME_WHY_BYTES]) {
    char text[WIRE_TLS_WHY_BYTES];
    struct wire_tls_store *store;
    if (access(cert_file, F_OK) != 0) return SK_ERR_NOT_FOUND;
    sk_err err = check_size(cert_file, why);
    if (!err) err = wire_tls_store_create(&store);
    if (err) return err;
    err = wire_tls_store_add(store, cert_file, key_file, text);
    if (err == SK_ERR_INVALID) {
        (void)wrong(why, text);
    } else if (!err) {
        const struct wire_tls_certificate *certificate = wire_tls_store_at(store, 0);
        err = check(certificate, names, name_count, now, why);
        if (!err) *out_held = (struct acme_held){true, certificate->not_before, certificate->not_after};
    }
    wire_tls_store_unref(store);
    return err;
}

sk_err acme_held_install(const char *cert_file, const char *key_file, const char *file) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(cert_file, CERTIFICATE_MAX, &text);
    if (!err && !sk_str_ends_with(sk_buf_str(&text), SK_STR("\n"))) err = sk_buf_append(&text, SK_STR("\n"));
    if (!err) err = io_file_load(key_file, KEY_MAX, &text);
    if (!err) err = io_file_replace(file, sk_buf_str(&text).data, sk_buf_len(&text), 0600);
    if (text.data) explicit_bzero(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}
