/* What is asked for: a list of request targets, chosen in turn or by a Zipf law, each with the length and
 * sum that its body must have, when these are known. */
#ifndef LOADCLIENT_WORK_H
#define LOADCLIENT_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
    char *request; /* the whole head, ready to send */
    size_t request_bytes;
    bool checked; /* length and sum are known */
    uint64_t length, sum;
};

struct work {
    struct target *targets;
    size_t count, next;
    double *cumulative; /* of the Zipf law; NULL: in turn */
    uint64_t random;
};

/* HOST and EXTRA (whole field lines, "" for none) go into each request. */
void work_add(struct work *work, const char *target, const char *host, const char *extra);
/* A line each: "TARGET" or "TARGET LENGTH SUM", the sum in hex. False when FILE cannot be read. */
bool work_add_file(struct work *work, const char *file, const char *host, const char *extra);
/* Chooses from now on the k-th target with a weight of 1 / k^EXPONENT. */
void work_use_zipf(struct work *work, double exponent, uint64_t seed);
void work_free(struct work *work);
const struct target *work_next(struct work *work);

#endif
