#include <endian.h>

#include "wire/h1_internal.h"

/* Index of the first colon, or s.len; eight bytes at a time. In a word XORed with colons the first zero
 * byte is the lowest one that borrows when one is taken from each. */
static size_t find_colon(sk_str s) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, 8);
        word = le64toh(word) ^ ones * ':';
        uint64_t zero = (word - ones) & ~word & ones << 7;
        if (zero) return i + (size_t)__builtin_ctzll(zero) / 8;
    }
    while (i < s.len && s.data[i] != ':') i++;
    return i;
}

/* One line at the start of LINES with its CRLF; 0 when it is not whole or not by the grammar. */
static size_t take_line(sk_str lines, struct http_field *out_field) {
    size_t colon = find_colon(lines), start = colon + 1;
    sk_str name = sk_str_make(lines.data, colon);
    if (colon == lines.len) return 0;
    enum http_field_id id = http_field_lookup(name);
    if (id == HTTP_FIELD_UNKNOWN && !http_token_valid(name)) return 0;
    while (start < lines.len && (lines.data[start] == ' ' || lines.data[start] == '\t')) start++;
    size_t end = start + http_field_text_span(sk_str_make(lines.data + start, lines.len - start));
    if (lines.len - end < 2 || lines.data[end] != '\r' || lines.data[end + 1] != '\n') return 0;
    size_t len = end - start;
    while (len > 0 && (lines.data[start + len - 1] == ' ' || lines.data[start + len - 1] == '\t')) len--;
    *out_field = (struct http_field){name, sk_str_make(lines.data + start, len), (uint16_t)id};
    return end + 2;
}

/* False for fields with which a head is no longer of the plain kind. */
static bool gather(struct h1_framing *framing, const struct http_field *field) {
    switch (field->id) {
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_EXPECT: return false;
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONNECTION:
        h1_framing_add(framing, (enum http_field_id)field->id, field->value);
        return true;
    default: return true;
    }
}

bool h1_plain_lines(sk_str lines, struct http_field *items, uint32_t capacity, struct h1_framing *framing,
                    uint32_t *out_count, size_t *out_bytes) {
    sk_str rest = lines;
    uint32_t count = 0;
    while (rest.len >= 2 && rest.data[0] != '\r') {
        size_t bytes = count < capacity ? take_line(rest, &items[count]) : 0;
        if (bytes == 0 || !gather(framing, &items[count])) return false;
        rest = sk_str_make(rest.data + bytes, rest.len - bytes);
        count++;
    }
    if (rest.len < 2 || rest.data[1] != '\n') return false;
    *out_count = count;
    *out_bytes = lines.len - rest.len + 2;
    return true;
}
