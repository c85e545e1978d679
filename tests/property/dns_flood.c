/* A million queries to the router's answerer, as a hostile world sends them: whole ones of every kind, damaged ones and
 * noise. Whatever comes, the answer is a response to the query that a reader can step over to its end, is no longer than
 * the client takes, and comes at once; and who forges a victim's address sends it little more than he spends.
 *
 *   dns_flood [--count N] [--seed S]
 */
#include <getopt.h>
#include <unistd.h>

#include "dns_world.h"

#ifndef COUNT_DEFAULT
#define COUNT_DEFAULT 1000000
#endif

enum { QUERY_MAX = 1500, WATCH_EVERY = 1000, WATCH_S = 20, WALL_S = 1700000000 };

struct flood {
    uint64_t random;
    struct answerer *answerer;
    struct answer_snapshot *snapshot;
    struct io_addr client;
    sk_time_ns now;
    uint64_t sent, answered, large, bytes_in, bytes_out;
    double worst; /* answer's over query's length */
};
struct query {
    uint8_t data[QUERY_MAX];
    size_t bytes;
};

static uint32_t below(struct flood *f, uint32_t limit) { /* splitmix64 */
    uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 33) % limit;
}

/* --- queries ---------------------------------------------------------------------------------------- */

static void put(struct query *q, unsigned value, int bytes) {
    while (bytes--) q->data[q->bytes++] = (uint8_t)(value >> (8 * bytes));
}

static void put_label(struct query *q, const char *text) {
    size_t length = strlen(text);
    put(q, (unsigned)length, 1);
    memcpy(q->data + q->bytes, text, length);
    q->bytes += length;
}

/* Mostly a name that the zones know something about. */
static void put_name(struct flood *f, struct query *q) {
    static const char *const labels[] = {"a", "b", "l",  "l2", "w", "d", "n", "o", "y",
                                         "z", "r", "ns", "m",  "t", "T", "*", "q", "xyzzy"};
    for (uint32_t count = below(f, 4); count; count--) put_label(q, labels[below(f, SK_COUNT(labels))]);
    put_label(q, below(f, 20) == 0 ? "com" : below(f, 2) ? "s" : "x");
    put(q, 0, 1);
}

static unsigned any_type(struct flood *f) {
    static const uint16_t known[] = {
#define X(name, number) number,
        DNS_TYPE_TABLE(X)
#undef X
    };
    return below(f, 10) ? known[below(f, SK_COUNT(known))] : below(f, 65536);
}

static void put_option(struct flood *f, struct query *q) {
    static const uint8_t codes[] = {3, 8, 8, 10, 11, 12, 15};
    unsigned code = below(f, 8) ? codes[below(f, SK_COUNT(codes))] : below(f, 65536);
    unsigned bytes = code == 8 ? 7 : code == 10 ? 8 : below(f, 40);
    put(q, code, 2);
    put(q, bytes, 2);
    if (code == 8) {
        put(q, 0x00011800, 4); /* a /24 of IPv4 */
        put(q, below(f, 1 << 24), 3);
    } else {
        while (bytes--) put(q, below(f, 256), 1);
    }
}

static void put_opt(struct flood *f, struct query *q) {
    static const uint16_t payloads[] = {0, 512, 1232, 4096, 65535};
    put(q, 0, 1);
    put(q, DNS_TYPE_OPT, 2);
    put(q, payloads[below(f, SK_COUNT(payloads))], 2);
    put(q, below(f, 30) ? 0 : below(f, 65536), 2);
    put(q, below(f, 4) ? 0x8000 : below(f, 65536), 2);
    size_t length_at = q->bytes;
    put(q, 0, 2);
    for (uint32_t count = below(f, 4); count; count--) put_option(f, q);
    size_t bytes = q->bytes - length_at - 2;
    q->data[length_at] = (uint8_t)(bytes >> 8);
    q->data[length_at + 1] = (uint8_t)bytes;
}

static void whole(struct flood *f, struct query *q) {
    bool edns = below(f, 4) != 0;
    q->bytes = 0;
    put(q, below(f, 65536), 2);
    put(q, below(f, 20) ? 0x0100 : below(f, 0x8000), 2);
    put(q, 1, 2);
    put(q, 0, 4);
    put(q, edns, 2);
    put_name(f, q);
    put(q, any_type(f), 2);
    put(q, below(f, 20) ? 1 : below(f, 65536), 2);
    if (edns) put_opt(f, q);
}

/* A name that nobody has asked for yet and that there is all the same, with its signature. */
static void fresh(struct flood *f, struct query *q) {
    char label[16];
    q->bytes = 0;
    put(q, below(f, 65536), 2);
    put(q, 0x0100, 2);
    put(q, 1, 2);
    put(q, 0, 4);
    put(q, 1, 2);
    snprintf(label, sizeof label, "%x", below(f, 1 << 30));
    put_label(q, label);
    put_label(q, "w");
    put_label(q, "s");
    put(q, 0, 1);
    put(q, DNS_TYPE_TXT, 2);
    put(q, 1, 2);
    put_opt(f, q);
}

