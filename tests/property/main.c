/* Random traces against Skerry's request path and the model, and the smallest trace that shows a disagreement. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"
#include "world.h"

#ifndef COUNT_DEFAULT
#define COUNT_DEFAULT 80000
#endif
#define COUNT_LONG 1000000
/* Every so-many-th trace runs in so little memory that anything may be evicted. */
#define SMALL_MEMORY_EVERY 8

struct options {
    uint64_t seed, count, start_at;
    bool verbose;
};

static struct trace playing; /* for the handler of a failed assertion */

static void usage(void) {
    printf("usage: test_property_cache [--seed N] [--count N] [--start-at N] [--verbose]\n\n"
           "  --seed N       of the random traces; printed by each run\n"
           "  --count N      requests, rounded up to whole traces of %d\n"
           "  --start-at N   begin with this trace, for example with one that disagreed\n"
           "  --verbose      print each trace before it is played\n\n"
           "SKERRY_TEST_LONG=1 makes it a million requests.\n",
           GENERATE_EXCHANGES);
}

static bool read_options(int argc, char **argv, struct options *options) {
    const char *longer = getenv("SKERRY_TEST_LONG");
    *options = (struct options){.seed = 1, .count = longer && *longer == '1' ? COUNT_LONG : COUNT_DEFAULT};
    for (int i = 1; i < argc; i++) {
        uint64_t *number = !strcmp(argv[i], "--seed")       ? &options->seed
                           : !strcmp(argv[i], "--count")    ? &options->count
                           : !strcmp(argv[i], "--start-at") ? &options->start_at
                                                            : NULL;
        if (number && i + 1 < argc)
            *number = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--verbose"))
            options->verbose = true;
        else
            return false;
    }
    return true;
}

/* ---- making a trace smaller ------------------------------------------------------------------------------------- */

/* Two complaints are of one kind when only their numbers differ. */
static bool same_kind(const char *a, const char *b) {
    for (;;) {
        a += strspn(a, "0123456789");
        b += strspn(b, "0123456789");
        if (*a != *b) return false;
        if (!*a) return true;
        a++, b++;
    }
}

/* True when TRACE disagrees in the way of COMPLAINT. */
static bool disagrees(struct world *world, const struct trace *trace, const char *complaint) {
    return !world_play(world, trace) && same_kind(world_complaint(world), complaint);
}

/* SMALLER without LENGTH operations from AT on. */
static void leave_out(const struct trace *trace, size_t at, size_t length, struct trace *smaller) {
    size_t rest = trace->count - at - length;
    memcpy(smaller->ops, trace->ops, at * sizeof *trace->ops);
    memcpy(smaller->ops + at, trace->ops + at + length, rest * sizeof *trace->ops);
    smaller->count = at + rest;
}

static bool shrink_by(struct world *world, struct trace *trace, struct trace *spare, size_t length,
                      const char *complaint) {
    bool shrunk = false;
    for (size_t at = 0; at + length <= trace->count;) {
        leave_out(trace, at, length, spare);
        if (!disagrees(world, spare, complaint)) {
            at += length;
            continue;
        }
        memcpy(trace->ops, spare->ops, spare->count * sizeof *spare->ops);
        trace->count = spare->count;
        shrunk = true;
    }
    return shrunk;
}

static bool shrink_heads(struct world *world, struct trace *trace, const char *complaint) {
    bool shrunk = false;
    for (size_t i = 0; i < trace->count; i++) {
        struct trace_head *head = &trace->ops[i].head;
        for (uint32_t k = 0; k < head->count;) {
            struct trace_head before = *head;
            memmove(&head->lines[k], &head->lines[k + 1], (head->count - k - 1) * sizeof head->lines[0]);
            head->count--;
            if (disagrees(world, trace, complaint)) {
                shrunk = true;
                continue;
            }
            *head = before;
            k++;
        }
    }
    return shrunk;
}

/* *VALUE becomes WANTED, if the trace still disagrees then. */
static bool try_value(struct world *world, struct trace *trace, uint32_t *value, uint32_t wanted,
                      const char *complaint) {
    uint32_t before = *value;
    if (before == wanted) return false;
    *value = wanted;
    if (disagrees(world, trace, complaint)) return true;
    *value = before;
    return false;
}

static bool shrink_values(struct world *world, struct trace *trace, const char *complaint) {
    bool shrunk = false;
    for (size_t i = 0; i < trace->count; i++) {
        struct trace_op *op = &trace->ops[i];
        for (uint32_t pick = 0; pick < op->pick; pick++)
            if (try_value(world, trace, &op->pick, pick, complaint)) shrunk = true;
        shrunk |= try_value(world, trace, &op->content_bytes, 0, complaint);
        if (op->at_once <= op->body_bytes) continue;
        shrunk |= try_value(world, trace, &op->body_bytes, 10, complaint);
    }
    return shrunk;
}

static void shrink(struct world *world, struct trace *trace, const char *complaint) {
    struct trace spare = *trace;
    bool again = true;
    spare.ops = malloc(trace->count * sizeof *spare.ops);
    if (!spare.ops) return;
    while (again) {
        again = false;
        for (size_t length = trace->count / 2 + 1; length > 0; length /= 2)
            again |= shrink_by(world, trace, &spare, length, complaint);
        again |= shrink_heads(world, trace, complaint);
        again |= shrink_values(world, trace, complaint);
    }
    free(spare.ops);
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

static void report(struct world *world, struct trace *trace) {
    char complaint[1024];
    snprintf(complaint, sizeof complaint, "%s", world_complaint(world));
    printf("trace %llu of seed %llu disagrees: %s\n", (unsigned long long)trace->number,
           (unsigned long long)trace->seed, complaint);
    shrink(world, trace, complaint);
    printf("The smallest trace%s that disagrees:\n\n", trace->small_memory ? " (in small memory)" : "");
    world_tell(world, trace);
    printf("\n%s\n\nagain: test_property_cache --seed %llu --start-at %llu --count 1\n",
           world_complaint(world), (unsigned long long)trace->seed, (unsigned long long)trace->number);
}

static bool run(struct world *world, const struct options *options) {
    uint64_t traces = (options->count + GENERATE_EXCHANGES - 1) / GENERATE_EXCHANGES;
    for (uint64_t i = 0; i < traces; i++) {
        playing.number = options->start_at + i;
        playing.small_memory = playing.number % SMALL_MEMORY_EVERY == SMALL_MEMORY_EVERY - 1;
        generate(&playing);
        bool agrees = options->verbose ? world_tell(world, &playing) : world_play(world, &playing);
        if (!agrees) {
            report(world, &playing);
            return false;
        }
    }
    printf("ok: %llu requests in %llu traces agree with the model\n",
           (unsigned long long)(traces * GENERATE_EXCHANGES), (unsigned long long)traces);
    return true;
}

/* An assertion of Skerry's: no trace can be made small any more, but it can be named. */
static void on_abort(int number) {
    signal(number, SIG_DFL);
    fprintf(stderr, "while playing trace %llu of seed %llu\n", (unsigned long long)playing.number,
            (unsigned long long)playing.seed);
}

int main(int argc, char **argv) {
    struct options options;
    if (!read_options(argc, argv, &options)) {
        usage();
        return 2;
    }
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    playing.seed = options.seed;
    playing.ops = malloc(GENERATE_OPS_MAX * sizeof *playing.ops);
    struct world *world = world_create();
    if (!world || !playing.ops) return 1;
    printf("seed %llu\n", (unsigned long long)options.seed);
    bool agrees = run(world, &options);
    world_destroy(world);
    free(playing.ops);
    return agrees ? 0 : 1;
}
