#include "control/certificates.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/load.h"
#include "control/process.h"
#include "fleet/deep.h"
#include "http/date.h"

#define LABEL "the certificate"
/* A clock of ours that is a little behind makes no certificate early. */
#define EARLY_S 300

/* --- reading one --------------------------------------------------------------------------------------------- */

static sk_err open_one(sk_str pem, struct wire_tls_store **out_store, char why[WIRE_TLS_WHY_BYTES]) {
    struct wire_tls_store *store;
    sk_err err = wire_tls_store_create(&store);
    if (err) return err;
    err = wire_tls_store_add_text(store, LABEL, pem, why);
    if (err)
        wire_tls_store_unref(store);
    else
        *out_store = store;
    return err;
}

static sk_str join_names(const struct wire_tls_certificate *seen, struct sk_arena *arena) {
    struct sk_buf text;
    sk_str names = {0};
    sk_err err = SK_OK;
    sk_buf_init(&text, 0);
    for (uint32_t i = 0; i < seen->name_count && !err; i++)
        err = sk_buf_printf(&text, "%s%.*s", i ? ", " : "", SK_STR_ARGS(seen->names[i]));
    if (!err) names = sk_arena_copy(arena, sk_buf_str(&text));
    sk_buf_free(&text);
    return names;
}

sk_err control_certificate_facts(struct control_certificate *certificate, struct sk_arena *arena) {
    char why[WIRE_TLS_WHY_BYTES];
    struct wire_tls_store *store;
    sk_err err = open_one(certificate->pem, &store, why);
    if (err) return err == SK_ERR_INVALID ? SK_ERR_CORRUPT : err;
    const struct wire_tls_certificate *seen = wire_tls_store_at(store, 0);
    certificate->not_before = seen->not_before;
    certificate->not_after = seen->not_after;
    certificate->names = join_names(seen, arena);
    wire_tls_store_unref(store);
    return certificate->names.data ? SK_OK : SK_ERR_NO_MEMORY;
}

/* --- judging one --------------------------------------------------------------------------------------------- */

static sk_err wrong(char why[CONTROL_CERTIFICATE_WHY_BYTES], const char *format, ...) SK_PRINTF(2, 3);
static sk_err wrong(char why[CONTROL_CERTIFICATE_WHY_BYTES], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, CONTROL_CERTIFICATE_WHY_BYTES, format, arguments);
    va_end(arguments);
    return SK_ERR_INVALID;
}

static sk_err judge_time(const struct wire_tls_certificate *seen, sk_unix_s now,
                         char why[CONTROL_CERTIFICATE_WHY_BYTES]) {
    char date[HTTP_DATE_BYTES];
    bool late = seen->not_after <= now, early = seen->not_before > now + EARLY_S;
    if (!late && !early) return SK_OK;
    http_date_format(late ? seen->not_after : seen->not_before, date);
    return wrong(why, LABEL " %s %.*s", late ? "has expired:" : "is not valid before", HTTP_DATE_BYTES, date);
}

static const struct config_site *site_named(const struct config *config, sk_str name) {
    for (uint32_t i = 0; config && i < config->site_count; i++)
        if (sk_str_eq(config->sites[i].name, name)) return &config->sites[i];
    return NULL;
}

/* A wildcard covers hosts of other sites too, unless it is one of the site's own. */
static bool serves(const struct config *config, const struct config_site *site, sk_str name) {
    if (!sk_str_starts_with(name, SK_STR("*."))) return config_site_for(config, name) == site;
    for (uint32_t i = 0; i < site->host_count; i++)
        if (sk_str_eq(site->hosts[i], name)) return true;
    return false;
}

static sk_err judge_scope(const struct control_certificate_question *question,
                          const struct wire_tls_certificate *seen, char why[CONTROL_CERTIFICATE_WHY_BYTES]) {
    const struct config_site *own = site_named(question->config, question->site), *user;
    uint32_t at = 0;
    if (!question->site.len) return SK_OK;
    if (!own)
        return wrong(why, "the token is for the site %.*s, which there is not", SK_STR_ARGS(question->site));
    for (uint32_t i = 0; i < seen->name_count; i++)
        if (!serves(question->config, own, seen->names[i]))
            return wrong(why, LABEL " is for %.*s, which is no host of the token's site %.*s",
                         SK_STR_ARGS(seen->names[i]), SK_STR_ARGS(own->name));
    while ((user = control_certificate_user(question->config, question->name, &at)))
        if (user != own)
            return wrong(why, "%.*s is used by the site %.*s, which is not the token's",
                         SK_STR_ARGS(question->name), SK_STR_ARGS(user->name));
    return SK_OK;
}

static bool covers(const struct wire_tls_store *store, sk_str host) {
    return store && (wire_tls_store_find(store, host, WIRE_TLS_ECDSA) ||
                     wire_tls_store_find(store, host, WIRE_TLS_RSA));
}

