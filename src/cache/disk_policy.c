#include "cache/disk_policy.h"

#define LARGE_SHARE 100 /* of the tier: what is larger must have been asked for again */

bool disk_admits(const struct disk_admission *admission, bool asked_again, uint64_t bytes, uint32_t draw) {
    if (asked_again) return true;
    return draw < admission->percent && bytes <= admission->capacity / LARGE_SHARE;
}

uint64_t disk_second_chance_bytes(uint64_t segment_bytes) { return segment_bytes / 4 * 3; }

bool disk_has_second_chance(uint8_t accesses, uint64_t bytes, uint64_t left, uint8_t *out_accesses) {
    if (!accesses || bytes > left) return false;
    *out_accesses = accesses - 1;
    return true;
}
