/* Keys of TLS tickets that a fleet's edges have in common: made here, changed every ticket_life. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/random.h"
#include "control/process.h"
#include "control/secrets.h"

enum { RENEW_TRIES = 8 };

static sk_err add_ticket(struct control_process *process, uint64_t generation) {
    struct wire_tls_ticket_key key;
    char hex[FLEET_TICKET_HEX_BYTES], text[FLEET_TICKET_HEX_BYTES + 24], name[20];
    sk_random_secret(&key, sizeof key);
    fleet_ticket_format(&key, hex);
    int len = snprintf(text, sizeof text, "%lld %s", (long long)sk_wall_now_s(), hex);
    sk_err err = control_secrets_put_sealed(process, CONTROL_TABLE_TICKETS, "ticket",
                                            sk_str_make(name, sk_u64_to_text(generation, name)),
                                            sk_str_make(text, (size_t)len), CONTROL_IF_NEW);
    OPENSSL_cleanse(&key, sizeof key);
    OPENSSL_cleanse(hex, sizeof hex);
    OPENSSL_cleanse(text, sizeof text);
    return err;
}

/* Those before FIRST. */
static sk_err drop_tickets(struct control_process *process, uint64_t first) {
    struct sk_arena arena;
    struct fleet_pair *pairs;
    size_t count = 0;
    sk_arena_init(&arena, 1024, 0);
    sk_err err = control_all(&process->store, CONTROL_TABLE_TICKETS, &arena, &pairs, &count);
    for (size_t i = 0; i < count && !err; i++) {
        uint64_t generation;
        if (sk_str_to_u64(pairs[i].name, &generation) == SK_OK && generation >= first) continue;
        err = control_remove(&process->store, CONTROL_TABLE_TICKETS, pairs[i].name);
        if (err == SK_ERR_NOT_FOUND) err = SK_OK;
    }
    sk_arena_free(&arena);
    return err;
}

static uint64_t next_generation(const struct control_process *process) {
    return (process->secrets ? process->secrets->highest_ticket : 0) + 1;
}

/* Of several controls that find it due, one adds the generation. */
sk_err control_tickets_step(struct control_process *process) {
    const struct control_secrets *secrets = process->secrets;
    int64_t life = SK_MAX(process->config->ticket_life_ms / 1000, 1);
    sk_unix_s now = sk_wall_now_s();
    if (!secrets) return SK_OK;
    bool young =
        secrets->ticket_count && now < secrets->ticket_made + life &&
        secrets->ticket_made < now + life; /* a clock that went back is no reason to keep one for ever */
    if (young) return SK_OK;
    uint64_t generation = next_generation(process);
    sk_err err = add_ticket(process, generation);
    if (err) return err == SK_ERR_EXISTS ? SK_OK : err;
    if (generation > WIRE_TLS_SHARED_KEYS)
        err = drop_tickets(process, generation - (WIRE_TLS_SHARED_KEYS - 1));
    return err ? err : control_secrets_set_mark(process);
}

/* A generation that another control has made meanwhile may be known already. */
sk_err control_tickets_renew(struct control_process *process) {
    uint64_t generation = next_generation(process);
    sk_err err = SK_ERR_EXISTS;
    for (int i = 0; i < RENEW_TRIES && err == SK_ERR_EXISTS; i++) err = add_ticket(process, generation++);
    if (!err) err = drop_tickets(process, generation - 1);
    return err ? err : control_secrets_set_mark(process);
}
