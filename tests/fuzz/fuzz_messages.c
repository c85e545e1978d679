/* Any bytes as what nodes and control say to each other: what is taken can be written and read again. */
#include "fleet/messages.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *copy = exact_copy(data, bytes);
    sk_str json = sk_str_make(copy, bytes);
    struct fleet_report report, again;
    struct fleet_orders orders;
    struct fleet_join join;
    struct fleet_joined joined;
    struct sk_arena arena;
    struct sk_buf out;
    sk_arena_init(&arena, 1024, 8 << 20);
    sk_buf_init(&out, 0);
    if (fleet_report_parse(json, &arena, &report) == SK_OK) {
        MUST(report.why.len <= FLEET_WHY_MAX);
        if (fleet_report_write(&report, &out) == SK_OK)
            MUST(fleet_report_parse(sk_buf_str(&out), &arena, &again) == SK_OK &&
                 again.in_force == report.in_force);
    }
    (void)!fleet_orders_parse(json, &arena, &orders);
    (void)!fleet_join_parse(json, &arena, &join);
    (void)!fleet_joined_parse(json, &arena, &joined);
    sk_buf_free(&out);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
