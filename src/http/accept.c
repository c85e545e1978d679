#include "http/accept.h"

/* Where the client says nothing about identity: acceptable, but anything that it names is better. */
#define WEIGHT_LEAST 1

static const sk_str names[] = {
#define X(name, text) SK_STR_INIT(text),
    HTTP_CODING_TABLE(X)
#undef X
};

sk_str http_coding_name(enum http_coding coding) { return names[coding]; }

enum http_coding http_coding_lookup(sk_str name) {
    for (size_t i = 0; i < SK_COUNT(names); i++)
        if (sk_str_ieq(names[i], name)) return (enum http_coding)i;
    return sk_str_ieq(name, SK_STR("x-gzip")) ? HTTP_CODING_GZIP : HTTP_CODING_COUNT_;
}

/* ---- weights --------------------------------------------------------------------------------------------- */

bool http_weight_parse(sk_str text, uint16_t *out_weight) {
    uint16_t weight = 0, unit = HTTP_WEIGHT_ONE;
    if (text.len < 1 || text.len > 5) return false;
    if (text.data[0] != '0' && text.data[0] != '1') return false;
    if (text.len > 1 && text.data[1] != '.') return false;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1) continue;
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        weight = (uint16_t)(weight + (text.data[i] - '0') * unit);
        unit /= 10;
    }
    if (weight > HTTP_WEIGHT_ONE) return false;
    *out_weight = weight;
    return true;
}

/* "q=0.5" with white space around; false when it is no weight at all. */
static bool is_weight(sk_str parameter, sk_str *out_value) {
    size_t equals = sk_str_find_byte(parameter, '=');
    if (!sk_str_ieq(sk_str_trim(sk_str_slice(parameter, 0, equals)), SK_STR("q"))) return false;
    *out_value = sk_str_trim(sk_str_slice(parameter, equals + 1, parameter.len));
    return true;
}

bool http_weighted_element(sk_str element, sk_str *out_value, uint16_t *out_weight) {
    sk_str rest = element, piece, weight;
    *out_weight = HTTP_WEIGHT_ONE;
    (void)sk_str_cut(&rest, ';', &piece);
    *out_value = sk_str_trim(piece);
    while (sk_str_cut(&rest, ';', &piece))
        if (is_weight(piece, &weight)) return http_weight_parse(weight, out_weight);
    return true;
}

/* ---- Accept-Encoding ------------------------------------------------------------------------------------- */

struct codings {
    bool named[HTTP_CODING_COUNT_];
    bool any_named;
    uint16_t any; /* of "*" */
};

static void take_element(struct http_accept_encoding *accept, struct codings *codings, sk_str element) {
    sk_str value;
    uint16_t weight;
    if (!http_weighted_element(element, &value, &weight)) return;
    if (sk_str_eq(value, SK_STR("*"))) {
        codings->any = codings->any_named ? SK_MIN(codings->any, weight) : weight;
        codings->any_named = true;
        return;
    }
    enum http_coding coding = http_coding_lookup(value);
    if (coding == HTTP_CODING_COUNT_) return;
    uint16_t *known = &accept->weights[coding];
    *known = codings->named[coding] ? SK_MIN(*known, weight) : weight;
    codings->named[coding] = true;
}

void http_accept_encoding_parse(const struct http_fields *fields, struct http_accept_encoding *out_accept) {
    struct codings codings = {0};
    const struct http_field *field = NULL;
    *out_accept = (struct http_accept_encoding){0};
    while ((field = http_fields_next(fields, HTTP_FIELD_ACCEPT_ENCODING, field))) {
        sk_str rest = field->value, element;
        out_accept->present = true;
        while (http_list_next(&rest, &element)) take_element(out_accept, &codings, element);
    }
    if (!codings.named[HTTP_CODING_IDENTITY])
        out_accept->weights[HTTP_CODING_IDENTITY] = codings.any_named && !codings.any ? 0 : WEIGHT_LEAST;
    if (!codings.any_named) return;
    for (size_t i = HTTP_CODING_IDENTITY + 1; i < HTTP_CODING_COUNT_; i++)
        if (!codings.named[i] && i != HTTP_CODING_DCB && i != HTTP_CODING_DCZ)
            out_accept->weights[i] = codings.any;
}

enum http_coding http_coding_choose(const struct http_accept_encoding *accept, const uint8_t *offered,
                                    size_t count) {
    enum http_coding best = HTTP_CODING_IDENTITY;
    uint16_t weight = 0;
    for (size_t i = 0; i < count; i++) {
        if (accept->weights[offered[i]] <= weight) continue;
        best = offered[i];
        weight = accept->weights[best];
    }
    return accept->weights[HTTP_CODING_IDENTITY] > weight ? HTTP_CODING_IDENTITY : best;
}

static char *put(char *at, sk_str text) {
    memcpy(at, text.data, text.len);
    return at + text.len;
}

size_t http_accept_encoding_normal(const struct http_accept_encoding *accept,
                                   char out[HTTP_ACCEPT_ENCODING_TEXT_MAX]) {
    char *at = out;
    for (size_t i = HTTP_CODING_IDENTITY + 1; i < HTTP_CODING_COUNT_; i++) {
        if (!accept->weights[i]) continue;
        if (at != out) at = put(at, SK_STR(", "));
        at = put(at, names[i]);
    }
    bool refused = !accept->weights[HTTP_CODING_IDENTITY];
    if (refused && at != out) at = put(at, SK_STR(", "));
    if (refused || at == out) at = put(at, names[HTTP_CODING_IDENTITY]);
    if (refused) at = put(at, SK_STR(";q=0"));
    return (size_t)(at - out);
}
