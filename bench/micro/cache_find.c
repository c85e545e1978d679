/* What cache_find costs by itself: enter, find, read of the head, leave; for one hot key and for a Zipf
 * mix of many keys, with the hash already computed as the request path has it.
 *
 *   cache_find [KEYS] [MILLISECONDS] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "base/time.h"
#include "cache/cache.h"
#include "cache/fill.h"

#define BODY_BYTES 1024
#define ORDER (1u << 20) /* requests that are drawn beforehand; a power of two */

struct bench_key {
    struct cache_key key;
    char text[96];
};

static void must(sk_err err, const char *what) {
    if (!err) return;
    fprintf(stderr, "%s: %s\n", what, sk_err_text(err));
    exit(1);
}

static void make_key(struct bench_key *key, size_t number) {
    int len = snprintf(key->text, sizeof key->text, "default|www.example.org|/articles/2024/%zu/index.html",
                       number);
    key->key.text = sk_str_make(key->text, (size_t)len);
    key->key.hash = sk_hash128_of(key->text, (size_t)len);
}

static void store(struct cache_thread *thread, const struct cache_key *key) {
    static struct http_field items[] = {
        {SK_STR_INIT("Content-Type"), SK_STR_INIT("text/html; charset=utf-8"), HTTP_FIELD_CONTENT_TYPE},
        {SK_STR_INIT("Last-Modified"), SK_STR_INIT("Tue, 02 Jan 2024 03:04:05 GMT"),
         HTTP_FIELD_LAST_MODIFIED},
        {SK_STR_INIT("ETag"), SK_STR_INIT("\"0123456789abcdef\""), HTTP_FIELD_ETAG},
        {SK_STR_INIT("Cache-Control"), SK_STR_INIT("public, max-age=3600"), HTTP_FIELD_CACHE_CONTROL},
    };
    static const struct http_fields fields = {items, 4, 4};
    const struct cache_head head = {.status = 200, .fields = &fields, .body_length = BODY_BYTES};
    struct cache_object *found;
    struct cache_fill *fill;
    char *data;
    size_t room;
    if (cache_fill_begin(thread, key, NULL, NULL, &fill, &found) != CACHE_LEAD) exit(1);
    cache_fill_leave(thread, fill);
    must(cache_fill_store(fill, &head), "store");
    must(cache_fill_space(fill, SK_TIME_NEVER, &data, &room), "space");
    memset(data, 'x', BODY_BYTES);
    cache_fill_commit(fill, BODY_BYTES);
    must(cache_fill_finish(fill), "finish");
    cache_fill_release(fill);
}

/* Zipf with exponent 1 by inverting its sum, the popular ones spread over all keys. */
static uint32_t *draw_zipf(size_t keys) {
    uint32_t *order = malloc(ORDER * sizeof *order);
    double span = log((double)keys);
    for (size_t i = 0; order && i < ORDER; i++) {
        double u = (double)(sk_random_u64() >> 11) / 9007199254740992.0;
        uint64_t rank = (uint64_t)exp(u * span);
        order[i] = (uint32_t)(rank * UINT64_C(2654435761) % keys);
    }
    return order;
}

/* This thread's own processor time: other work on the machine does not count, though it costs us caches. */
static sk_time_ns spent(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * SK_NS_PER_S + now.tv_nsec;
}

/* Nanoseconds for one. ORDER_OF may be NULL: always the first key. */
static double measure(struct cache_thread *thread, const struct bench_key *keys, const uint32_t *order_of,
                      int64_t milliseconds, uint64_t *out_sum) {
    sk_time_ns start = spent(), end = start;
    uint64_t count = 0;
    while (end - start < milliseconds * SK_NS_PER_MS) {
        for (int i = 0; i < 4096; i++, count++) {
            const struct cache_key *key = &keys[order_of ? order_of[count % ORDER] : 0].key;
            /* The request's own key is warm when it is looked up: it was just parsed. */
            const char *soon = (const char *)&keys[order_of ? order_of[(count + 8) % ORDER] : 0];
            __builtin_prefetch(soon);
            __builtin_prefetch(soon + 64);
            cache_enter(thread);
            const struct cache_object *object = cache_find(thread, key, NULL, NULL);
            if (!object) exit(1);
            *out_sum +=
                (uint64_t)object->head.data[object->head.len - 3] + (uint64_t)object->freshness.lifetime_s;
            cache_leave(thread);
        }
        end = spent();
    }
    return (double)(end - start) / (double)count;
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    int64_t milliseconds = argc > 2 ? strtoll(argv[2], NULL, 10) : 2000;
    struct cache_options options = {.memory_bytes = SK_MAX(64u << 20, count * 4096)};
    struct bench_key *keys = calloc(count, sizeof *keys);
    uint32_t *zipf = draw_zipf(count);
    struct cache_thread *thread;
    struct cache *cache;
    uint64_t sum = 0;
    if (!keys || !zipf) return 1;
    must(cache_create(&options, &cache), "create");
    must(cache_thread_join(cache, NULL, &thread), "join");
    for (size_t i = 0; i < count; i++) {
        make_key(&keys[i], i);
        store(thread, &keys[i].key);
    }
    double hot = measure(thread, keys, NULL, milliseconds, &sum);
    double mix = measure(thread, keys, zipf, milliseconds, &sum);
    printf("one key: %.1f ns; %zu keys, Zipf: %.1f ns (%llu)\n", hot, count, mix,
           (unsigned long long)sum % 10);
    cache_thread_leave(thread);
    cache_destroy(cache);
    free(keys);
    free(zipf);
    return 0;
}
