/* What control keeps for the edges alone, as it changes: sealed, put into the store, and told by the mark. */
#include <openssl/crypto.h>

#include "base/random.h"
#include "control/process.h"
#include "control/secrets.h"
#include "fleet/deep.h"

sk_str control_secrets_label(struct sk_arena *arena, const char *kind, sk_str name) {
    return sk_arena_printf(arena, "%s %.*s", kind, SK_STR_ARGS(name));
}

/* --- the vault ------------------------------------------------------------------------------------------------ */

struct vault_work {
    sk_err (*function)(const struct fleet_vault_keys *keys, sk_str label, sk_str in, struct sk_buf *out);
    const struct fleet_vault_keys *keys;
    sk_str label, in;
    struct sk_buf *out;
};
static sk_err work_now(void *arg) {
    const struct vault_work *work = arg;
    return work->function(work->keys, work->label, work->in, work->out);
}
/* fleet_vault_close or fleet_vault_open. */
static sk_err work_deeply(struct vault_work work) {
    return work.label.data ? fleet_deeply(work_now, &work) : SK_ERR_NO_MEMORY;
}

/* --- changing them ------------------------------------------------------------------------------------------- */

sk_err control_secrets_set_mark(struct control_process *process) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    char text[FLEET_HEX_BYTES];
    sk_random_secret(digest, sizeof digest);
    fleet_hex(digest, text);
    return control_put(&process->store, CONTROL_TABLE_STATE, SK_STR(CONTROL_SECRETS_MARK),
                       sk_str_from_c(text));
}

sk_err control_secrets_put_sealed(struct control_process *process, const char *table, const char *kind,
                                  sk_str name, sk_str content, enum control_how how) {
    struct sk_arena arena;
    struct sk_buf sealed;
    sk_arena_init(&arena, 256, 0);
    sk_buf_init(&sealed, 0);
    sk_err err = work_deeply((struct vault_work){
        fleet_vault_close, &process->seal_keys, control_secrets_label(&arena, kind, name), content, &sealed});
    if (!err && how == CONTROL_OVER) err = control_put(&process->store, table, name, sk_buf_str(&sealed));
    if (!err && how == CONTROL_IF_NEW) err = control_add(&process->store, table, name, sk_buf_str(&sealed));
    sk_buf_free(&sealed);
    sk_arena_free(&arena);
    return err;
}

/* As secrets.c reads it. */
static sk_err write_record(const struct control_certificate *certificate, struct sk_buf *out) {
    sk_err err = sk_buf_reserve(out, certificate->pem.len + 1024); /* it must not move */
    if (!err)
        err = sk_buf_printf(out, "%llu\n%.*s\n%.*s\n", (unsigned long long)certificate->changed,
                            SK_STR_ARGS(certificate->site), SK_STR_ARGS(certificate->by));
    return err ? err : sk_buf_append(out, certificate->pem);
}

sk_err control_secrets_put(struct control_process *process, const struct control_certificate *certificate) {
    struct sk_buf record;
    sk_buf_init(&record, 0);
    sk_err err = write_record(certificate, &record);
    if (!err)
        err = control_secrets_put_sealed(process, CONTROL_TABLE_CERTIFICATES, "certificate",
                                         certificate->name, sk_buf_str(&record), CONTROL_OVER);
    if (record.data) OPENSSL_cleanse(record.data, record.capacity);
    sk_buf_free(&record);
    return err ? err : control_secrets_set_mark(process);
}

sk_err control_secrets_remove(struct control_process *process, sk_str name) {
    sk_err err = control_remove(&process->store, CONTROL_TABLE_CERTIFICATES, name);
    return err ? err : control_secrets_set_mark(process);
}

/* --- another root -------------------------------------------------------------------------------------------- */

static sk_err seal_one_again(struct control_process *process, const char *table, const char *kind,
                             const struct fleet_pair *pair, struct sk_arena *arena) {
    struct sk_buf content;
    sk_buf_init(&content, 0);
    sk_err err = work_deeply((struct vault_work){fleet_vault_open, &process->seal_keys,
                                                 control_secrets_label(arena, kind, pair->name), pair->value,
                                                 &content});
    if (!err)
        err =
            control_secrets_put_sealed(process, table, kind, pair->name, sk_buf_str(&content), CONTROL_OVER);
    if (content.data) OPENSSL_cleanse(content.data, content.capacity);
    sk_buf_free(&content);
    return err;
}

static sk_err seal_table_again(struct control_process *process, const char *table, const char *kind) {
    struct sk_arena arena;
    struct fleet_pair *pairs;
    size_t count = 0;
    sk_arena_init(&arena, 4096, 0);
    sk_err err = control_all(&process->store, table, &arena, &pairs, &count);
    for (size_t i = 0; i < count && !err; i++) {
        if (fleet_vault_is_newest(&process->seal_keys, pairs[i].value)) continue;
        err = seal_one_again(process, table, kind, &pairs[i], &arena);
        bool useless = err == SK_ERR_CORRUPT || err == SK_ERR_MALFORMED || err == SK_ERR_DENIED;
        if (useless) err = SK_OK; /* nobody could open it before either */
    }
    sk_arena_free(&arena);
    return err;
}

sk_err control_secrets_seal_again(struct control_process *process) {
    sk_err err = seal_table_again(process, CONTROL_TABLE_CERTIFICATES, "certificate");
    if (!err) err = seal_table_again(process, CONTROL_TABLE_TICKETS, "ticket");
    return err ? err : control_secrets_set_mark(process);
}
