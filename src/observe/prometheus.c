/* The text format 0.0.4: for each metric family one HELP and one TYPE line, then its series, all together. */
#include <math.h>
#include <pthread.h>

#include "observe/metrics.h"

/* Protects the list of gauges; held while gauges are read, which is when somebody looks at /metrics. Sorted
 * by family, so that the series of one are neighbours. */
static pthread_mutex_t gauges_lock = PTHREAD_MUTEX_INITIALIZER;
static struct observe_gauge *gauges;

/* A series' name without its labels. */
static sk_str family_of(const char *name) {
    sk_str whole = sk_str_from_c(name);
    return sk_str_slice(whole, 0, sk_str_find_byte(whole, '{'));
}

static int order(const struct observe_gauge *a, const struct observe_gauge *b) {
    int families = sk_str_compare(family_of(a->name), family_of(b->name));
    return families ? families : strcmp(a->name, b->name);
}

void observe_gauge_register(struct observe_gauge *gauge) {
    pthread_mutex_lock(&gauges_lock);
    struct observe_gauge **place = &gauges;
    while (*place && order(*place, gauge) <= 0) place = &(*place)->next;
    gauge->next = *place;
    *place = gauge;
    pthread_mutex_unlock(&gauges_lock);
}

void observe_gauge_remove(struct observe_gauge *gauge) {
    pthread_mutex_lock(&gauges_lock);
    for (struct observe_gauge **place = &gauges; *place; place = &(*place)->next) {
        if (*place != gauge) continue;
        *place = gauge->next;
        gauge->next = NULL;
        break;
    }
    pthread_mutex_unlock(&gauges_lock);
}

/* A list of things to write that stops at the first failure and remembers it. */
struct writer {
    struct sk_buf *out;
    sk_err err;
    sk_str family; /* of the last HELP line */
};

#define PRINT(w, ...)                                                                                        \
    do {                                                                                                     \
        if ((w)->err == SK_OK) (w)->err = sk_buf_printf((w)->out, __VA_ARGS__);                              \
    } while (0)

/* HELP escapes backslash and line feed; our tables have neither, gauges of others might. */
static void help_text(struct writer *w, const char *help) {
    for (; *help && w->err == SK_OK; help++) {
        const char *escaped = *help == '\\' ? "\\\\" : *help == '\n' ? "\\n" : NULL;
        w->err = sk_buf_append(w->out, escaped ? sk_str_from_c(escaped) : sk_str_make(help, 1));
    }
}

static void family(struct writer *w, const char *name, const char *type, const char *help) {
    sk_str own = family_of(name);
    if (sk_str_eq(own, w->family)) return;
    w->family = own;
    PRINT(w, "# HELP %.*s ", SK_STR_ARGS(own));
    help_text(w, help);
    PRINT(w, "\n# TYPE %.*s %s\n", SK_STR_ARGS(own), type);
}

static const struct {
    const char *name, *help;
} counter_rows[] = {
#define X(counter, name, help) {name, help},
    OBSERVE_COUNTER_TABLE(X)
#undef X
};

static void counters(struct writer *w) {
    for (unsigned i = 0; i < OBSERVE_COUNTER_COUNT_; i++) {
        family(w, counter_rows[i].name, "counter", counter_rows[i].help);
        PRINT(w, "%s %llu\n", counter_rows[i].name, (unsigned long long)observe_total(i));
    }
}

static void reasons(struct writer *w) {
    family(w, OBSERVE_REASON_METRIC, "counter", OBSERVE_REASON_HELP);
    for (unsigned i = 0; i < HTTP_REASON_COUNT_; i++)
        PRINT(w, OBSERVE_REASON_METRIC "{reason=\"%.*s\"} %llu\n", SK_STR_ARGS(http_reason_name(i)),
              (unsigned long long)observe_reason_total(i));
}

/* Of the fine buckets one a power of two is shown, from 8 us to 67 s: 24 lines a histogram. */
enum { FIRST_SHOWN_OCTAVE = 3, LAST_SHOWN_OCTAVE = 26 };

static void histogram(struct writer *w, enum observe_histogram which, const char *name, const char *help) {
    uint64_t buckets[OBSERVE_BUCKETS], below = 0;
    double sum_s;
    uint64_t count = observe_histogram_read(which, buckets, &sum_s);
    family(w, name, "histogram", help);
    for (unsigned i = 0; i < OBSERVE_BUCKETS - 1; i++) {
        below += buckets[i];
        if (i % 4 == 0 && i / 4 >= FIRST_SHOWN_OCTAVE && i / 4 <= LAST_SHOWN_OCTAVE)
            PRINT(w, "%s_bucket{le=\"%.9g\"} %llu\n", name, (double)observe_bucket_bound_ns(i) / 1e9,
                  (unsigned long long)below);
    }
    PRINT(w, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    PRINT(w, "%s_sum %.9f\n%s_count %llu\n", name, sum_s, name, (unsigned long long)count);
}

static void gauge_value(struct writer *w, const char *name, double value) {
    if (isnan(value))
        PRINT(w, "%s NaN\n", name);
    else if (isinf(value))
        PRINT(w, "%s %s\n", name, value > 0 ? "+Inf" : "-Inf");
    else
        PRINT(w, "%s %.17g\n", name, value);
}

static void process(struct writer *w) {
    double values[OBSERVE_PROCESS_COUNT_];
    observe_process_read(values);
#define X(value, name, type, help)                                                                           \
    family(w, name, type, help);                                                                             \
    gauge_value(w, name, values[OBSERVE_PROCESS_##value]);
    OBSERVE_PROCESS_TABLE(X)
#undef X
}

static void all_gauges(struct writer *w) {
    pthread_mutex_lock(&gauges_lock);
    for (struct observe_gauge *gauge = gauges; gauge; gauge = gauge->next) {
        family(w, gauge->name, "gauge", gauge->help);
        gauge_value(w, gauge->name, gauge->read(gauge->arg));
    }
    /* The family's text may belong to a gauge that goes away after the unlock. */
    w->family = SK_STR("");
    pthread_mutex_unlock(&gauges_lock);
}

sk_err observe_write_prometheus(struct sk_buf *out) {
    struct writer w = {.out = out};
    counters(&w);
    reasons(&w);
#define X(which, name, help) histogram(&w, OBSERVE_##which, name, help);
    OBSERVE_HISTOGRAM_TABLE(X)
#undef X
    process(&w);
    all_gauges(&w);
    return w.err;
}
