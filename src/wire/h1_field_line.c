#include "wire/h1_internal.h"

/* Names what is wrong with a name that is no token: white space before the colon is its own case. */
static enum wire_h1_refusal name_refusal(sk_str name) {
    if (sk_str_find_byte(name, '\0') < name.len) return WIRE_H1_REFUSAL_NUL;
    if (sk_str_find_byte(name, '\r') < name.len) return WIRE_H1_REFUSAL_BARE_CR;
    sk_str trimmed = sk_str_trim(name);
    bool space = trimmed.len < name.len && http_token_valid(trimmed);
    return space ? WIRE_H1_REFUSAL_FIELD_SPACE_BEFORE_COLON : WIRE_H1_REFUSAL_FIELD_NAME;
}

static enum wire_h1_refusal value_refusal(sk_str value) {
    if (sk_str_find_byte(value, '\0') < value.len) return WIRE_H1_REFUSAL_NUL;
    if (sk_str_find_byte(value, '\r') < value.len) return WIRE_H1_REFUSAL_BARE_CR;
    return WIRE_H1_REFUSAL_FIELD_VALUE;
}

enum wire_h1_refusal h1_field_line(sk_str line, sk_str *out_name, sk_str *out_value) {
    if (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) return WIRE_H1_REFUSAL_OBS_FOLD;
    size_t colon = sk_str_find_byte(line, ':');
    sk_str name = sk_str_make(line.data, colon);
    if (colon == line.len || !http_token_valid(name)) return name_refusal(name);
    sk_str value = sk_str_trim(sk_str_slice(line, colon + 1, line.len));
    if (!http_field_value_valid(value)) return value_refusal(value);
    *out_name = name;
    *out_value = value;
    return WIRE_H1_REFUSAL_NONE;
}
