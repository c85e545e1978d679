/* Any lines as the fields of a response: which field's directives hold (RFC 9213 section 2.2), and that they are
 * in bounds. */
#include "fuzz_fields.h"
#include "http/targeted.h"

static void in_bounds(int64_t seconds) {
    MUST(seconds == HTTP_SECONDS_NONE || (seconds >= 0 && seconds <= HTTP_SECONDS_MAX));
}

static void same(const struct http_cache_control *a, const struct http_cache_control *b) {
    MUST(a->no_store == b->no_store && a->no_cache == b->no_cache && a->is_private == b->is_private);
    MUST(a->is_public == b->is_public && a->max_age == b->max_age && a->s_maxage == b->s_maxage);
    MUST(a->must_revalidate == b->must_revalidate && a->malformed_freshness == b->malformed_freshness);
    MUST(a->stale_if_error == b->stale_if_error && a->stale_while_revalidate == b->stale_while_revalidate);
}

/* The names that a directive is qualified with lie in a field's value. */
static void borrowed(sk_str names, const struct http_fields *fields) {
    bool found = !names.data;
    for (uint32_t i = 0; i < fields->count && !found; i++) {
        sk_str value = fields->items[i].value;
        found = names.data >= value.data && names.data + names.len <= value.data + value.len;
    }
    MUST(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_cache_control control, plain, again;
    bool targeted, targeted_again;
    if (bytes > 3000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_arena_init(&arena, 4096, 0);
    struct http_fields fields = fuzz_fields(&arena, sk_str_make(copy, bytes), 30);
    http_response_cache_control(&fields, &control, &targeted);
    const int64_t all[] = {control.max_age, control.s_maxage, control.stale_if_error,
                           control.stale_while_revalidate};
    for (size_t i = 0; i < SK_COUNT(all); i++) in_bounds(all[i]);
    borrowed(control.no_cache_fields, &fields);
    borrowed(control.private_fields, &fields);
    http_cache_control_parse(&fields, HTTP_FIELD_CACHE_CONTROL, &plain);
    if (!targeted) same(&control, &plain);
    /* Cache-Control is for others where a targeted field holds, and for us where none does */
    fuzz_add(&fields, &arena, HTTP_FIELD_CACHE_CONTROL, SK_STR("no-store"));
    http_response_cache_control(&fields, &again, &targeted_again);
    MUST(targeted_again == targeted);
    if (targeted)
        same(&control, &again);
    else
        MUST(again.no_store || plain.present);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
