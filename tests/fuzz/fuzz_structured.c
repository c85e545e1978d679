/* Any text as a structured field of each kind; the first byte bounds the arena. */
#include <stdlib.h>

#include "http/structured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) return 0;
    /* A copy without room behind it, so that a read past the end shows. */
    char *copy = malloc(bytes);
    struct sk_arena arena;
    struct http_sf_member *members, item;
    uint32_t count;
    if (!copy) abort();
    memcpy(copy, data, bytes);
    sk_str text = sk_str_make(copy + 1, bytes - 1);
    sk_arena_init(&arena, 256, data[0] < 255 ? 16 * (size_t)data[0] + 1 : 0);
    if (http_sf_parse_list(&arena, text, &members, &count) == SK_OK && count > HTTP_SF_MEMBERS_MAX) abort();
    if (http_sf_parse_dictionary(&arena, text, &members, &count) == SK_OK)
        for (uint32_t i = 0; i < count; i++)
            if (http_sf_find(members, count, members[i].key) != &members[i]) abort();
    if (http_sf_parse_item(&arena, text, &item) == SK_OK && item.value.type == HTTP_SF_INNER_LIST) abort();
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
