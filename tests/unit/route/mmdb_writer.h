/* Small MMDB files for tests, by the format's specification 2.0: 24-bit records, data as maps of text, numbers and
 * maps. Networks must not nest. */
#ifndef SK_TESTS_MMDB_WRITER_H
#define SK_TESTS_MMDB_WRITER_H

#include <stdio.h>

#include "io/addr.h"
#include "unit.h"

enum { MMDB_TEST_NODES = 2048, MMDB_TEST_DATA = 32768 };

struct mmdb_writer {
    uint32_t nodes[MMDB_TEST_NODES][2]; /* 0: empty; below FLAG: a node; else FLAG + data offset */
    uint32_t node_count;
    uint8_t data[MMDB_TEST_DATA];
    size_t data_bytes;
};
#define MMDB_TEST_FLAG 0x80000000u

static inline void mmdb_put(struct mmdb_writer *w, const void *bytes, size_t count) {
    assert_true(w->data_bytes + count <= MMDB_TEST_DATA);
    memcpy(w->data + w->data_bytes, bytes, count);
    w->data_bytes += count;
}

/* A value's control byte: TYPE up to 7, SIZE up to 28. */
static inline void mmdb_put_control(struct mmdb_writer *w, int type, size_t size) {
    uint8_t control = (uint8_t)(type << 5 | size);
    mmdb_put(w, &control, 1);
}
static inline void mmdb_put_map(struct mmdb_writer *w, size_t pairs) { mmdb_put_control(w, 7, pairs); }
static inline void mmdb_put_text(struct mmdb_writer *w, const char *text) {
    mmdb_put_control(w, 2, strlen(text));
    mmdb_put(w, text, strlen(text));
}
static inline void mmdb_put_double(struct mmdb_writer *w, double value) {
    uint64_t bits;
    uint8_t wire[8];
    memcpy(&bits, &value, 8);
    for (int i = 0; i < 8; i++) wire[i] = (uint8_t)(bits >> (56 - 8 * i));
    mmdb_put_control(w, 3, 8);
    mmdb_put(w, wire, 8);
}
static inline void mmdb_put_u32(struct mmdb_writer *w, uint32_t value) {
    uint8_t wire[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    mmdb_put_control(w, 6, 4);
    mmdb_put(w, wire, 4);
}

/* NETWORK gets the data that begins at OFFSET. IPv4 goes to ::/96, as in real files. */
static inline void mmdb_network(struct mmdb_writer *w, const char *network, size_t offset) {
    struct io_prefix prefix;
    uint32_t node = 0;
    assert_ok(io_prefix_parse(sk_str_from_c(network), &prefix));
    if (!strchr(network, ':')) prefix.ip[10] = prefix.ip[11] = 0;
    if (w->node_count == 0) w->node_count = 1;
    for (int bit = 0; bit < prefix.bits; bit++) {
        uint32_t *record = &w->nodes[node][prefix.ip[bit / 8] >> (7 - bit % 8) & 1];
        if (bit + 1 == prefix.bits)
            *record = MMDB_TEST_FLAG + (uint32_t)offset;
        else if (*record == 0)
            *record = w->node_count++;
        node = *record;
        assert_true(w->node_count < MMDB_TEST_NODES);
    }
}

static inline void mmdb_save(struct mmdb_writer *w, const char *path) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (uint32_t i = 0; i < w->node_count; i++) {
        for (int side = 0; side < 2; side++) {
            uint32_t record = w->nodes[i][side], value = w->node_count;
            if (record & MMDB_TEST_FLAG)
                value = w->node_count + 16 + (record & ~MMDB_TEST_FLAG);
            else if (record)
                value = record;
            uint8_t wire[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
            fwrite(wire, 1, 3, file);
        }
    }
    static const uint8_t separator[16];
    fwrite(separator, 1, 16, file);
    fwrite(w->data, 1, w->data_bytes, file);
    struct mmdb_writer meta = {.data_bytes = 0};
    mmdb_put(&meta, "\xab\xcd\xefMaxMind.com", 14);
    mmdb_put_map(&meta, 9);
    static const char *const keys[] = {"binary_format_major_version", "binary_format_minor_version",
                                       "ip_version", "record_size"};
    const uint8_t values[] = {2, 0, 6, 24};
    for (int i = 0; i < 4; i++) {
        mmdb_put_text(&meta, keys[i]);
        mmdb_put_control(&meta, 5, 1);
        mmdb_put(&meta, &values[i], 1);
    }
    mmdb_put_text(&meta, "node_count");
    mmdb_put_u32(&meta, w->node_count);
    mmdb_put_text(&meta, "database_type");
    mmdb_put_text(&meta, "Skerry-Test");
    mmdb_put_text(&meta, "build_epoch");
    mmdb_put(&meta, "\x01\x02\x01", 3); /* an extended type: unsigned 64 bits */
    mmdb_put_text(&meta, "languages");
    mmdb_put(&meta, "\x00\x04", 2); /* an empty array */
    mmdb_put_text(&meta, "description");
    mmdb_put_map(&meta, 0);
    fwrite(meta.data, 1, meta.data_bytes, file);
    fclose(file);
}

#endif
