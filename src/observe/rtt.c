#include "observe/rtt.h"

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

enum {
    BUCKETS = 64,
    SLOTS = 2 * OBSERVE_RTT_ENTRIES, /* at most half full */
    LEVELS = 3,
    COUNT_MAX = UINT16_MAX
};
#define HALF_LIFE_NS (600 * SK_NS_PER_S)
/* Bucket i ends at 0.5 ms * 1.15^(i+1); the last takes all above 3.3 s. */
#define FIRST_MS 0.5
#define FACTOR 1.15

struct entry {
    uint8_t ip[16];
    uint8_t bits;      /* 0: a free slot */
    uint32_t halvings; /* of time, up to which the counts are right */
    uint16_t counts[BUCKETS];
};

struct observe_rtt {
    pthread_mutex_t lock; /* protects all below; held for one sample, or for one reading of this table */
    uint32_t used;
    struct entry slots[SLOTS];
    struct observe_rtt *next; /* set once, before others see the table */
};

/* Protects the list; held while a thread joins and while somebody reads. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct observe_rtt *tables;

/* --- networks --------------------------------------------------------------------------------------- */

static bool is_v4(const uint8_t ip[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

/* From the narrowest on: /24, /16, /8 of IPv4; /48, /40, /32 of IPv6. In the 128-bit space. */
static uint8_t level_bits(const uint8_t ip[16], unsigned level) {
    return (uint8_t)((is_v4(ip) ? 96 + 24 : 48) - 8 * level);
}

static void mask(const uint8_t ip[16], uint8_t bits, uint8_t out[16]) {
    memset(out, 0, 16);
    memcpy(out, ip, bits / 8); /* whole bytes at every level */
}

static struct entry *find(struct observe_rtt *table, const uint8_t ip[16], uint8_t bits) {
    size_t at = (sk_hash64(ip, 16) + bits) % SLOTS;
    while (table->slots[at].bits &&
           (table->slots[at].bits != bits || memcmp(table->slots[at].ip, ip, 16) != 0))
        at = (at + 1) % SLOTS;
    return &table->slots[at];
}

/* --- counts ----------------------------------------------------------------------------------------- */

static uint32_t total_of(const struct entry *entry) {
    uint32_t total = 0;
    for (int i = 0; i < BUCKETS; i++) total += entry->counts[i];
    return total;
}

static void halve(struct entry *entry, uint32_t times) {
    for (int i = 0; i < BUCKETS; i++) entry->counts[i] = times < 16 ? entry->counts[i] >> times : 0;
}

static void age(struct entry *entry, sk_time_ns now) {
    uint32_t halvings = (uint32_t)(now / HALF_LIFE_NS);
    if (halvings > entry->halvings) halve(entry, halvings - entry->halvings);
    entry->halvings = halvings;
}

static int bucket_of(uint32_t rtt_us) {
    double ratio = rtt_us / 1000.0 / FIRST_MS;
    int bucket = ratio <= 1 ? 0 : (int)(log(ratio) / log(FACTOR));
    return SK_MIN(bucket, BUCKETS - 1);
}

static void add_counts(struct entry *to, const struct entry *from) {
    for (int i = 0; i < BUCKETS; i++)
        to->counts[i] = (uint16_t)SK_MIN(to->counts[i] + from->counts[i], COUNT_MAX);
}

/* Between the bounds of a bucket as if its samples lay evenly there. */
static double quantile(const struct entry *entry, uint32_t total, double q) {
    double rank = q * total, seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        double count = entry->counts[i], low = i ? FIRST_MS * pow(FACTOR, i) : 0;
        if (count > 0 && seen + count >= rank)
            return low + (FIRST_MS * pow(FACTOR, i + 1) - low) * (rank - seen) / count;
        seen += count;
    }
    return 0;
}

/* --- merging ---------------------------------------------------------------------------------------- */

/* Puts ENTRY in, at LEVEL or wider: joined with what is there already. */
static void put(struct observe_rtt *table, const struct entry *entry, uint8_t bits) {
    uint8_t ip[16];
    mask(entry->ip, bits, ip);
    struct entry *place = find(table, ip, bits);
    if (place->bits) {
        add_counts(place, entry);
        return;
    }
    *place = *entry;
    memcpy(place->ip, ip, 16);
    place->bits = bits;
    table->used++;
}

static int compare_totals(const void *a, const void *b) {
    uint32_t x = total_of(a), y = total_of(b);
    return (x > y) - (x < y);
}

/* The next wider level; 0 at the widest: forgotten. */
static uint8_t wider(const struct entry *entry) {
    return entry->bits > level_bits(entry->ip, LEVELS - 1) ? (uint8_t)(entry->bits - 8) : 0;
}

/* The quieter half of the networks becomes part of wider ones, those without any sample go. On failure nothing
 * changes, and new networks are not taken until there is memory. */
static void make_room(struct observe_rtt *table, sk_time_ns now) {
    struct entry *all = malloc(OBSERVE_RTT_ENTRIES * sizeof *all);
    size_t count = 0;
    if (!all) return;
    for (size_t i = 0; i < SLOTS; i++)
        if (table->slots[i].bits) all[count++] = table->slots[i];
    for (size_t i = 0; i < count; i++) age(&all[i], now);
    qsort(all, count, sizeof *all, compare_totals);
    memset(table->slots, 0, sizeof table->slots);
    table->used = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bits = i < count / 2 ? wider(&all[i]) : all[i].bits;
        if (bits && total_of(&all[i])) put(table, &all[i], bits);
    }
    free(all);
}

