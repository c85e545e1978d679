#include "work.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory) {
    if (memory != NULL) return memory;
    fputs("loadclient: out of memory\n", stderr);
    exit(1);
}

void work_add(struct work *work, const char *target, const char *host, const char *extra) {
    /* Capacity is the next power of two: grow when the count is one. */
    if ((work->count & (work->count - 1)) == 0) {
        size_t capacity = work->count ? work->count * 2 : 1;
        work->targets = must(realloc(work->targets, capacity * sizeof *work->targets));
    }
    struct target *added = &work->targets[work->count++];
    *added = (struct target){0};
    int bytes = asprintf(&added->request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, host, extra);
    if (bytes < 0) must(NULL);
    added->request_bytes = (size_t)bytes;
}

bool work_add_file(struct work *work, const char *file, const char *host, const char *extra) {
    FILE *in = fopen(file, "r");
    if (in == NULL) return false;
    char line[9000], target[8193];
    while (fgets(line, sizeof line, in)) {
        uint64_t length, sum;
        int fields = sscanf(line, "%8192s %" SCNu64 " %" SCNx64, target, &length, &sum);
        if (fields < 1) continue;
        work_add(work, target, host, extra);
        struct target *added = &work->targets[work->count - 1];
        added->checked = fields == 3;
        if (added->checked) added->length = length, added->sum = sum;
    }
    fclose(in);
    return true;
}

void work_use_zipf(struct work *work, double exponent, uint64_t seed) {
    work->cumulative = must(malloc(work->count * sizeof *work->cumulative));
    double sum = 0;
    for (size_t i = 0; i < work->count; i++) work->cumulative[i] = sum += pow((double)(i + 1), -exponent);
    work->random = seed * 2 + 1;
}

void work_free(struct work *work) {
    for (size_t i = 0; i < work->count; i++) free(work->targets[i].request);
    free(work->targets);
    free(work->cumulative);
}

/* xorshift64*: even enough for choosing pages, and the same on every machine. */
static double random_unit(uint64_t *state) {
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return (double)((*state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

const struct target *work_next(struct work *work) {
    if (work->cumulative == NULL) return &work->targets[work->next++ % work->count];
    double wanted = random_unit(&work->random) * work->cumulative[work->count - 1];
    size_t low = 0, high = work->count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (work->cumulative[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return &work->targets[low];
}
