#include "edge/fleet_secrets.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "edge/certificates.h"
#include "fleet/secrets.h"

struct edge_fleet_secrets {
    /* set once at creation */
    struct edge_process *process;
    const char *folder;
    /* the thread's own */
    char digest[FLEET_HEX_BYTES];
    uint64_t generation; /* of the newest key of tickets */
    /* from the thread to the main one, under the lock, which is held for a look into a folder */
    pthread_mutex_t lock;
    struct sk_buf
        names; /* that control has, each with a newline before and behind; empty: it was not asked yet */
    bool posted;
    struct io_task task;
};

sk_str edge_fleet_secrets_digest(const struct edge_fleet_secrets *secrets) {
    return sk_str_from_c(secrets->digest);
}

/* --- in force, on the main thread ---------------------------------------------------------------------------- */

struct keeping {
    const struct config *config;
    sk_str names;
};

static bool is_used(const struct config_certificate *certificates, uint32_t count, sk_str name) {
    for (uint32_t i = 0; i < count; i++)
        if (sk_str_eq(certificates[i].fleet, name)) return true;
    return false;
}

/* What control does not have any more stays as long as the configuration in force wants it: a control that has lost
 * everything must not take it from those who serve. */
static bool is_wanted(void *arg, sk_str name) {
    const struct keeping *keeping = arg;
    const struct config *config = keeping->config;
    char line[FLEET_WORD_BYTES + 2];
    int len = snprintf(line, sizeof line, "\n%.*s\n", SK_STR_ARGS(name));
    if (keeping->names.len && memmem(keeping->names.data, keeping->names.len, line, (size_t)len)) return true;
    if (is_used(config->certificates, config->certificate_count, name)) return true;
    for (uint32_t i = 0; i < config->site_count; i++)
        if (is_used(config->sites[i].certificates, config->sites[i].certificate_count, name)) return true;
    return false;
}

static void put_in_force(struct io_task *task) {
    struct edge_fleet_secrets *secrets = SK_CONTAINER_OF(task, struct edge_fleet_secrets, task);
    pthread_mutex_lock(&secrets->lock);
    struct keeping keeping = {secrets->process->snapshot->config, sk_buf_str(&secrets->names)};
    fleet_certificates_prune(sk_str_from_c(secrets->folder), is_wanted, &keeping);
    secrets->posted = false;
    pthread_mutex_unlock(&secrets->lock);
    edge_certificates_look(secrets->process);
}

void edge_fleet_secrets_settle(struct edge_fleet_secrets *secrets) {
    pthread_mutex_lock(&secrets->lock);
    bool post = !secrets->posted && sk_buf_len(&secrets->names);
    secrets->posted |= post;
    pthread_mutex_unlock(&secrets->lock);
    if (!post) return;
    secrets->task.run = put_in_force;
    io_loop_post(secrets->process->loop, &secrets->task);
}

static sk_err take_names(struct edge_fleet_secrets *secrets, const struct fleet_secrets *list) {
    struct sk_buf names, old;
    sk_buf_init(&names, 0);
    sk_err err = sk_buf_append(&names, SK_STR("\n"));
    for (uint32_t i = 0; i < list->certificate_count && !err; i++)
        err = sk_buf_printf(&names, "%.*s\n", SK_STR_ARGS(list->certificates[i].name));
    if (err) {
        sk_buf_free(&names);
        return err;
    }
    pthread_mutex_lock(&secrets->lock);
    old = secrets->names;
    secrets->names = names;
    pthread_mutex_unlock(&secrets->lock);
    sk_buf_free(&old);
    edge_fleet_secrets_settle(secrets);
    return SK_OK;
}

/* --- taking them --------------------------------------------------------------------------------------------- */

