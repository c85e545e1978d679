/* What a purge costs, of each kind, all different ones, and what it costs to find an object afterwards that none of
 * the last 256 has hit: this thread's processor time.
 *
 *   cache_purge [COUNT] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/time.h"
#include "cache/fill.h"
#include "cache/purge.h"

static sk_time_ns spent(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * SK_NS_PER_S + now.tv_nsec;
}

static void must(sk_err err) {
    if (!err) return;
    fprintf(stderr, "%s\n", sk_err_text(err));
    exit(1);
}

static void purge(struct cache *cache, enum cache_purge_kind kind, long number) {
    static const char *const before[CACHE_PURGE_COUNT_] = {
        "site|example.org|/", "/articles/", "", "", "tag-", "example.org/img/*", ""};
    char text[64];
    struct cache_purge purge = {.kind = kind, .site = SK_STR("site"), .host = SK_STR("example.org")};
    int len =
        snprintf(text, sizeof text, "%s%ld%s", before[kind], number, kind == CACHE_PURGE_GLOB ? ".png" : "/");
    purge.text = sk_str_make(text, (size_t)len);
    must(cache_purge(cache, &purge, NULL));
}

static double measure(struct cache *cache, enum cache_purge_kind kind, long count) {
    sk_time_ns start = spent();
    for (long i = 0; i < count; i++) purge(cache, kind, i);
    return (double)(spent() - start) / (double)count;
}

static void store(struct cache_thread *thread, const struct cache_key *key) {
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 200, .fields = &none, .freshness = {.lifetime_s = 3600}};
    struct cache_fill *fill;
    struct cache_object *found;
    if (cache_fill_begin(thread, key, NULL, NULL, &fill, &found) != CACHE_LEAD) exit(1);
    cache_fill_leave(thread, fill);
    must(cache_fill_store(fill, &head));
    must(cache_fill_finish(fill));
    cache_fill_release(fill);
}

static double measure_find(struct cache *cache, struct cache_thread *thread, enum cache_purge_kind kind) {
    char text[64];
    int len = snprintf(text, sizeof text, "site|example.org|/pages/2024/page-%d.html", (int)kind);
    struct cache_key key = {sk_hash128_of(text, (size_t)len), sk_str_make(text, (size_t)len)};
    sk_time_ns sum = 0;
    store(thread, &key);
    for (long round = 0; round < 1000; round++) {
        for (long i = 0; i < 256; i++) purge(cache, kind, i);
        sk_time_ns start = spent();
        cache_enter(thread);
        if (!cache_find(thread, &key, NULL, NULL)) exit(1);
        cache_leave(thread);
        sum += spent() - start;
    }
    return (double)sum / 1000;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 50000;
    struct cache_options options = {.memory_bytes = 256u << 20};
    struct cache *cache;
    struct cache_thread *thread;
    must(cache_create(&options, &cache));
    must(cache_thread_join(cache, NULL, &thread));
    for (unsigned kind = 0; kind < CACHE_PURGE_COUNT_; kind++) {
        sk_str name = cache_purge_kind_name((enum cache_purge_kind)kind);
        /* First: a table that is full hits more than it was asked to. */
        bool others = kind != CACHE_PURGE_HOST && kind != CACHE_PURGE_SITE && kind != CACHE_PURGE_ALL;
        double find_ns = others ? measure_find(cache, thread, (enum cache_purge_kind)kind) : 0;
        printf("%.*s: %.0f ns", SK_STR_ARGS(name), measure(cache, (enum cache_purge_kind)kind, count));
        if (others) printf("; a find after 256 of others: %.0f ns", find_ns);
        putchar('\n');
    }
    cache_thread_leave(thread);
    cache_destroy(cache);
    return 0;
}
