/* Any bytes as control's list for edges: what is taken is within the limits, names can be files', and it is written as it
 * was read. And the same bytes as something sealed. */
#include "fleet/secrets.h"
#include "fleet/vault.h"
#include "fuzz.h"

static void read_list(sk_str text) {
    struct fleet_secrets list;
    struct sk_arena arena;
    struct sk_buf out;
    sk_arena_init(&arena, 1024, 4 << 20);
    sk_buf_init(&out, 0);
    if (fleet_secrets_parse(text, &arena, &list) == SK_OK) {
        MUST(list.ticket_count <= WIRE_TLS_SHARED_KEYS);
        MUST(list.certificate_count <= FLEET_CERTIFICATES_MAX);
        for (uint32_t i = 0; i < list.certificate_count; i++)
            MUST(fleet_word_valid(list.certificates[i].name));
        MUST(fleet_secrets_write(&list, &out) == SK_OK);
        MUST(fleet_secrets_parse(sk_buf_str(&out), &arena, &list) == SK_OK);
    }
    sk_buf_free(&out);
    sk_arena_free(&arena);
}

static void open_sealed(sk_str text) {
    static const struct fleet_vault_keys keys = {.keys = {{{1}}}, .count = 1};
    struct sk_buf out;
    sk_buf_init(&out, 0);
    MUST(fleet_vault_open(&keys, SK_STR("x"), text, &out) != SK_OK);
    MUST(sk_buf_len(&out) == 0);
    sk_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *copy = exact_copy(data, bytes);
    read_list(sk_str_make(copy, bytes));
    open_sealed(sk_str_make(copy, bytes));
    free(copy);
    return 0;
}
