/* The model's own reading of fields, written from RFC 9110, 9111, 5861, 8246 and 9213, with nothing of
 * Skerry's. It may be slow, and it need only understand what the generator can say. */
#ifndef SK_TESTS_PROPERTY_TEXT_H
#define SK_TESTS_PROPERTY_TEXT_H

#include "trace.h"

#define TEXT_NONE (-1)
#define TEXT_SECONDS_MAX INT64_C(2147483648) /* RFC 9111 1.2.2 */

/* What a list of directives says. Numbers are TEXT_NONE when absent. */
struct text_control {
    bool present, no_store, no_cache, is_private, is_public, must_revalidate, proxy_revalidate,
        must_understand;
    bool immutable, only_if_cached, max_stale_any;
    int64_t max_age, s_maxage, min_fresh, max_stale, stale_while_revalidate, stale_if_error;
    int64_t first_max_age,
        first_s_maxage; /* where several are there: RFC 9111 4.2.1 lets caches take the first */
    bool bad_lifetime;  /* a lifetime that cannot be read */
    bool targeted;      /* from a targeted field: Expires does not count (RFC 9213 2.2) */
};

/* Of a request, Pragma folded in (RFC 9111 5.4). */
void text_request_control(const struct trace_head *head, struct text_control *out);
/* Of a response, by the first targeted field that can be read, else by Cache-Control. no_cache and is_private are
 * set for the qualified forms too when the response has one of the named fields. */
void text_response_control(const struct trace_head *head, struct text_control *out);

/* Seconds since 1970 in one of the three formats (RFC 9110 5.6.7). */
bool text_date(const char *text, int64_t *out_time);
/* delta-seconds; TEXT_NONE when it is none. */
int64_t text_seconds(const char *text);
/* The N-th element of a list without regard to quotes' inside; false at the end. */
bool text_element(const char *list, int n, char *out, size_t room);
/* Is TAG one of those by which the response may be purged (Surrogate-Key, Cache-Tag, xkey)? */
bool text_has_tag(const struct trace_head *head, const char *tag);
/* True when NAME is an element of any line of FIELD, in any case. */
bool text_lists(const struct trace_head *head, const char *field, const char *name);
/* An entity tag that can be read (RFC 9110 8.8.3). */
bool text_is_tag(const char *text);
bool text_weakly_equal(const char *a, const char *b);
bool text_strongly_equal(const char *a, const char *b);
/* All lines of a field joined. False when there is none. */
bool text_joined(const struct trace_head *head, const char *name, char *out, size_t room);

#endif
