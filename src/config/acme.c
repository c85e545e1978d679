/* `acme`: certificates that an authority gives. */
#include <stdio.h>

#include "config/compile_private.h"
#include "config/value.h"

static void told(struct compile *c, const char *key, const char *text) {
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof(path), "acme.%s", key);
    config_compile_problem(c, path, "%s", text);
}

static void path_of(unsigned i, const char *key, char out[64]) {
    snprintf(out, 64, "certificates[%u]%s%s", i, key[0] ? "." : "", key);
}

/* ---- one certificate ---- */

static void add_name(struct compile *c, struct config_acme_certificate *certificate, const char *text) {
    static const struct config_option option = {.kind = CONFIG_KIND_HOST, .min = "", .max = ""};
    struct config_value value;
    sk_err err = config_value_read(&option, sk_str_from_c(text), &c->config->arena, &value);
    sk_str name = {0};
    if (!err)
        name = sk_arena_copy(&c->config->arena, value.text); /* with NUL: it is an argument of the client */
    if (!err && !name.data) err = SK_ERR_NO_MEMORY;
    if (err && !c->err) c->err = err;
    if (!err) certificate->names[certificate->name_count++] = name;
}

static bool is_wildcard(sk_str name) { return sk_str_starts_with(name, SK_STR("*")); }

static void check_name(struct compile *c, unsigned i, const struct config_acme_certificate *certificate,
                       uint32_t index) {
    char key[64], at[32];
    sk_str name = certificate->names[index];
    snprintf(at, sizeof(at), "names[%u]", index);
    path_of(i, at, key);
    if (sk_str_eq(name, SK_STR("*")))
        told(c, key, "found *, expected a name: no authority gives a certificate for all of them");
    else if (is_wildcard(name) && certificate->challenge == CONFIG_ACME_HTTP_01)
        told(c, key,
             "found a wildcard with the challenge http-01, expected challenge: dns-01: authorities give "
             "certificates for wildcards only by that (RFC 8555 section 7.1.3)");
    else if (name.data[0] == '-')
        told(c, key, "found a name that begins with -");
    for (uint32_t j = 0; j < index; j++)
        if (sk_str_eq(name, certificate->names[j])) told(c, key, "found the same name twice");
}

/* Files are called after the first name, as the client does it: without the wildcard's label. */
static sk_str base_name(const struct config_acme_certificate *certificate) {
    sk_str name = certificate->names[0];
    return sk_str_starts_with(name, SK_STR("*.")) ? sk_str_slice(name, 2, name.len) : name;
}

static void name_file(struct compile *c, struct config_acme *acme, unsigned i) {
    struct config_acme_certificate *certificate = &acme->certificates[i];
    char key[64];
    sk_str base = base_name(certificate);
    path_of(i, "names", key);
    for (unsigned j = 0; j < i; j++)
        if (acme->certificates[j].name_count && sk_str_eq(base, base_name(&acme->certificates[j])))
            told(c, key,
                 "found the first name of another certificate again, expected another one first: files are "
                 "called after it");
    certificate->file =
        sk_arena_printf(&c->config->arena, "%.*s/%.*s.pem", SK_STR_ARGS(acme->state), SK_STR_ARGS(base));
    if (!certificate->file.data) c->err = SK_ERR_NO_MEMORY;
}

static void compile_certificate(struct compile *c, const struct config_section *section,
                                const struct config_raw_ACME_CERTIFICATE *raw, struct config_acme *acme,
                                unsigned i) {
    struct config_acme_certificate *certificate = &acme->certificates[i];
    char key[64];
    config_compile_fill(c, section, raw, certificate);
    certificate->names = config_compile_allocate(c, raw->names_count, sizeof(*certificate->names));
    if (!certificate->names) return;
    for (unsigned n = 0; n < raw->names_count; n++) add_name(c, certificate, raw->names[n]);
    if (c->err) return;
    path_of(i, "", key);
    if (!certificate->name_count)
        told(c, key, "found no names, expected at least one (example: names: [www.example.com])");
    for (uint32_t n = 0; n < certificate->name_count; n++) check_name(c, i, certificate, n);
    if (certificate->name_count) name_file(c, acme, i);
    if (certificate->challenge == CONFIG_ACME_DNS_01 && !acme->router_count)
        told(c, key,
             "found challenge dns-01 but no routers, expected those that serve the names' zones (example: "
             "routers: [unix:/run/skerry/route.sock])");
}

/* ---- the section ---- */

static void compile_routers(struct compile *c, const struct config_raw_ACME *raw, struct config_acme *acme) {
    acme->routers = config_compile_allocate(c, raw->routers_count, sizeof(*acme->routers));
    for (unsigned i = 0; acme->routers && i < raw->routers_count && !c->err; i++) {
        acme->routers[i] = sk_arena_copy(&c->config->arena, sk_str_from_c(raw->routers[i]));
        if (!acme->routers[i].data) c->err = SK_ERR_NO_MEMORY;
        acme->router_count++;
    }
}

/* What goes into the client's arguments must be what it seems. */
static bool is_plain(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~') return false;
    return text.len && text.data[0] != '-';
}

static void check_texts(struct compile *c, const struct config_acme *acme) {
    if (!sk_str_starts_with(acme->directory, SK_STR("https://")) || !is_plain(acme->directory))
        told(c, "directory", "found no URL that begins with https://");
    if (acme->email.len && (!is_plain(acme->email) || sk_str_find_byte(acme->email, '@') == acme->email.len))
        told(c, "email", "found no address (example: ops@example.com)");
    if (!acme->agreed)
        told(c, "agree_to_terms",
             "found false, expected true: an authority gives certificates only to those who agree to its "
             "terms of service");
}

void config_compile_acme(struct compile *c, const struct config_raw_ACME *raw, struct config_acme *acme) {
    const struct config_section *section = config_compile_section(config_top, "acme");
    config_compile_fill(c, section, raw, acme);
    if (!raw || c->err) return;
    acme->state = config_compile_path(c, acme->state);
    acme->client = config_compile_path(c, acme->client);
    if (acme->router_token_file.len)
        acme->router_token_file = config_compile_path(c, acme->router_token_file);
    acme->directory = sk_arena_copy(&c->config->arena, acme->directory); /* with NUL */
    acme->email = sk_arena_copy(&c->config->arena, acme->email);
    if (!acme->directory.data || !acme->email.data) c->err = SK_ERR_NO_MEMORY;
    compile_routers(c, raw, acme);
    if (c->err) return;
    check_texts(c, acme);
    if (!raw->certificates_count) told(c, "certificates", "found none, expected at least one");
    acme->certificates = config_compile_allocate(c, raw->certificates_count, sizeof(*acme->certificates));
    for (unsigned i = 0; acme->certificates && i < raw->certificates_count && !c->err; i++)
        compile_certificate(c, config_compile_section(section, "certificates"), &raw->certificates[i], acme,
                            i);
    acme->certificate_count = acme->certificates ? raw->certificates_count : 0;
}
