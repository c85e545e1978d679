/* Lines of text as fields, for the fuzzers of decisions. */
#ifndef SK_TESTS_FUZZ_FIELDS_H
#define SK_TESTS_FUZZ_FIELDS_H

#include "fuzz.h"
#include "http/message.h"

/* Each "Name: value" line of TEXT, borrowed; lines without a colon are skipped, and so is what comes after MOST. */
static inline struct http_fields fuzz_fields(struct sk_arena *arena, sk_str text, uint32_t most) {
    struct http_fields fields = {0};
    sk_str line;
    while (fields.count < most && sk_str_cut(&text, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        if (colon == line.len) continue;
        sk_str value = sk_str_trim(sk_str_slice(line, colon + 1, line.len));
        MUST(http_fields_add(&fields, arena, sk_str_slice(line, 0, colon), value) == SK_OK);
    }
    return fields;
}

static inline void fuzz_add(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id,
                            sk_str value) {
    MUST(http_fields_add_id(fields, arena, id, value) == SK_OK);
}

#endif
