/* Any bytes as an edge's report: what is taken makes a table that answers. */
#include "fuzz.h"
#include "route/measure.h"

static void try_table(const struct measure_set *set, struct table_site *sites) {
    struct decide_weights weights;
    struct table *table;
    decide_weights_default(&weights);
    struct table_input input = {.sites = sites,
                                .site_count = 1,
                                .weights = &weights,
                                .measurements = measure_set_items(set),
                                .version = 1};
    MUST(table_build(&input, &table) == SK_OK);
    for (size_t i = 0; i < measure_set_items(set)->prefix_count; i++) {
        const struct decide_answer *answer =
            table_find(table, measure_set_items(set)->items[i].prefix.ip).answer;
        MUST(answer->count == 1 && answer->sites[0] == 0);
    }
    table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct table_site site = {.decide = {.name = SK_STR("fra"), .up = true, .capacity = 1}};
    struct measure_report report;
    struct measure *measure;
    struct measure_set *set;
    struct io_addr addr;
    if (bytes > 4096 || measure_parse(sk_str_make((const char *)data, bytes), &report)) return 0;
    MUST(measure_create(&measure) == SK_OK);
    MUST(io_addr_from_ip("\x7f\0\0\1", 4, 80, &addr) == SK_OK);
    MUST(measure_take(measure, &addr, SK_STR("fra"), &report, 0) == SK_OK);
    MUST(measure_set_create(measure, &site, 1, NULL, 0, &set) == SK_OK);
    try_table(set, &site);
    measure_set_unref(set);
    measure_free(measure);
    return 0;
}
