/* Any bytes as the values of the fields of RFC 9842, in a request and in a response: the answers are the same each
 * time, and a hash has its length. */
#include "fuzz.h"
#include "http/dictionary.h"

static void add(struct http_fields *fields, struct sk_arena *arena, const char *name, sk_str value) {
    MUST(http_fields_add(fields, arena, sk_str_from_c(name), value) == SK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_fields response = {0};
    struct http_request request = {.scheme = SK_STR("https")};
    uint8_t hash[HTTP_DICTIONARY_HASH_BYTES], again[HTTP_DICTIONARY_HASH_BYTES];
    if (bytes > 20000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str rest = sk_str_make(copy, bytes), first = {0}, second = {0};
    (void)sk_str_cut(&rest, '\n', &first);
    (void)sk_str_cut(&rest, '\n', &second);
    sk_arena_init(&arena, 4096, 0);
    add(&response, &arena, "use-as-dictionary", first);
    add(&response, &arena, "use-as-dictionary", second);
    add(&response, &arena, "access-control-allow-origin", second);
    add(&request.fields, &arena, "available-dictionary", first);
    add(&request.fields, &arena, "sec-fetch-site", first);
    add(&request.fields, &arena, "sec-fetch-mode", second);
    add(&request.fields, &arena, "origin", second);
    bool is_one = http_dictionary_is_one(&arena, &response);
    MUST(is_one == http_dictionary_is_one(&arena, &response));
    bool there = http_dictionary_available(&arena, &request.fields, hash);
    MUST(there == http_dictionary_available(&arena, &request.fields, again));
    MUST(!there || memcmp(hash, again, sizeof hash) == 0);
    bool allowed = http_dictionary_allowed(&request, &response);
    request.scheme = SK_STR("http");
    MUST(!http_dictionary_allowed(&request, &response));
    (void)allowed;
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
