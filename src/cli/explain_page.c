#include "cli/explain_page.h"

#include <stdlib.h>
#include <yyjson.h>

/* A page being written; it stops taking text at the first failure, which it remembers. */
struct page {
    struct sk_buf *out;
    sk_err err;
    bool colour;
    yyjson_val *section;
};

#define PRINT(page, ...)                                                                                     \
    do {                                                                                                     \
        if (!(page)->err) (page)->err = sk_buf_printf((page)->out, __VA_ARGS__);                             \
    } while (0)

enum paint { BOLD, GREEN, YELLOW, RED, DIM };

static const char *on(const struct page *page, enum paint paint) {
    static const char *const escapes[] = {"\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    return page->colour ? escapes[paint] : "";
}
static const char *off(const struct page *page) { return page->colour ? "\033[0m" : ""; }

/* --- what the section holds ----------------------------------------------------------------------------- */

static bool enter(struct page *page, yyjson_val *root, const char *name) {
    page->section = yyjson_obj_get(root, name);
    return yyjson_is_obj(page->section);
}

static const char *text(const struct page *page, const char *name) {
    const char *value = yyjson_get_str(yyjson_obj_get(page->section, name));
    return value ? value : "";
}

static long long number(const struct page *page, const char *name) {
    return (long long)yyjson_get_sint(yyjson_obj_get(page->section, name));
}

static bool flag(const struct page *page, const char *name) {
    return yyjson_get_bool(yyjson_obj_get(page->section, name));
}

static void row(struct page *page, const char *name, const char *value) {
    if (*value) PRINT(page, "  %-22s %s\n", name, value);
}

static void title(struct page *page, const char *name) {
    PRINT(page, "\n%s%s%s\n", on(page, BOLD), name, off(page));
}

/* --- the request ---------------------------------------------------------------------------------------- */

static void print_directives(struct page *page) {
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_obj_get(page->section, "cache_control"));
    yyjson_val *name;
    bool first = true;
    while ((name = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        PRINT(page, first ? "  %-22s %s" : "%.0s, %s", "request asks", yyjson_get_str(name));
        if (yyjson_is_int(value)) PRINT(page, "=%lld", (long long)yyjson_get_sint(value));
        first = false;
    }
    if (!first) PRINT(page, "\n");
}

static void print_variant(struct page *page) {
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_obj_get(page->section, "request"));
    yyjson_val *name;
    PRINT(page, "  %-22s Vary: %s (%lld stored)\n", "variant", text(page, "vary"), number(page, "stored"));
    while ((name = yyjson_obj_iter_next(&iter))) {
        const char *value = yyjson_get_str(yyjson_obj_iter_get_val(name));
        PRINT(page, "  %-22s   %s%s%s\n", "", yyjson_get_str(name), value ? ": " : " is not sent",
              value ? value : "");
    }
}

/* The key's lines after the first are of the site's rules and of the variant. */
static void print_key(struct page *page) {
    sk_str rest = sk_str_from_c(text(page, "text")), line;
    const char *name = "key";
    while (rest.len && sk_str_cut(&rest, '\n', &line)) {
        PRINT(page, "  %-22s %.*s\n", name, SK_STR_ARGS(line));
        name = "";
    }
    row(page, "hash", text(page, "hash"));
}

static void print_request(struct page *page, yyjson_val *root) {
    if (enter(page, root, "request"))
        PRINT(page, "%s%s %s%s\n", on(page, BOLD), text(page, "method"), text(page, "url"), off(page));
    if (enter(page, root, "site"))
        PRINT(page, "  %-22s %s (%s is served as %s)\n", "site", text(page, "name"), text(page, "host"),
              text(page, "matched"));
    if (page->section && yyjson_obj_get(page->section, "rule"))
        PRINT(page, "  %-22s rules[%lld], %s\n", "rule", number(page, "rule"), text(page, "rule_path"));
    if (enter(page, root, "key")) print_key(page);
    if (enter(page, root, "variant")) print_variant(page);
    if (enter(page, root, "request")) print_directives(page);
}

/* --- what is stored ------------------------------------------------------------------------------------- */

static void print_stored(struct page *page, yyjson_val *root) {
    if (!yyjson_obj_get(root, "purge")) return; /* nobody looked */
    title(page, "Stored");
    if (!enter(page, root, "stored")) {
        row(page, "nothing", "that this request could have");
    } else {
        PRINT(page, "  %-22s %lld, %s, %lld bytes of content\n", "response", number(page, "status"),
              text(page, "body"), number(page, "bytes"));
        if (yyjson_obj_get(page->section, "slice_bytes"))
            PRINT(page, "  %-22s of %lld bytes; those that are not there are asked for\n", "slices",
                  number(page, "slice_bytes"));
        PRINT(page, "  %-22s %s, %lld bytes in all\n", "tier", text(page, "tier"),
              number(page, yyjson_obj_get(page->section, "disk_bytes") ? "disk_bytes" : "memory_bytes"));
        row(page, "since", text(page, "since"));
        PRINT(page, "  %-22s %s: %s\n", "why", text(page, "reason"), text(page, "reason_text"));
        row(page, "Cache-Control", text(page, "cache_control"));
        row(page, "ETag", text(page, "etag"));
        row(page, "Last-Modified", text(page, "last_modified"));
        if (number(page, "tags")) PRINT(page, "  %-22s %lld\n", "tags", number(page, "tags"));
    }
    if (enter(page, root, "purge"))
        PRINT(page, "  %-22s %s (purges so far: %lld)\n", "purge", text(page, "state"),
              number(page, "clock"));
}

