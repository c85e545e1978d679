#include "control/secrets.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/certificates.h"
#include "control/process.h"
#include "fleet/deep.h"

/* --- one record ------------------------------------------------------------------------------------------------- */

/* "CHANGED", "SITE", "BY", a line each, and then the text. */
static sk_err read_record(sk_str text, struct control_certificate *out) {
    sk_str changed;
    if (!sk_str_cut(&text, '\n', &changed) || !sk_str_cut(&text, '\n', &out->site) ||
        !sk_str_cut(&text, '\n', &out->by) || !text.len)
        return SK_ERR_CORRUPT;
    out->pem = text;
    return sk_str_to_u64(changed, &out->changed) ? SK_ERR_CORRUPT : SK_OK;
}

/* --- reading all of it --------------------------------------------------------------------------------------- */

struct reading {
    const struct control_process *process;
    struct fleet_pair *certificates, *tickets;
    size_t certificate_count, ticket_count;
    struct control_secrets *secrets;
};

/* The sealed text, opened, in the arena. */
static sk_err open_text(const struct reading *reading, const char *kind, const struct fleet_pair *pair,
                        sk_str *out_text) {
    struct sk_arena *arena = &reading->secrets->arena;
    struct sk_buf text;
    sk_str label = control_secrets_label(arena, kind, pair->name);
    if (!label.data) return SK_ERR_NO_MEMORY;
    sk_buf_init(&text, 0);
    sk_err err = fleet_vault_open(&reading->process->seal_keys, label, pair->value, &text);
    if (!err) {
        *out_text = sk_arena_copy(arena, sk_buf_str(&text));
        if (!out_text->data) err = SK_ERR_NO_MEMORY;
    }
    if (text.data) OPENSSL_cleanse(text.data, text.capacity);
    sk_buf_free(&text);
    return err;
}

static sk_err read_certificate(const struct reading *reading, const struct fleet_pair *pair,
                               struct control_certificate *out) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    sk_str text;
    sk_err err = fleet_word_valid(pair->name) ? SK_OK : SK_ERR_CORRUPT;
    if (!err) err = open_text(reading, "certificate", pair, &text);
    if (err) return err;
    out->name = sk_arena_copy(&reading->secrets->arena, pair->name);
    err = read_record(text, out);
    if (!err) err = control_certificate_facts(out, &reading->secrets->arena);
    if (err) OPENSSL_cleanse((char *)(uintptr_t)text.data, text.len);
    fleet_digest(out->pem, digest);
    fleet_hex(digest, out->digest);
    return err;
}

static int by_name(const void *a, const void *b) {
    return sk_str_compare(((const struct fleet_pair *)a)->name, ((const struct fleet_pair *)b)->name);
}

static sk_err read_certificates(struct reading *reading) {
    struct control_secrets *secrets = reading->secrets;
    size_t count = SK_MIN(reading->certificate_count, FLEET_CERTIFICATES_MAX);
    secrets->certificates =
        sk_arena_zalloc(&secrets->arena, SK_MAX(count, 1) * sizeof *secrets->certificates);
    if (!secrets->certificates) return SK_ERR_NO_MEMORY;
    if (count) qsort(reading->certificates, reading->certificate_count, sizeof(struct fleet_pair), by_name);
    for (size_t i = 0; i < count; i++) {
        const struct fleet_pair *pair = &reading->certificates[i];
        sk_err err = read_certificate(reading, pair, &secrets->certificates[secrets->certificate_count]);
        if (err == SK_ERR_NO_MEMORY) return err;
        secrets->certificate_bytes += pair->value.len;
        if (!err)
            secrets->certificate_count++;
        else
            SK_LOG_LIMITED(SK_LOG_ERROR, "control", "the store's certificate %.*s cannot be used: %s",
                           SK_STR_ARGS(pair->name), sk_err_text(err));
    }
    return SK_OK;
}

/* "MADE HEX". */
static sk_err read_ticket(const struct reading *reading, const struct fleet_pair *pair,
                          struct fleet_ticket_item *out, sk_unix_s *out_made) {
    sk_str text, word;
    uint64_t made;
    int64_t life = reading->process->config->ticket_life_ms / 1000;
    sk_err err = sk_str_to_u64(pair->name, &out->generation) ? SK_ERR_CORRUPT : SK_OK;
    if (!err) err = open_text(reading, "ticket", pair, &text);
    if (err) return err;
    sk_str whole = text;
    if (!sk_str_cut(&text, ' ', &word) || sk_str_to_u64(word, &made) || made > INT64_MAX / 8 ||
        fleet_ticket_parse(text, &out->key))
        err = SK_ERR_CORRUPT;
    OPENSSL_cleanse((char *)(uintptr_t)whole.data, whole.len);
    if (err) return err;
    *out_made = (sk_unix_s)made;
    out->use_until = (sk_unix_s)made + 2 * life;
    out->accept_until = (sk_unix_s)made + WIRE_TLS_SHARED_KEYS * life;
    return SK_OK;
}

