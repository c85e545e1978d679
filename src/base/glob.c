#include "base/glob.h"

struct two_parts {
    sk_str first, second;
};

static size_t length(const struct two_parts *text) { return text->first.len + text->second.len; }

static char byte_at(const struct two_parts *text, size_t i) {
    return i < text->first.len ? text->first.data[i] : text->second.data[i - text->first.len];
}

/* Only the last star needs to be tried again: what earlier ones took can stay as short as it was. */
bool sk_glob_match(sk_str pattern, sk_str first, sk_str second) {
    struct two_parts text = {first, second};
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < length(&text)) {
        char wanted = p < pattern.len ? pattern.data[p] : '\0';
        if (p < pattern.len && wanted == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.len && (wanted == '?' || wanted == byte_at(&text, t))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') p++;
    return p == pattern.len;
}

sk_str sk_glob_literal(sk_str pattern) {
    size_t end = SK_MIN(sk_str_find_byte(pattern, '*'), sk_str_find_byte(pattern, '?'));
    return sk_str_slice(pattern, 0, end);
}

size_t sk_glob_stars(sk_str pattern) {
    size_t stars = 0;
    for (size_t i = 0; i < pattern.len; i++) stars += pattern.data[i] == '*';
    return stars;
}