static void sum(struct page *page, const char *name, const char *how) {
    PRINT(page, "  %-22s %8lld%s%s%s%s\n", name, number(page, name), *how ? "  " : "", on(page, DIM), how,
          off(page));
}

static void print_freshness(struct page *page, yyjson_val *root) {
    if (!enter(page, root, "freshness")) return;
    title(page, "Freshness, in seconds (RFC 9111 4.2)");
    row(page, "Date", text(page, "date_value"));
    row(page, "response_time", text(page, "response_time"));
    row(page, "now", text(page, "now"));
    sum(page, "age_value", "Age as received");
    sum(page, "apparent_age", "response_time - Date, at least 0");
    sum(page, "response_delay", "from the request to the response");
    sum(page, "corrected_age_value", "age_value + response_delay");
    sum(page, "corrected_initial_age", "the greater of the two ages above");
    sum(page, "resident_time", "now - response_time");
    sum(page, "current_age", "corrected_initial_age + resident_time");
    PRINT(page, "  %-22s %8lld  %s: %s%s\n", "freshness_lifetime", number(page, "freshness_lifetime"),
          text(page, "rule"), text(page, "rule_text"),
          flag(page, "capped_by_max_ttl") ? "; capped by max_ttl" : "");
    long long ttl = number(page, "ttl");
    PRINT(page, "  %-22s %8lld  %s%s%s\n", "ttl", ttl, on(page, ttl > 0 ? GREEN : YELLOW),
          ttl > 0 ? "fresh" : "stale", off(page));
    sum(page, "stale_while_revalidate", "");
    sum(page, "stale_if_error", "");
    if (flag(page, "always_revalidate")) row(page, "no-cache", "never used without asking");
    if (flag(page, "must_revalidate")) row(page, "must-revalidate", "never stale on anybody else's word");
    if (flag(page, "immutable")) row(page, "immutable", "a reload does not ask while it is fresh");
}

/* --- what would happen ---------------------------------------------------------------------------------- */

static const struct step {
    const char *name, *text;
    enum paint paint;
} steps[] = {
    {"answer", "answered from the store", GREEN},
    {"answer and refresh", "answered from the store, and refreshed behind it", GREEN},
    {"validate", "the origin is asked about what is stored", YELLOW},
    {"fetch", "fetched from the origin", YELLOW},
    {"pass", "passed to the origin, for this client alone", YELLOW},
    {"refuse", "refused", RED},
};

static void print_step(struct page *page) {
    for (size_t i = 0; i < SK_COUNT(steps); i++)
        if (!strcmp(text(page, "step"), steps[i].name))
            PRINT(page, "  %s%s%s", on(page, steps[i].paint), steps[i].text, off(page));
    if (number(page, "status")) PRINT(page, " with %lld", number(page, "status"));
    if (*text(page, "detail")) PRINT(page, ": %s", text(page, "detail"));
    if (flag(page, "joins")) PRINT(page, ", by joining the fetch that is on its way");
    PRINT(page, "\n");
}

static void print_owner(struct page *page, yyjson_val *root) {
    if (!enter(page, root, "peers")) return;
    PRINT(page, "  %-22s %s%s\n", "owner in the ring", text(page, "owner"),
          flag(page, "ours") ? ", this edge" : "; it is asked before an origin");
}

static void print_verdict(struct page *page, yyjson_val *root) {
    if (!enter(page, root, "verdict")) return;
    title(page, "Now");
    print_step(page);
    if (*text(page, "reason"))
        PRINT(page, "  %-22s %s: %s\n", "reason", text(page, "reason"), text(page, "reason_text"));
    if (*text(page, "because"))
        PRINT(page, "  %-22s %s: %s\n", "because", text(page, "because"), text(page, "because_text"));
    row(page, "Cache-Status", text(page, "cache_status"));
    bool asks = !strcmp(text(page, "step"), "validate");
    if (!asks || !enter(page, root, "freshness")) return;
    row(page, "if the origin fails",
        flag(page, "may_serve_if_origin_fails") ? "the stale response answers" : "502 or 504");
}

sk_err cli_explain_page(sk_str json, bool colour, struct sk_buf *out) {
    struct page page = {.out = out, .colour = colour};
    yyjson_doc *doc = yyjson_read(json.data, json.len, YYJSON_READ_NOFLAG);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(root)) {
        yyjson_doc_free(doc);
        return SK_ERR_MALFORMED;
    }
    print_request(&page, root);
    print_stored(&page, root);
    print_freshness(&page, root);
    print_verdict(&page, root);
    print_owner(&page, root);
    yyjson_doc_free(doc);
    return page.err;
}
