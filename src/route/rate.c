#include "route/rate.h"

#include <stdlib.h>

#include "base/hash.h"

enum { WAYS = 4 };

struct bucket {
    uint32_t tag;       /* 0: free */
    uint32_t at_ms;     /* of the last charge */
    uint32_t tokens;    /* in thousandths of an answer */
    uint32_t held_back; /* answers over the limit in a row, for slipping */
};

struct rate_table {
    size_t mask; /* over groups of WAYS buckets: one cache line each */
    struct bucket *buckets;
};

void rate_options_default(struct rate_options *out_options) {
    *out_options = (struct rate_options){.per_second = {200, 200, 100, 200, 50, 2000}, .slip = 2};
}

sk_err rate_table_create(size_t buckets, struct rate_table **out_table) {
    size_t groups = 1;
    while (groups * WAYS < buckets) groups *= 2;
    struct rate_table *table = calloc(1, sizeof *table);
    if (!table) return SK_ERR_NO_MEMORY;
    table->mask = groups - 1;
    size_t bytes = groups * WAYS * sizeof(struct bucket);
    table->buckets = aligned_alloc(64, bytes);
    if (!table->buckets) {
        free(table);
        return SK_ERR_NO_MEMORY;
    }
    memset(table->buckets, 0, bytes);
    *out_table = table;
    return SK_OK;
}

void rate_table_free(struct rate_table *table) {
    if (!table) return;
    free(table->buckets);
    free(table);
}

/* The client's network, the kind and the subject as one number. */
static uint64_t key_of(const struct io_addr *client, enum rate_kind kind, uint64_t subject) {
    struct {
        uint8_t ip[16];
        uint64_t subject, kind;
    } key = {.subject = subject, .kind = kind};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (!io_addr_ip16(client, key.ip)) return 0;
    if (memcmp(key.ip, mapped, sizeof mapped) == 0)
        key.ip[15] = 0;
    else
        memset(key.ip + 7, 0, 9);
    return sk_hash64(&key, sizeof key);
}

static struct bucket *bucket_for(struct rate_table *table, uint64_t key, uint32_t now_ms, uint32_t full) {
    struct bucket *group = table->buckets + (key & table->mask) * WAYS, *oldest = group;
    uint32_t tag = (uint32_t)(key >> 32) | 1;
    for (int i = 0; i < WAYS; i++) {
        if (group[i].tag == tag) return &group[i];
        if (group[i].tag == 0 || now_ms - group[i].at_ms > now_ms - oldest->at_ms) oldest = &group[i];
        if (oldest->tag == 0) break;
    }
    *oldest = (struct bucket){.tag = tag, .at_ms = now_ms, .tokens = full};
    return oldest;
}

enum rate_verdict rate_charge(struct rate_table *table, const struct rate_options *options,
                              const struct io_addr *client, enum rate_kind kind, uint64_t subject,
                              sk_time_ns now) {
    uint32_t rate = options->per_second[kind], now_ms = (uint32_t)(now / SK_NS_PER_MS);
    if (rate == 0) return RATE_SEND;
    uint32_t full = SK_MIN(rate, UINT32_MAX / 1000) * 1000; /* one second's worth */
    struct bucket *bucket = bucket_for(table, key_of(client, kind, subject), now_ms, full);
    /* Thousandths: RATE of them come back every millisecond. */
    uint64_t tokens = bucket->tokens + (uint64_t)(now_ms - bucket->at_ms) * rate;
    bucket->at_ms = now_ms;
    bucket->tokens = (uint32_t)SK_MIN(tokens, full);
    if (bucket->tokens >= 1000) {
        bucket->tokens -= 1000;
        bucket->held_back = 0;
        return RATE_SEND;
    }
    if (options->slip && ++bucket->held_back % options->slip == 0) return RATE_SLIP;
    return RATE_DROP;
}
