/* The body of a request to purge: a problem or purges that the cache takes. */
#include "config/load.h"
#include "edge/purge_target.h"
#include "fuzz.h"

static struct config *config;
static struct cache *cache;

static void set_up(void) {
    struct config_problems problems;
    struct cache_options options = {.memory_bytes = 8 << 20};
    config_problems_init(&problems);
    MUST(
        config_parse(SK_STR("sites:\n"
                            "  - {name: s, hosts: [a.example, '*.a.example'], origin: 'http://127.0.0.1:1'}\n"
                            "  - {name: t, origin: 'http://127.0.0.1:2'}\n"),
                     "f", &config, &problems) == SK_OK);
    config_problems_free(&problems);
    MUST(cache_create(&options, &cache) == SK_OK);
}

static void apply(const struct edge_purge_list *list) {
    MUST(list->count > 0 && list->count <= EDGE_PURGE_TARGETS_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t before = cache_purge_clock(cache), number;
        MUST(cache_purge(cache, &list->items[i], &number) == SK_OK);
        MUST(number == before + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct fleet_purge_request request = {0};
    struct edge_purge_list list = {0};
    struct fleet_purge_problem problem = {""};
    if (!config) set_up();
    char *copy = exact_copy(data, bytes);
    sk_arena_init(&arena, 1024, 0);
    sk_err err = fleet_purge_parse(sk_str_make(copy, bytes), &arena, &request, &problem);
    free(copy); /* it is borrowed only during the call */
    if (!err) err = edge_purge_resolve(config, &request, &arena, &list, &problem);
    MUST((err == SK_ERR_INVALID) == (problem.text[0] != '\0'));
    if (!err) apply(&list);
    edge_purge_list_free(&list);
    fleet_purge_request_free(&request);
    sk_arena_free(&arena);
    return 0;
}
