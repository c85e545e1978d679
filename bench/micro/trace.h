/* A request trace (format CDT1, as `zstd -dc --long=27 FILE` gives it), read from standard input. */
#ifndef SK_BENCH_TRACE_H
#define SK_BENCH_TRACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"

#define MAGIC 0x31544443
#define ACCESSES_MAX 3 /* as the cache counts */
#define SMALLEST 512u  /* its smallest chunk */

struct trace {
    uint32_t objects;
    uint64_t requests;
    uint32_t *bytes; /* of each object */
    uint32_t *ids;   /* of each request */
    uint64_t footprint;
};

static _Noreturn void stop(const char *why) {
    fprintf(stderr, "bench: %s\n", why);
    exit(2);
}

static inline void *memory(size_t count, size_t each) {
    void *data = calloc(count ? count : 1, each);
    if (!data) stop("out of memory");
    return data;
}

static uint64_t varint(void) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        int byte = getchar_unlocked();
        if (byte == EOF) stop("the trace ends too early");
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    stop("a number of the trace is too long");
}

static void read_all(void *data, size_t bytes) {
    if (fread(data, 1, bytes, stdin) != bytes) stop("the trace ends too early");
}

static inline struct trace read_trace(void) {
    struct trace trace = {0};
    uint32_t magic;
    read_all(&magic, sizeof magic);
    if (magic != MAGIC) stop("not a CDT1 trace");
    read_all(&trace.objects, sizeof trace.objects);
    read_all(&trace.requests, sizeof trace.requests);
    if (trace.requests > UINT32_MAX) stop("the trace is too long");
    trace.bytes = memory(trace.objects, sizeof *trace.bytes);
    trace.ids = memory(trace.requests, sizeof *trace.ids);
    read_all(trace.bytes, trace.objects * sizeof *trace.bytes);
    for (uint32_t i = 0; i < trace.objects; i++) trace.footprint += trace.bytes[i];
    for (uint64_t timed = 0; timed < trace.requests;) { /* when is of no matter here */
        (void)varint();
        timed += varint();
    }
    uint32_t seen = 0;
    for (uint64_t i = 0; i < trace.requests; i++) {
        uint64_t back = varint();
        if (back > seen || (!back && seen == trace.objects)) stop("the trace names an object it has not");
        trace.ids[i] = back ? seen - (uint32_t)back : seen++;
    }
    return trace;
}

static inline uint64_t mix(uint64_t id) { /* ids tell the age, hashes do not */
    id = (id ^ id >> 31) * UINT64_C(0x7fb5d329728ea185);
    id = (id ^ id >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return id ^ id >> 33;
}

/* Processor time of this thread: others may be busy. */
static inline double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