/* Their times are by control's clock and ours, which agree to some seconds or nothing of TLS would work. */
static void use_tickets(struct edge_fleet_secrets *secrets, const struct fleet_secrets *list) {
    struct wire_tls_shared_key keys[WIRE_TLS_SHARED_KEYS] = {0};
    sk_time_ns now = sk_time_now();
    sk_unix_s wall = sk_wall_now_s();
    const int64_t most_s = 30 * INT64_C(86400);
    for (uint32_t i = 0; i < list->ticket_count; i++) {
        const struct fleet_ticket_item *item = &list->tickets[i];
        keys[i] = (struct wire_tls_shared_key){
            .key = item->key,
            .use_until = now + SK_MIN(item->use_until - wall, most_s) * SK_NS_PER_S,
            .accept_until = now + SK_MIN(item->accept_until - wall, most_s) * SK_NS_PER_S,
        };
    }
    wire_tls_tickets_share(secrets->process->tickets, keys, list->ticket_count);
    OPENSSL_cleanse(keys, sizeof keys);
    uint64_t newest = list->ticket_count ? list->tickets[0].generation : 0;
    if (newest != secrets->generation)
        sk_log(SK_LOG_INFO, "fleet", "TLS tickets are made under the fleet's key %llu",
               (unsigned long long)newest);
    secrets->generation = newest;
}

static sk_err take_certificate(const struct edge_fleet_secrets *secrets,
                               const struct fleet_certificate_item *item, edge_fleet_get *get, void *arg) {
    sk_str folder = sk_str_from_c(secrets->folder);
    char target[64 + FLEET_WORD_BYTES];
    struct sk_buf text;
    bool have = false;
    sk_err err = fleet_certificate_look(folder, item, &have);
    if (err || have) return err;
    snprintf(target, sizeof target, "/node/certificate?name=%.*s", SK_STR_ARGS(item->name));
    sk_buf_init(&text, 2 * FLEET_CERTIFICATE_MAX);
    err = get(arg, target, &text);
    if (!err) err = fleet_certificate_keep(folder, item, sk_buf_str(&text));
    if (!err)
        sk_log(SK_LOG_INFO, "fleet", "certificate %.*s has come", SK_STR_ARGS(item->name));
    else
        sk_log(SK_LOG_ERROR, "fleet", "certificate %.*s: %s", SK_STR_ARGS(item->name), sk_err_text(err));
    if (text.data) OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

static sk_err take_list(struct edge_fleet_secrets *secrets, sk_str text, edge_fleet_get *get, void *arg) {
    struct fleet_secrets list;
    struct sk_arena arena;
    uint8_t digest[FLEET_DIGEST_BYTES];
    sk_arena_init(&arena, 4096, 0);
    sk_err err = fleet_secrets_parse(text, &arena, &list);
    if (!err) use_tickets(secrets, &list);
    for (uint32_t i = 0; !err && i < list.certificate_count; i++)
        err = take_certificate(secrets, &list.certificates[i], get, arg);
    if (!err) err = take_names(secrets, &list);
    if (!err) {
        fleet_digest(text, digest);
        fleet_hex(digest, secrets->digest);
    }
    OPENSSL_cleanse(&list, sizeof list);
    sk_arena_free(&arena);
    return err;
}

sk_err edge_fleet_secrets_take(struct edge_fleet_secrets *secrets, sk_str digest, edge_fleet_get *get,
                               void *arg) {
    struct sk_buf text;
    if (!digest.len || sk_str_eq(digest, sk_str_from_c(secrets->digest))) return SK_OK;
    sk_buf_init(&text, 2 * FLEET_SECRETS_MAX);
    sk_err err = get(arg, "/node/secrets", &text);
    if (!err) err = take_list(secrets, sk_buf_str(&text), get, arg);
    if (text.data) OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

sk_err edge_fleet_secrets_create(struct edge_process *process, const char *folder,
                                 struct edge_fleet_secrets **out_secrets) {
    struct edge_fleet_secrets *secrets = calloc(1, sizeof *secrets);
    if (!secrets) return SK_ERR_NO_MEMORY;
    *secrets = (struct edge_fleet_secrets){.process = process, .folder = folder};
    sk_buf_init(&secrets->names, 0);
    pthread_mutex_init(&secrets->lock, NULL);
    *out_secrets = secrets;
    return SK_OK;
}

void edge_fleet_secrets_free(struct edge_fleet_secrets *secrets) {
    if (!secrets) return;
    sk_buf_free(&secrets->names);
    pthread_mutex_destroy(&secrets->lock);
    free(secrets);
}
