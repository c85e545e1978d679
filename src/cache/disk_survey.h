/* A store seen from outside: what lies on a device, without opening it for use and without a change to it. For people's
 * tools. Without the key of a sealed store too: sums are those of what lies there. */
#ifndef SK_CACHE_DISK_SURVEY_H
#define SK_CACHE_DISK_SURVEY_H

#include "cache/disk.h"

/* As disk_io_open, to read alone, and never made or extended. *out_in_use: another process writes to it; what is read
 * then is of different moments. */
sk_err disk_io_open_to_read(const char *path, struct disk_io *out_io, bool *out_in_use);

struct disk_survey {
    uint64_t device_bytes, segments, segment_bytes;
    uint64_t used_segments, summed_up_segments; /* the others have to be looked through */
    uint64_t records, record_bytes;             /* of all used segments, older ones of the same key too */
    int64_t oldest_s, newest_s;                 /* Unix time at which a used segment was opened; 0: unknown */
    bool sealed;
    bool index_kept; /* the next start has it at once */
    /* of disk_survey_check */
    uint64_t checked_records, checked_bytes, damaged_records, unreadable_segments;
};

/* Told after each segment; false stops. */
struct disk_survey_progress {
    bool (*tell)(void *arg, uint64_t done_segments, uint64_t of_segments);
    void *arg;
};

/* SK_ERR_NOT_FOUND, _CORRUPT, _UNSUPPORTED: no store of ours; SK_ERR_INVALID: sizes that do not fit;
 * SK_ERR_CANCELLED: `tell` stopped it, what was seen until then is there; SK_ERR_IO, SK_ERR_NO_MEMORY. */
sk_err disk_survey(const struct disk_io *io, struct disk_survey_progress progress,
                   struct disk_survey *out_survey);
/* The same, and reads every record and compares every sum. */
sk_err disk_survey_check(const struct disk_io *io, struct disk_survey_progress progress,
                         struct disk_survey *out_survey);

#endif
