/* A request as it lies in the access log's rings: its numbers, and behind them its texts, each cut to what is
 * kept of it; or a line that was formatted already. Pure: the rings are access_log.c's. */
#ifndef SK_OBSERVE_ACCESS_RECORD_H
#define SK_OBSERVE_ACCESS_RECORD_H

#include "observe/access_log.h"

/* Type in the record, field of struct access_log_entry. */
#define ACCESS_RECORD_NUMBER_TABLE(X)                                                                        \
    X(int64_t, wall_ns)                                                                                      \
    X(int64_t, duration_ns)                                                                                  \
    X(int64_t, first_byte_ns)                                                                                \
    X(uint64_t, sent_bytes)                                                                                  \
    X(uint64_t, body_bytes)                                                                                  \
    X(uint16_t, status)                                                                                      \
    X(uint16_t, origin_status)                                                                               \
    X(uint8_t, version)                                                                                      \
    X(uint8_t, reason)                                                                                       \
    X(uint8_t, store_reason)                                                                                 \
    X(bool, hit)                                                                                             \
    X(bool, stored)                                                                                          \
    X(bool, collapsed)                                                                                       \
    X(bool, aborted)                                                                                         \
    X(bool, tls_resumed)                                                                                     \
    X(bool, early_data)

/* The texts in their order, and how much of each is kept. */
#define ACCESS_RECORD_TEXT_TABLE(X)                                                                          \
    X(client_ip, 64)                                                                                         \
    X(method, 16)                                                                                            \
    X(host, 255)                                                                                             \
    X(target, 1024)                                                                                          \
    X(user_agent, 255)                                                                                       \
    X(referer, 255)                                                                                          \
    X(site, 255)                                                                                             \
    X(upstream, 255)                                                                                         \
    X(error, 128)                                                                                            \
    X(tls_version, 64)                                                                                       \
    X(tls_group, 64)                                                                                         \
    X(tls_cipher, 64)

struct access_record {
#define X(type, name) type name;
    ACCESS_RECORD_NUMBER_TABLE(X)
#undef X
    bool is_line; /* formatted already: nothing but `line_bytes` of text */
    uint16_t line_bytes;
#define X(name, max) uint16_t name##_bytes;
    ACCESS_RECORD_TEXT_TABLE(X)
#undef X
};
static_assert(HTTP_REASON_COUNT_ <= 256);

/* Fills the record itself from ENTRY, and returns the bytes that it takes with its texts. */
size_t access_record_make(const struct access_log_entry *entry, struct access_record *out_record);
/* RECORD, as made from ENTRY, and its texts to PLACE, which has room for them and is aligned for 8 bytes. */
void access_record_put(const struct access_record *record, const struct access_log_entry *entry, void *place);
/* The bytes of a record of LINE, which has 64 KiB at most; and such a record to PLACE, as above. */
size_t access_record_line_bytes(sk_str line);
void access_record_put_line(sk_str line, void *place);

/* The line of a record that has is_line; its texts lie behind RECORD. */
sk_str access_record_line(const struct access_record *record);
/* Back from any other record; the texts stay where they lie. */
void access_record_read(const struct access_record *record, struct access_log_entry *out_entry);

#endif
