/* Which records the SSD tier takes, and which go in again when their segment is taken back. Pure, called by the tier and
 * by the store, on any thread; `dev/bench policies` replays traces through it, and chose the numbers.
 *
 * The log is a FIFO with second chances (CLOCK), as many as a record was asked for. What was asked for again while it
 * was in RAM, or came back to it soon, goes in; of what was asked for once, a share does: without any, origins are
 * asked twice for what is asked for twice; with all of it, what is never asked for again pushes out the rest. What is
 * large beside the tier pushes out too much to be let in on a guess. */
#ifndef SK_CACHE_DISK_POLICY_H
#define SK_CACHE_DISK_POLICY_H

#include <stdint.h>

#define DISK_ADMIT_DEFAULT 67 /* per cent of what was asked for once; the default of the option */

struct disk_admission {
    uint64_t capacity; /* bytes of the tier */
    uint32_t percent;  /* of what was asked for once */
};
/* DRAW: random, below 100. */
bool disk_admits(const struct disk_admission *admission, bool asked_again, uint64_t bytes, uint32_t draw);

/* How many bytes of a segment may go in again: taking back has to gain room. */
uint64_t disk_second_chance_bytes(uint64_t segment_bytes);
/* Whether a record that was asked for ACCESSES times since it was put goes in again, with LEFT of what may. *out_accesses
 * is what it has then. */
bool disk_has_second_chance(uint8_t accesses, uint64_t bytes, uint64_t left, uint8_t *out_accesses);

#endif
