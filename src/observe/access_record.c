#include "observe/access_record.h"

#include <string.h>

/* Cut to MAX bytes, but not inside a UTF-8 sequence. */
static uint16_t cut(sk_str s, size_t max) {
    if (s.len <= max) return (uint16_t)s.len;
    size_t len = max;
    while (len > max - 3 && ((unsigned char)s.data[len] & 0xc0) == 0x80) len--;
    return (uint16_t)len;
}

size_t access_record_make(const struct access_log_entry *entry, struct access_record *out_record) {
    struct access_record *record = out_record;
    size_t bytes = sizeof *record;
#define X(type, name) record->name = (type)entry->name;
    ACCESS_RECORD_NUMBER_TABLE(X)
#undef X
    record->is_line = false;
    record->line_bytes = 0;
#define X(name, max) bytes += record->name##_bytes = cut(entry->name, max);
    ACCESS_RECORD_TEXT_TABLE(X)
#undef X
    return bytes;
}

void access_record_put(const struct access_record *record, const struct access_log_entry *entry,
                       void *place) {
    memcpy(place, record, sizeof *record);
    char *text = (char *)place + sizeof *record;
#define X(name, max)                                                                                         \
    if (record->name##_bytes) memcpy(text, entry->name.data, record->name##_bytes);                          \
    text += record->name##_bytes;
    ACCESS_RECORD_TEXT_TABLE(X)
#undef X
}

size_t access_record_line_bytes(sk_str line) { return sizeof(struct access_record) + line.len; }

void access_record_put_line(sk_str line, void *place) {
    struct access_record *record = place;
    record->is_line = true;
    record->line_bytes = (uint16_t)line.len;
    memcpy(record + 1, line.data, line.len);
}

sk_str access_record_line(const struct access_record *record) {
    return sk_str_make((const char *)(record + 1), record->line_bytes);
}

void access_record_read(const struct access_record *record, struct access_log_entry *out_entry) {
    const char *text = (const char *)(record + 1);
#define X(type, name) out_entry->name = record->name;
    ACCESS_RECORD_NUMBER_TABLE(X)
#undef X
#define X(name, max)                                                                                         \
    out_entry->name = sk_str_make(text, record->name##_bytes);                                               \
    text += record->name##_bytes;
    ACCESS_RECORD_TEXT_TABLE(X)
#undef X
}
