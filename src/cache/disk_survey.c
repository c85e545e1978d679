#include "cache/disk_survey.h"

#include <stdlib.h>

#include "cache/disk_internal.h"

/* The state of a look through all segments. */
struct look {
    struct disk *disk;
    struct disk_survey_progress progress;
    struct disk_survey survey;
    uint8_t *data; /* of one segment, when records are checked; NULL otherwise */
};

static void check_record(struct look *look, uint64_t sequence, const struct disk_summary_entry *entry) {
    const struct disk_superblock *super = &look->disk->super;
    uint64_t offset = (uint64_t)entry->offset * DISK_RECORD_ALIGN;
    uint64_t bytes = (uint64_t)entry->length * DISK_RECORD_ALIGN;
    struct disk_record record;
    bool good = offset >= DISK_SECTOR_BYTES && offset + bytes <= super->segment_bytes &&
                disk_record_whole(look->data + offset, bytes, super->id, &record) &&
                record.sequence == sequence && sk_hash128_eq(record.hash, entry->hash);
    look->survey.checked_records++;
    look->survey.checked_bytes += bytes;
    look->survey.damaged_records += !good;
}

static void count_time(struct disk_survey *survey, int64_t time_s) {
    if (!time_s) return;
    if (!survey->oldest_s || time_s < survey->oldest_s) survey->oldest_s = time_s;
    survey->newest_s = SK_MAX(survey->newest_s, time_s);
}

static sk_err look_at_records(struct look *look, uint32_t segment, uint64_t sequence,
                              const struct disk_summary_entry *entries, uint32_t count) {
    uint64_t bytes = look->disk->super.segment_bytes;
    if (!look->data) return SK_OK;
    sk_err err =
        disk_device_read(look->disk, NULL, look->data, bytes, disk_segment_offset(look->disk, segment));
    for (uint32_t i = 0; i < count && !err; i++) check_record(look, sequence, &entries[i]);
    return err;
}

/* What cannot be read is counted, and no error. */
static sk_err look_at_segment(struct look *look, uint32_t segment) {
    struct disk_summary_entry *entries = NULL;
    struct disk_segment_head head;
    uint32_t count = 0;
    uint64_t sequence;
    bool summed_up = false;
    sk_err err = disk_segment_frame(look->disk, segment, &head, &summed_up);
    if (!err) err = disk_segment_entries(look->disk, NULL, segment, &sequence, &entries, &count);
    if (!err) {
        count_time(&look->survey, head.time_s);
        look->survey.summed_up_segments += summed_up;
        look->survey.records += count;
        for (uint32_t i = 0; i < count; i++)
            look->survey.record_bytes += (uint64_t)entries[i].length * DISK_RECORD_ALIGN;
        err = look_at_records(look, segment, sequence, entries, count);
    }
    free(entries);
    if (err == SK_ERR_NO_MEMORY) return err;
    look->survey.unreadable_segments += err != SK_OK;
    return SK_OK;
}

static sk_err look_at_all(struct look *look) {
    uint64_t done = 0;
    for (uint32_t i = 0; i < look->disk->super.segment_count; i++)
        look->survey.used_segments += look->disk->segments[i].state == DISK_SEGMENT_WRITTEN;
    for (uint32_t i = 0; i < look->disk->super.segment_count; i++) {
        if (look->disk->segments[i].state != DISK_SEGMENT_WRITTEN) continue;
        sk_err err = look_at_segment(look, i);
        if (err) return err;
        if (!look->progress.tell(look->progress.arg, ++done, look->survey.used_segments))
            return SK_ERR_CANCELLED;
    }
    return SK_OK;
}

static void look_at_rest(struct look *look) {
    struct disk_survey *survey = &look->survey;
    survey->device_bytes = look->disk->io.bytes;
    survey->segments = look->disk->super.segment_count;
    survey->segment_bytes = look->disk->super.segment_bytes;
    survey->sealed = look->disk->super.sealed;
    survey->index_kept = disk_checkpoint_holds(look->disk);
}

static sk_err survey(const struct disk_io *io, struct disk_survey_progress progress, bool check,
                     struct disk_survey *out_survey) {
    struct look look = {.progress = progress};
    sk_err err = disk_open_to_look(io, &look.disk);
    if (err) return err;
    if (check) look.data = disk_alloc(look.disk->super.segment_bytes);
    if (check && !look.data) err = SK_ERR_NO_MEMORY;
    if (!err) look_at_rest(&look);
    if (!err) err = look_at_all(&look);
    disk_free(look.disk);
    free(look.data);
    if (!err || err == SK_ERR_CANCELLED) *out_survey = look.survey;
    return err;
}

sk_err disk_survey(const struct disk_io *io, struct disk_survey_progress progress,
                   struct disk_survey *out_survey) {
    return survey(io, progress, false, out_survey);
}

sk_err disk_survey_check(const struct disk_io *io, struct disk_survey_progress progress,
                         struct disk_survey *out_survey) {
    return survey(io, progress, true, out_survey);
}
