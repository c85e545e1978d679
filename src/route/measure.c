#include <math.h>
#include <stdlib.h>

#include "route/measure_private.h"

enum { SOURCES_MAX = 4096, NUMBER_BYTES = 32 };

/* --- reading ---------------------------------------------------------------------------------------- */

/* A decimal from 0 to MOST. */
static bool read_number(sk_str text, double most, double *out) {
    char copy[NUMBER_BYTES], *end;
    if (!text.len || text.len >= sizeof copy || text.data[0] < '0' || text.data[0] > '9') return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    *out = strtod(copy, &end);
    return *end == 0 && *out >= 0 && *out <= most;
}

static sk_err add_network(struct measure_report *report, size_t *capacity,
                          const struct measure_network *item) {
    if (report->count == MEASURE_NETWORKS_MAX) return SK_ERR_TOO_LARGE;
    if (report->count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        struct measure_network *networks = realloc(report->networks, more * sizeof *networks);
        if (!networks) return SK_ERR_NO_MEMORY;
        report->networks = networks;
        *capacity = more;
    }
    report->networks[report->count++] = *item;
    return SK_OK;
}

static sk_err read_network(sk_str first, sk_str rest, struct measure_network *out) {
    sk_str count, p50, p90;
    double n, ms, slow_ms;
    if (io_prefix_parse(first, &out->prefix)) return SK_ERR_MALFORMED;
    if (!sk_str_cut(&rest, ' ', &count) || !read_number(count, UINT32_MAX, &n)) return SK_ERR_MALFORMED;
    if (!sk_str_cut(&rest, ' ', &p50) || !read_number(p50, 1e6, &ms)) return SK_ERR_MALFORMED;
    /* Not used, but with it the number before is known to be whole. */
    if (!sk_str_cut(&rest, ' ', &p90) || !read_number(p90, 1e6, &slow_ms)) return SK_ERR_MALFORMED;
    out->count = (uint32_t)n;
    out->p50_ms = (float)ms;
    return SK_OK;
}

static sk_err read_line(struct measure_report *report, size_t *capacity, sk_str line) {
    sk_str word, rest = line;
    struct measure_network network;
    if (!sk_str_cut(&rest, ' ', &word) || !word.len) return SK_OK;
    if (sk_str_eq(word, SK_STR("load")))
        return read_number(rest, 1e6, &report->load) ? SK_OK : SK_ERR_MALFORMED;
    if (sk_str_eq(word, SK_STR("hit_ratio")))
        return read_number(rest, 1, &report->hit_ratio) ? SK_OK : SK_ERR_MALFORMED;
    bool is_network = (word.data[0] >= '0' && word.data[0] <= '9') || sk_str_find_byte(word, ':') < word.len;
    if (!is_network) return SK_OK;
    sk_err err = read_network(word, rest, &network);
    return err ? err : add_network(report, capacity, &network);
}

sk_err measure_parse(sk_str text, struct measure_report *out_report) {
    struct measure_report report = {.load = NAN, .hit_ratio = NAN};
    size_t capacity = 0;
    sk_str line;
    sk_err err = SK_OK;
    while (!err && sk_str_cut(&text, '\n', &line)) err = read_line(&report, &capacity, line);
    if (err)
        measure_report_free(&report);
    else
        *out_report = report;
    return err;
}

void measure_report_free(struct measure_report *report) {
    free(report->networks);
    *report = (struct measure_report){0};
}

/* --- keeping ---------------------------------------------------------------------------------------- */

sk_err measure_create(struct measure **out_measure) {
    struct measure *measure = calloc(1, sizeof *measure);
    if (measure) *out_measure = measure;
    return measure ? SK_OK : SK_ERR_NO_MEMORY;
}

void measure_free(struct measure *measure) {
    if (!measure) return;
    for (size_t i = 0; i < measure->count; i++) measure_report_free(&measure->sources[i].report);
    free(measure->sources);
    free(measure);
}

static struct source *source_at(struct measure *measure, const struct io_addr *addr) {
    for (size_t i = 0; i < measure->count; i++)
        if (io_addr_eq(&measure->sources[i].addr, addr) &&
            io_addr_port(&measure->sources[i].addr) == io_addr_port(addr))
            return &measure->sources[i];
    return NULL;
}

static sk_err new_source(struct measure *measure, struct source **out_source) {
    if (measure->count == SOURCES_MAX) return SK_ERR_FULL;
    if (measure->count == measure->capacity) {
        size_t more = measure->capacity ? measure->capacity * 2 : 16;
        struct source *sources = realloc(measure->sources, more * sizeof *sources);
        if (!sources) return SK_ERR_NO_MEMORY;
        measure->sources = sources;
        measure->capacity = more;
    }
    *out_source = &measure->sources[measure->count++];
    **out_source = (struct source){0};
    return SK_OK;
}

sk_err measure_take(struct measure *measure, const struct io_addr *addr, sk_str site,
                    struct measure_report *report, sk_time_ns now) {
    struct source *source = source_at(measure, addr);
    sk_err err = source ? SK_OK : new_source(measure, &source);
    if (err) return err;
    measure_report_free(&source->report);
    *source = (struct source){
        .addr = *addr, .site_len = SK_MIN(site.len, MEASURE_SITE_BYTES), .at = now, .report = *report};
    memcpy(source->site, site.data, source->site_len);
    *report = (struct measure_report){0};
    return SK_OK;
}
