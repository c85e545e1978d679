/* The opt-in classes: language, media type and kind of client. */
#include "http/accept.h"

#define RANGES_MAX 32
#define AGENT_BYTES 1024

/* ---- Accept-Language ------------------------------------------------------------------------------------- */

/* RANGE is "en" and TAG "en" or "en-GB" (RFC 4647 section 3.3.1). */
static bool covers(sk_str range, sk_str tag) {
    if (sk_str_eq(range, SK_STR("*"))) return true;
    return sk_str_istarts_with(tag, range) && (tag.len == range.len || tag.data[range.len] == '-');
}

/* TAG equals RANGE or what is left when subtags are taken off its end (RFC 4647 section 3.4): then TAG covers
 * RANGE as above. */
static bool found_by_lookup(sk_str range, sk_str tag) { return covers(tag, range); }

struct language_range {
    sk_str range;
    uint16_t weight;
};

static size_t read_ranges(const struct http_fields *fields, struct language_range ranges[RANGES_MAX]) {
    const struct http_field *field = NULL;
    size_t count = 0;
    while ((field = http_fields_next(fields, HTTP_FIELD_ACCEPT_LANGUAGE, field))) {
        sk_str rest = field->value, element;
        while (count < RANGES_MAX && http_list_next(&rest, &element)) {
            struct language_range *range = &ranges[count];
            if (http_weighted_element(element, &range->range, &range->weight) && range->range.len) count++;
        }
    }
    return count;
}

/* The most specific range that covers the tag refuses it. */
static bool refused(const struct language_range *ranges, size_t count, sk_str tag) {
    const struct language_range *nearest = NULL;
    for (size_t i = 0; i < count; i++)
        if (covers(ranges[i].range, tag) && (!nearest || ranges[i].range.len > nearest->range.len))
            nearest = &ranges[i];
    return nearest && nearest->weight == 0;
}

/* The tag that RANGE finds: by lookup the longest one, else the first that it covers. COUNT: none. */
static size_t find_tag(sk_str range, const sk_str *tags, const bool *out, size_t count) {
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (!out[i] && found_by_lookup(range, tags[i]) && (best == count || tags[i].len > tags[best].len))
            best = i;
    for (size_t i = 0; i < count && best == count; i++)
        if (!out[i] && covers(range, tags[i])) best = i;
    return best;
}

size_t http_language_choose(const struct http_fields *fields, const sk_str *tags, size_t count) {
    struct language_range ranges[RANGES_MAX];
    bool out[HTTP_LANGUAGES_MAX];
    size_t range_count = read_ranges(fields, ranges), best = 0;
    uint16_t weight = 0;
    count = SK_MIN(count, (size_t)HTTP_LANGUAGES_MAX);
    for (size_t i = 0; i < count; i++) out[i] = refused(ranges, range_count, tags[i]);
    for (size_t i = 0; i < range_count; i++) {
        if (ranges[i].weight <= weight) continue;
        size_t found = find_tag(ranges[i].range, tags, out, count);
        if (found == count) continue;
        best = found;
        weight = ranges[i].weight;
    }
    return best;
}

/* ---- Accept ---------------------------------------------------------------------------------------------- */

size_t http_media_type_choose(const struct http_fields *fields, const sk_str *types, size_t count) {
    const struct http_field *field = NULL;
    size_t best = count;
    uint16_t best_weight = 0;
    while ((field = http_fields_next(fields, HTTP_FIELD_ACCEPT, field))) {
        sk_str rest = field->value, element, type;
        uint16_t weight;
        while (http_list_next(&rest, &element)) {
            if (!http_weighted_element(element, &type, &weight)) continue;
            for (size_t i = 0; i < count; i++) {
                bool better = weight > best_weight || (weight && weight == best_weight && i < best);
                if (!better || !sk_str_ieq(types[i], type)) continue;
                best = i;
                best_weight = weight;
            }
        }
    }
    return best;
}

/* ---- User-Agent ------------------------------------------------------------------------------------------ */

static bool holds_one_of(sk_str text, const sk_str *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (sk_str_find(text, words[i]) < text.len) return true;
    return false;
}

enum http_agent_class http_agent_class_of(const struct http_fields *fields) {
    static const sk_str bots[] = {SK_STR_INIT("bot"), SK_STR_INIT("crawl"), SK_STR_INIT("spider"),
                                  SK_STR_INIT("slurp")};
    static const sk_str mobiles[] = {SK_STR_INIT("mobile"), SK_STR_INIT("android"), SK_STR_INIT("iphone"),
                                     SK_STR_INIT("ipod"), SK_STR_INIT("opera mini")};
    char lower[AGENT_BYTES];
    sk_str agent = http_fields_value(fields, HTTP_FIELD_USER_AGENT);
    agent.len = SK_MIN(agent.len, sizeof lower);
    if (!agent.len) return HTTP_AGENT_DESKTOP;
    sk_ascii_lower(lower, agent.data, agent.len);
    agent.data = lower;
    if (holds_one_of(agent, bots, SK_COUNT(bots))) return HTTP_AGENT_BOT;
    return holds_one_of(agent, mobiles, SK_COUNT(mobiles)) ? HTTP_AGENT_MOBILE : HTTP_AGENT_DESKTOP;
}

sk_str http_agent_class_text(enum http_agent_class class) {
    switch (class) {
    case HTTP_AGENT_MOBILE: return SK_STR("Mozilla/5.0 (Linux; Android 14; Mobile) Skerry/mobile");
    case HTTP_AGENT_BOT: return SK_STR("Mozilla/5.0 (compatible; bot) Skerry/bot");
    default: return SK_STR("Mozilla/5.0 (X11; Linux x86_64) Skerry/desktop");
    }
}