/* --- from the outside ------------------------------------------------------------------------------- */

sk_err observe_rtt_join(struct observe_rtt **out_table) {
    struct observe_rtt *table = calloc(1, sizeof *table);
    if (!table) return SK_ERR_NO_MEMORY;
    pthread_mutex_init(&table->lock, NULL);
    pthread_mutex_lock(&list_lock);
    table->next = tables;
    tables = table;
    pthread_mutex_unlock(&list_lock);
    *out_table = table;
    return SK_OK;
}

/* The entry that counts for IP: the narrowest that there is, or a new one of the narrowest level. */
static struct entry *entry_for(struct observe_rtt *table, const uint8_t ip[16], sk_time_ns now) {
    uint8_t masked[16];
    for (unsigned level = 0; level < LEVELS; level++) {
        mask(ip, level_bits(ip, level), masked);
        struct entry *entry = find(table, masked, level_bits(ip, level));
        if (entry->bits) return entry;
    }
    if (table->used >= OBSERVE_RTT_ENTRIES) make_room(table, now);
    if (table->used >= OBSERVE_RTT_ENTRIES) return NULL;
    mask(ip, level_bits(ip, 0), masked);
    struct entry *entry = find(table, masked, level_bits(ip, 0));
    *entry = (struct entry){.bits = level_bits(ip, 0), .halvings = (uint32_t)(now / HALF_LIFE_NS)};
    memcpy(entry->ip, masked, 16);
    table->used++;
    return entry;
}

void observe_rtt_add(struct observe_rtt *table, const uint8_t ip[16], uint32_t rtt_us, sk_time_ns now) {
    pthread_mutex_lock(&table->lock);
    struct entry *entry = entry_for(table, ip, now);
    if (entry) {
        age(entry, now);
        uint16_t *count = &entry->counts[bucket_of(rtt_us)];
        if (*count == COUNT_MAX) halve(entry, 1);
        ++*count;
    }
    pthread_mutex_unlock(&table->lock);
}

uint32_t observe_rtt_count(struct observe_rtt *table) {
    pthread_mutex_lock(&table->lock);
    uint32_t used = table->used;
    pthread_mutex_unlock(&table->lock);
    return used;
}

static sk_err write_entry(const struct entry *entry, struct sk_buf *out) {
    char text[INET6_ADDRSTRLEN];
    bool v4 = is_v4(entry->ip);
    uint32_t total = total_of(entry);
    if (!total) return SK_OK;
    inet_ntop(v4 ? AF_INET : AF_INET6, entry->ip + (v4 ? 12 : 0), text, sizeof text);
    return sk_buf_printf(out, "%s/%u %u %.2f %.2f\n", text, entry->bits - (v4 ? 96u : 0u), total,
                         quantile(entry, total, 0.5), quantile(entry, total, 0.9));
}

static int compare_networks(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    int order = memcmp(x->ip, y->ip, 16);
    return order ? order : x->bits - y->bits;
}

/* All entries of all tables, aged; the same network of several threads comes several times. */
static sk_err collect(sk_time_ns now, struct entry **out_all, size_t *out_count) {
    size_t room = 0, count = 0;
    for (struct observe_rtt *table = tables; table; table = table->next) room += OBSERVE_RTT_ENTRIES;
    struct entry *all = malloc(SK_MAX(room, 1) * sizeof *all);
    if (!all) return SK_ERR_NO_MEMORY;
    for (struct observe_rtt *table = tables; table; table = table->next) {
        pthread_mutex_lock(&table->lock);
        for (size_t i = 0; i < SLOTS; i++)
            if (table->slots[i].bits) all[count++] = table->slots[i];
        pthread_mutex_unlock(&table->lock);
    }
    for (size_t i = 0; i < count; i++) age(&all[i], now);
    *out_all = all;
    *out_count = count;
    return SK_OK;
}

sk_err observe_rtt_write(sk_time_ns now, struct sk_buf *out) {
    struct entry *all;
    size_t count;
    pthread_mutex_lock(&list_lock);
    sk_err err = collect(now, &all, &count);
    pthread_mutex_unlock(&list_lock);
    if (err) return err;
    qsort(all, count, sizeof *all, compare_networks);
    for (size_t i = 0; i < count && !err; i++) {
        struct entry sum = all[i];
        while (i + 1 < count && compare_networks(&sum, &all[i + 1]) == 0) add_counts(&sum, &all[++i]);
        err = write_entry(&sum, out);
    }
    free(all);
    return err;
}