/* Into the newest first, as many as there is room for. */
static void insert_ticket(struct control_secrets *secrets, const struct fleet_ticket_item *ticket,
                          sk_unix_s made) {
    uint32_t at = 0;
    while (at < secrets->ticket_count && secrets->tickets[at].generation > ticket->generation) at++;
    if (at == WIRE_TLS_SHARED_KEYS) return;
    uint32_t count = SK_MIN(secrets->ticket_count + 1, WIRE_TLS_SHARED_KEYS);
    memmove(&secrets->tickets[at + 1], &secrets->tickets[at], (count - at - 1) * sizeof *ticket);
    secrets->tickets[at] = *ticket;
    secrets->ticket_count = count;
    if (!at) secrets->ticket_made = made;
}

static void read_tickets(struct reading *reading) {
    for (size_t i = 0; i < reading->ticket_count; i++) {
        struct fleet_ticket_item ticket;
        sk_unix_s made = 0;
        uint64_t generation;
        if (sk_str_to_u64(reading->tickets[i].name, &generation) == SK_OK)
            reading->secrets->highest_ticket = SK_MAX(reading->secrets->highest_ticket, generation);
        sk_err err = read_ticket(reading, &reading->tickets[i], &ticket, &made);
        if (!err)
            insert_ticket(reading->secrets, &ticket, made);
        else
            SK_LOG_LIMITED(SK_LOG_ERROR, "control", "a key of tickets in the store cannot be used: %s",
                           sk_err_text(err));
    }
}

static sk_err write_list(struct control_secrets *secrets) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    struct fleet_secrets list = {.ticket_count = secrets->ticket_count};
    list.certificates =
        sk_arena_zalloc(&secrets->arena, SK_MAX(secrets->certificate_count, 1) * sizeof *list.certificates);
    if (!list.certificates) return SK_ERR_NO_MEMORY;
    memcpy(list.tickets, secrets->tickets, sizeof list.tickets);
    for (size_t i = 0; i < secrets->certificate_count; i++) {
        const struct control_certificate *certificate = &secrets->certificates[i];
        struct fleet_certificate_item *item = &list.certificates[list.certificate_count++];
        *item = (struct fleet_certificate_item){.name = certificate->name, .changed = certificate->changed};
        memcpy(item->digest, certificate->digest, sizeof item->digest);
    }
    sk_err err = fleet_secrets_write(&list, &secrets->list);
    fleet_digest(sk_buf_str(&secrets->list), digest);
    fleet_hex(digest, secrets->digest);
    OPENSSL_cleanse(&list, sizeof list);
    return err;
}

static sk_err read_now(void *arg) {
    struct reading *reading = arg;
    sk_err err = read_certificates(reading);
    read_tickets(reading);
    return err ? err : write_list(reading->secrets);
}

static struct control_secrets *create(sk_str mark) {
    struct control_secrets *secrets = calloc(1, sizeof *secrets);
    if (!secrets) return NULL;
    sk_arena_init(&secrets->arena, 16 * 1024, 0);
    sk_buf_init(&secrets->list, FLEET_SECRETS_MAX);
    secrets->mark = sk_arena_copy(&secrets->arena, mark);
    return secrets;
}

void control_secrets_free(struct control_secrets *secrets) {
    if (!secrets) return;
    for (size_t i = 0; i < secrets->certificate_count; i++) {
        sk_str pem = secrets->certificates[i].pem;
        OPENSSL_cleanse((char *)(uintptr_t)pem.data, pem.len);
    }
    if (secrets->list.data) OPENSSL_cleanse(secrets->list.data, secrets->list.capacity);
    OPENSSL_cleanse(secrets->tickets, sizeof secrets->tickets);
    sk_buf_free(&secrets->list);
    sk_arena_free(&secrets->arena);
    free(secrets);
}

static sk_err read_all(struct control_process *process, struct sk_arena *arena, sk_str mark) {
    struct reading reading = {.process = process, .secrets = create(mark)};
    if (!reading.secrets) return SK_ERR_NO_MEMORY;
    sk_err err = control_all(&process->store, CONTROL_TABLE_CERTIFICATES, arena, &reading.certificates,
                             &reading.certificate_count);
    if (!err)
        err = control_all(&process->store, CONTROL_TABLE_TICKETS, arena, &reading.tickets,
                          &reading.ticket_count);
    if (!err) err = fleet_deeply(read_now, &reading);
    if (err) {
        control_secrets_free(reading.secrets);
        return err;
    }
    control_secrets_free(process->secrets);
    process->secrets = reading.secrets;
    return SK_OK;
}

sk_err control_secrets_refresh(struct control_process *process, bool *out_changed) {
    struct sk_arena arena;
    sk_str mark = {0};
    sk_arena_init(&arena, 4096, 0);
    sk_err err =
        control_get(&process->store, CONTROL_TABLE_STATE, SK_STR(CONTROL_SECRETS_MARK), &arena, &mark);
    if (err == SK_ERR_NOT_FOUND) err = SK_OK;
    bool known = process->secrets && sk_str_eq(process->secrets->mark, mark);
    if (!err && !known) {
        err = read_all(process, &arena, mark);
        if (!err) *out_changed = true;
    }
    sk_arena_free(&arena);
    return err;
}

const struct control_certificate *control_secrets_find(const struct control_secrets *secrets, sk_str name) {
    for (size_t i = 0; secrets && i < secrets->certificate_count; i++)
        if (sk_str_eq(secrets->certificates[i].name, name)) return &secrets->certificates[i];
    return NULL;
}
