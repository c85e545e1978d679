/* What people read about the metrics: docs/metrics.md and `skerry help metrics`. */
#include "observe/metrics.h"

struct writer {
    struct sk_buf *out;
    enum observe_reference_style style;
    sk_err err;
    sk_str family; /* of the last line: the series of one family are told once */
};

static void row(struct writer *w, sk_str family, const char *type, sk_str label, const char *help) {
    const char *open = label.len ? "`" : "";
    if (w->style == OBSERVE_REFERENCE_MARKDOWN)
        w->err = sk_buf_printf(w->out, "| `%.*s` | %s | %s%.*s%s | %s |\n", SK_STR_ARGS(family), type, open,
                               SK_STR_ARGS(label), open, help);
    else
        w->err =
            sk_buf_printf(w->out, "%.*s%s%.*s%s\n    %s: %s\n", SK_STR_ARGS(family), label.len ? "{" : "",
                          SK_STR_ARGS(label), label.len ? "=...}" : "", type, help);
}

/* NAME is a series, with a label if it has one. */
static void metric(struct writer *w, const char *name, const char *type, const char *help) {
    sk_str series = sk_str_from_c(name);
    size_t brace = sk_str_find_byte(series, '{');
    sk_str family = sk_str_slice(series, 0, brace), labels = sk_str_slice(series, brace + 1, series.len);
    if (w->err || sk_str_eq(family, w->family)) return;
    w->family = family;
    row(w, family, type, sk_str_slice(labels, 0, sk_str_find_byte(labels, '=')), help);
}

static const char head[] =
    "# The metrics of an edge\n\n"
    "<!-- Made by `skerry help metrics --markdown` from the tables in src: change them there. -->\n\n"
    "`GET /metrics` on the admin address gives them in the Prometheus text format 0.0.4. Counters count from the\n"
    "start of the process. Histograms have a bucket for each power of two from 8 microseconds to 67 seconds.\n\n"
    "| metric | type | label | |\n|---|---|---|---|\n";

sk_err observe_write_reference(struct sk_buf *out, enum observe_reference_style style,
                               const struct observe_gauge *gauges, size_t count) {
    struct writer w = {.out = out, .style = style};
    if (style == OBSERVE_REFERENCE_MARKDOWN) w.err = sk_buf_append(out, SK_STR(head));
#define X(counter, name, help) metric(&w, name, "counter", help);
    OBSERVE_COUNTER_TABLE(X)
#undef X
    metric(&w, OBSERVE_REASON_METRIC "{reason=}", "counter", OBSERVE_REASON_HELP);
#define X(histogram, name, help) metric(&w, name, "histogram", help);
    OBSERVE_HISTOGRAM_TABLE(X)
#undef X
#define X(value, name, type, help) metric(&w, name, type, help);
    OBSERVE_PROCESS_TABLE(X)
#undef X
    for (size_t i = 0; i < count; i++) metric(&w, gauges[i].name, "gauge", gauges[i].help);
    return w.err;
}