/* A site may have several certificates, so this one must have one of its hosts, and those that the old one had. */
static sk_err judge_user(const struct config_site *site, const struct wire_tls_store *store,
                         const struct wire_tls_store *old, char why[CONTROL_CERTIFICATE_WHY_BYTES]) {
    uint32_t covered = 0, any = 0;
    for (uint32_t i = 0; i < site->host_count; i++) {
        sk_str host = site->hosts[i];
        bool has = covers(store, host);
        covered += has;
        any += sk_str_eq(host, SK_STR("*"));
        if (!has && covers(old, host))
            return wrong(why, LABEL " does not cover %.*s of the site %.*s, as the present one does",
                         SK_STR_ARGS(host), SK_STR_ARGS(site->name));
    }
    if (covered || any) return SK_OK;
    return wrong(why, LABEL " covers no host of the site %.*s, which uses it (%.*s)", SK_STR_ARGS(site->name),
                 SK_STR_ARGS(site->hosts[0]));
}

static sk_err judge_users(const struct control_certificate_question *question,
                          const struct wire_tls_store *store, char why[CONTROL_CERTIFICATE_WHY_BYTES]) {
    char ignored[WIRE_TLS_WHY_BYTES];
    struct wire_tls_store *old = NULL;
    const struct config_site *site;
    uint32_t at = 0;
    sk_err err = question->old_pem.len ? open_one(question->old_pem, &old, ignored) : SK_OK;
    if (err == SK_ERR_INVALID) err = SK_OK;
    while (!err && (site = control_certificate_user(question->config, question->name, &at)))
        err = judge_user(site, store, old, why);
    wire_tls_store_unref(old);
    return err;
}

sk_err control_certificate_judge(const struct control_certificate_question *question,
                                 char why[CONTROL_CERTIFICATE_WHY_BYTES]) {
    struct wire_tls_store *store;
    sk_err err = open_one(question->pem, &store, why);
    if (err) return err;
    const struct wire_tls_certificate *seen = wire_tls_store_at(store, 0);
    if (!seen->name_count) err = wrong(why, LABEL " is for no host: it has no subjectAltName");
    if (!err) err = judge_time(seen, question->now, why);
    if (!err) err = judge_scope(question, seen, why);
    if (!err) err = judge_users(question, store, why);
    wire_tls_store_unref(store);
    return err;
}

/* --- what configurations want -------------------------------------------------------------------------------- */

static bool uses(const struct config_site *site, sk_str name) {
    for (uint32_t i = 0; i < site->certificate_count; i++)
        if (sk_str_eq(site->certificates[i].fleet, name)) return true;
    return false;
}

const struct config_site *control_certificate_user(const struct config *config, sk_str name,
                                                   uint32_t *index) {
    while (config && *index < config->site_count) {
        const struct config_site *site = &config->sites[(*index)++];
        if (uses(site, name)) return site;
    }
    return NULL;
}

struct compiling {
    sk_str body;
    struct config *config;
};
static sk_err compile_now(void *arg) {
    struct compiling *compiling = arg;
    struct config_problems problems;
    config_problems_init(&problems);
    sk_err err = config_parse_shared(compiling->body, "configuration", &compiling->config, &problems);
    config_problems_free(&problems);
    return err;
}

sk_err control_configuration_of(struct control_process *process, uint64_t number,
                                struct config **out_config) {
    struct sk_arena arena;
    struct compiling compiling = {0};
    struct fleet_snapshot snapshot;
    sk_str bytes;
    sk_arena_init(&arena, 4096, 0);
    sk_err err = number ? control_snapshot(process, number, &arena, &bytes) : SK_ERR_NOT_FOUND;
    if (!err) err = fleet_snapshot_parse(bytes, &snapshot);
    if (!err) {
        compiling.body = snapshot.body;
        err = fleet_deeply(compile_now, &compiling);
    }
    if (!err) *out_config = compiling.config;
    sk_arena_free(&arena);
    return err;
}

static sk_err check_known(const struct control_secrets *secrets, const struct config *config,
                          struct sk_buf *out_problem) {
    for (uint32_t i = 0; i < config->site_count; i++)
        for (uint32_t j = 0; j < config->sites[i].certificate_count; j++) {
            sk_str name = config->sites[i].certificates[j].fleet;
            if (!name.len || control_secrets_find(secrets, name)) continue;
            sk_err err = sk_buf_printf(out_problem,
                                       "sites[%u].certificates[%u].fleet: found %.*s, which there is not "
                                       "(skerry cert put %.*s --cert FILE --key FILE)\n",
                                       i, j, SK_STR_ARGS(name), SK_STR_ARGS(name));
            return err ? err : SK_ERR_INVALID;
        }
    return SK_OK;
}

sk_err control_certificates_known(struct control_process *process, sk_str body, struct sk_buf *out_problem) {
    struct compiling compiling = {.body = body};
    bool changed = false;
    sk_err err = control_secrets_refresh(process, &changed); /* another control may have been given it */
    if (!err) err = fleet_deeply(compile_now, &compiling);
    if (err) return err == SK_ERR_INVALID ? SK_OK : err; /* what is wrong with it is others' to say */
    err = check_known(process->secrets, compiling.config, out_problem);
    config_unref(compiling.config);
    return err;
}
