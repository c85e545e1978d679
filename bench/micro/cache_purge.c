/* What a purge costs, of each kind, all different ones: this thread's processor time.
 *
 *   cache_purge [COUNT] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/time.h"
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

static double measure(struct cache *cache, enum cache_purge_kind kind, long count) {
    static const char *const before[CACHE_PURGE_COUNT_] = {
        "site|example.org|/", "/articles/", "", "", "tag-", "example.org/img/*", ""};
    char text[64];
    sk_time_ns sum = 0;
    for (long i = 0; i < count; i++) {
        struct cache_purge purge = {.kind = kind, .site = SK_STR("site"), .host = SK_STR("example.org")};
        int len =
            snprintf(text, sizeof text, "%s%ld%s", before[kind], i, kind == CACHE_PURGE_GLOB ? ".png" : "/");
        purge.text = sk_str_make(text, (size_t)len);
        sk_time_ns start = spent();
        for (int repeat = 0; repeat < 4; repeat++) must(cache_purge(cache, &purge, NULL));
        sum += spent() - start;
    }
    return (double)sum / (double)count / 4;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 50000;
    struct cache_options options = {.memory_bytes = 256u << 20};
    struct cache *cache;
    must(cache_create(&options, &cache));
    for (unsigned kind = 0; kind < CACHE_PURGE_COUNT_; kind++) {
        sk_str name = cache_purge_kind_name((enum cache_purge_kind)kind);
        printf("%.*s: %.0f ns\n", SK_STR_ARGS(name), measure(cache, (enum cache_purge_kind)kind, count));
    }
    cache_destroy(cache);
    return 0;
}