static void damage(struct flood *f, struct query *q) {
    for (uint32_t count = below(f, 8); count; count--)
        q->data[below(f, (uint32_t)q->bytes)] = (uint8_t)below(f, 256);
    if (below(f, 4) == 0) q->bytes = below(f, (uint32_t)q->bytes + 1);
    for (uint32_t more = below(f, 4) ? 0 : below(f, 30); more; more--) put(q, below(f, 256), 1);
}

static void noise(struct flood *f, struct query *q) {
    q->bytes = 0;
    for (uint32_t count = below(f, 600); count; count--) put(q, below(f, 256), 1);
}

/* --- answers ---------------------------------------------------------------------------------------- */

/* In memory of its own, so that a sanitizer sees each byte that is read or written beyond. */
static size_t ask(struct flood *f, const struct query *q, enum answer_transport transport, size_t capacity) {
    uint8_t *query = malloc(q->bytes ? q->bytes : 1), *out = malloc(capacity);
    struct answer_log log;
    dns_world_need(query && out);
    memcpy(query, q->data, q->bytes);
    size_t bytes = answer_query(f->answerer, f->snapshot, transport, &f->client, query, q->bytes, f->now,
                                WALL_S, out, capacity, &log);
    dns_world_need(bytes <= capacity);
    if (bytes) dns_world_check(query, out, bytes);
    /* What could not be read is not answered at length. */
    if (bytes && log.rcode == DNS_FORMERR) dns_world_need(bytes <= q->bytes + 64);
    free(query);
    free(out);
    return bytes;
}

static void note(struct flood *f, const struct query *q, size_t bytes) {
    f->sent++;
    f->answered += bytes > 0;
    f->large += bytes > RATE_LARGE_TIMES * q->bytes;
    f->bytes_in += q->bytes;
    f->bytes_out += bytes;
    if (bytes && (double)bytes / (double)q->bytes > f->worst) f->worst = (double)bytes / (double)q->bytes;
    if (f->sent % WATCH_EVERY == 0) alarm(WATCH_S); /* a query that takes for ever ends the program */
}

static void begin(struct flood *f, uint64_t seed, const struct rate_options *rate) {
    *f = (struct flood){.random = seed, .now = SK_NS_PER_S, .snapshot = dns_world_make(rate)};
    dns_world_need(!io_addr_parse(SK_STR("192.0.2.1:53"), &f->client) &&
                   !answerer_create(NULL, &f->answerer));
    alarm(WATCH_S);
}

static void end(const struct flood *f, const char *what) {
    printf(
        "%s: %llu queries, %llu answered, %llu at length, %.1f MB in, %.1f MB out, at most %.1f times its query\n",
        what, (unsigned long long)f->sent, (unsigned long long)f->answered, (unsigned long long)f->large,
        (double)f->bytes_in / 1e6, (double)f->bytes_out / 1e6, f->worst);
    answerer_free(f->answerer);
    answer_snapshot_unref(f->snapshot);
}

/* Without limits, so that all of it is answered. */
static void anything(uint64_t seed, uint64_t count) {
    struct flood f;
    struct query q;
    begin(&f, seed, NULL);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t kind = below(&f, 10);
        whole(&f, &q);
        if (kind < 4) damage(&f, &q);
        if (kind == 0) noise(&f, &q);
        note(&f, &q, ask(&f, &q, ANSWER_UDP, DNS_UDP_PAYLOAD));
        if (i % 8 == 0) (void)ask(&f, &q, ANSWER_TCP, UINT16_MAX);
    }
    end(&f, "anything");
    dns_world_need(f.answered > count / 4);
}

/* A forger with 100,000 queries a second in one victim's name, about all names and with all client subnets: what goes to
 * the victim is at most thrice what he sends, and a fixed number of large answers. */
static void forged(uint64_t seed, uint64_t count) {
    struct rate_options rate;
    struct flood f;
    struct query q;
    rate_options_default(&rate);
    begin(&f, seed, &rate);
    for (uint64_t i = 0; i < count; i++) {
        below(&f, 2) ? whole(&f, &q) : fresh(&f, &q);
        note(&f, &q, ask(&f, &q, ANSWER_UDP, DNS_UDP_PAYLOAD));
        f.now += 10000;
    }
    uint64_t seconds = (uint64_t)(f.now / SK_NS_PER_S) + 1;
    uint64_t large = (uint64_t)rate.per_second[RATE_LARGE] * seconds;
    end(&f, "forged");
    dns_world_need(f.large <= large &&
                   f.bytes_out <= RATE_LARGE_TIMES * f.bytes_in + large * DNS_UDP_PAYLOAD);
    dns_world_need(f.bytes_out < 2 * f.bytes_in);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"count", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'}, {0}};
    const char *longer = getenv("SKERRY_TEST_LONG");
    uint64_t count = longer && *longer == '1' ? 1000000 : COUNT_DEFAULT, seed = 1;
    for (int c; (c = getopt_long(argc, argv, "c:s:", options, NULL)) != -1;) {
        if (c == 'c') count = strtoull(optarg, NULL, 10);
        if (c == 's') seed = strtoull(optarg, NULL, 10);
        if (c == '?') return 2;
    }
    anything(seed, count);
    forged(seed, count / 8);
    return 0;
}
