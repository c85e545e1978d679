/* What a device and a log say: records and their fields, purges. The first byte chooses, the rest is the text. What is
 * read and written again reads the same. */
#include "cache/tier_log.h"
#include "cache/tier_record.h"
#include "fuzz.h"

static void read_record(sk_str data, struct sk_arena *arena) {
    struct tier_record record, again;
    struct http_fields fields;
    struct sk_buf out;
    if (tier_record_decode(data, arena, &record)) return;
    sk_buf_init(&out, 0);
    MUST(tier_record_encode(&record, &out) == SK_OK);
    MUST(tier_record_decode(sk_buf_str(&out), arena, &again) == SK_OK);
    MUST(again.born == record.born && again.length == record.length && again.status == record.status);
    MUST(again.list == record.list && sk_str_eq(again.fields, record.fields) &&
         sk_str_eq(again.names, record.names));
    sk_buf_free(&out);
    if (tier_record_fields(&record, arena, &fields)) return;
    for (uint32_t i = 0; i < fields.count; i++)
        MUST(http_token_valid(fields.items[i].name) && http_field_value_valid(fields.items[i].value));
}

static void read_log(sk_str data) {
    struct tier_log_reading reading;
    struct cache_purge purge;
    uint64_t tick;
    size_t at = TIER_LOG_HEADER_BYTES, texts = 0;
    if (tier_log_read(data, &reading)) return;
    MUST(reading.good_bytes <= data.len && reading.purge_bytes <= reading.good_bytes);
    while (tier_log_next(&reading, data, &at, &purge, &tick)) {
        texts += purge.site.len + purge.host.len + purge.text.len;
        MUST(purge.kind < CACHE_PURGE_COUNT_ && tick <= reading.last_tick && texts <= data.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) return 0;
    char *copy = exact_copy(data + 1, bytes - 1);
    struct sk_arena arena;
    sk_arena_init(&arena, 256, 0);
    if (data[0] & 1)
        read_record(sk_str_make(copy, bytes - 1), &arena);
    else
        read_log(sk_str_make(copy, bytes - 1));
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
