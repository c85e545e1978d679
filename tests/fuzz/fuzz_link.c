/* Any bytes as the value of a Link field: every link lies inside it, in order, and reads the same by itself. */
#include "fuzz.h"
#include "http/early_hints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_fields fields = {0}, hints;
    if (bytes > 20000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str whole = sk_str_make(copy, bytes), rest = whole, link;
    const char *behind = copy;
    bool hint;
    while (http_link_next(&rest, &link, &hint)) {
        sk_str alone = link, again;
        bool hint_again;
        MUST(link.len >= 2 && link.data >= behind && link.data + link.len <= copy + bytes);
        MUST(http_link_next(&alone, &again, &hint_again) && sk_str_eq(link, again) && hint == hint_again);
        behind = link.data + link.len;
    }
    sk_arena_init(&arena, 4096, 0);
    MUST(http_fields_add_id(&fields, &arena, HTTP_FIELD_LINK, whole) == SK_OK);
    MUST(http_early_hints(&arena, &fields, &hints) == SK_OK);
    MUST(hints.count <= HTTP_EARLY_HINTS_MAX);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
