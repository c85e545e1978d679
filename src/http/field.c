#include "http/field.h"

#include <endian.h>

/* ---- the table of names ------------------------------------------------------------------------------ */

static const sk_str names[HTTP_FIELD_COUNT_] = {
#define X(name, text) [HTTP_FIELD_##name] = SK_STR_INIT(text),
    HTTP_FIELD_TABLE(X)
#undef X
};

/* An open-addressed hash of ids, filled once before main and read-only after it. The multipliers were
 * chosen so that every name sits in its own slot; a later name that does not costs one more comparison. */
#define SLOT_COUNT 512U
static uint8_t slots[SLOT_COUNT];
static_assert(HTTP_FIELD_COUNT_ < 256, "ids fit in a slot");

static uint32_t fold(char c) { return (uint8_t)c | 0x20U; }

static uint32_t slot_of(sk_str name) {
    uint32_t hash = (uint32_t)name.len * 123 + fold(name.data[0]) * 24 + fold(name.data[name.len - 1]) * 122 +
                    fold(name.data[name.len / 2]) * 70 + fold(name.data[name.len / 3]) * 51;
    return hash % SLOT_COUNT;
}

[[gnu::constructor]] static void fill_slots(void) {
    for (uint32_t id = 1; id < HTTP_FIELD_COUNT_; id++) {
        uint32_t slot = slot_of(names[id]);
        while (slots[slot] != 0) slot = (slot + 1) % SLOT_COUNT;
        slots[slot] = (uint8_t)id;
    }
}

/* The eight bytes of A equal the lower-case ones of B but for case. Only letters may differ in bit 5, so a
 * byte without it must be an upper-case letter (bit 6 set), not a control byte. */
static bool fold_match(uint64_t a, uint64_t b) {
    uint64_t no_letter = ~(a >> 5) & ~(a >> 6) & UINT64_C(0x0101010101010101);
    return (a | UINT64_C(0x2020202020202020)) == b && no_letter == 0;
}

static uint64_t load8(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* Two to seven bytes as a word; overlapping halves do no harm where both sides are loaded alike. Bytes that
 * are not there count as letters. */
static uint64_t load_short(const char *bytes, size_t len) {
    const uint64_t absent = UINT64_C(0x6161616100000000);
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, bytes, 4);
        memcpy(&high, bytes + len - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    uint16_t low, high;
    memcpy(&low, bytes, 2);
    memcpy(&high, bytes + len - 2, 2);
    return absent | (uint64_t)high << 16 | low;
}

static bool equals_lower(sk_str name, sk_str text) {
    if (name.len != text.len) return false;
    if (name.len < 8) return fold_match(load_short(name.data, name.len), load_short(text.data, text.len));
    for (size_t i = 0; i + 8 <= name.len; i += 8) {
        if (!fold_match(load8(name.data + i), load8(text.data + i))) return false;
    }
    return fold_match(load8(name.data + name.len - 8), load8(text.data + name.len - 8));
}

enum http_field_id http_field_lookup(sk_str name) {
    if (name.len < 2) return HTTP_FIELD_UNKNOWN;
    for (uint32_t slot = slot_of(name); slots[slot] != 0; slot = (slot + 1) % SLOT_COUNT) {
        if (equals_lower(name, names[slots[slot]])) return (enum http_field_id)slots[slot];
    }
    return HTTP_FIELD_UNKNOWN;
}

sk_str http_field_name(enum http_field_id id) {
    SK_ASSERT(id > HTTP_FIELD_UNKNOWN && id < HTTP_FIELD_COUNT_);
    return names[id];
}

/* ---- lists of fields --------------------------------------------------------------------------------- */

#define FIRST_CAPACITY 16

static sk_err grow(struct http_fields *fields, struct sk_arena *arena) {
    uint32_t capacity = fields->capacity ? fields->capacity * 2 : FIRST_CAPACITY;
    size_t bytes = capacity * sizeof(*fields->items);
    struct http_field *items = sk_arena_alloc(arena, bytes);
    if (!items) {
        bool over = arena->limit != 0 && arena->used + bytes > arena->limit;
        return over ? SK_ERR_TOO_LARGE : SK_ERR_NO_MEMORY;
    }
    if (fields->count > 0) memcpy(items, fields->items, fields->count * sizeof(*items));
    fields->items = items;
    fields->capacity = capacity;
    return SK_OK;
}

static sk_err add(struct http_fields *fields, struct sk_arena *arena, struct http_field field) {
    if (fields->count == fields->capacity) {
        sk_err err = grow(fields, arena);
        if (err) return err;
    }
    fields->items[fields->count++] = field;
    return SK_OK;
}

sk_err http_fields_add(struct http_fields *fields, struct sk_arena *arena, sk_str name, sk_str value) {
    return add(fields, arena, (struct http_field){name, value, (uint16_t)http_field_lookup(name)});
}

sk_err http_fields_add_id(struct http_fields *fields, struct sk_arena *arena, enum http_field_id id,
                          sk_str value) {
    return add(fields, arena, (struct http_field){http_field_name(id), value, (uint16_t)id});
}

/* The index to go on from after PREVIOUS, which is NULL or an element of FIELDS. */
static uint32_t index_after(const struct http_fields *fields, const struct http_field *previous) {
    return previous ? (uint32_t)(previous - fields->items) + 1 : 0;
}

const struct http_field *http_fields_next(const struct http_fields *fields, enum http_field_id id,
                                          const struct http_field *previous) {
    for (uint32_t i = index_after(fields, previous); i < fields->count; i++) {
        if (fields->items[i].id == id) return &fields->items[i];
    }
    return NULL;
}

const struct http_field *http_fields_find(const struct http_fields *fields, enum http_field_id id) {
    return http_fields_next(fields, id, NULL);
}

const struct http_field *http_fields_find_name(const struct http_fields *fields, sk_str name,
                                               const struct http_field *previous) {
    for (uint32_t i = index_after(fields, previous); i < fields->count; i++) {
        if (sk_str_ieq(fields->items[i].name, name)) return &fields->items[i];
    }
    return NULL;
}

sk_str http_fields_value(const struct http_fields *fields, enum http_field_id id) {
    const struct http_field *field = http_fields_find(fields, id);
    return field ? field->value : (sk_str){NULL, 0};
}

void http_fields_remove(struct http_fields *fields, enum http_field_id id) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != id) fields->items[kept++] = fields->items[i];
    }
    fields->count = kept;
}

void http_fields_remove_name(struct http_fields *fields, sk_str name) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!sk_str_ieq(fields->items[i].name, name)) fields->items[kept++] = fields->items[i];
    }
    fields->count = kept;
}

static sk_str join(const struct http_fields *fields, enum http_field_id id, char *out) {
    sk_str joined = {out, 0};
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, id, f));) {
        if (f != http_fields_find(fields, id)) {
            memcpy(out + joined.len, ", ", 2);
            joined.len += 2;
        }
        if (f->value.len > 0) memcpy(out + joined.len, f->value.data, f->value.len);
        joined.len += f->value.len;
    }
    return joined;
}

sk_str http_fields_joined(const struct http_fields *fields, enum http_field_id id, struct sk_arena *arena) {
    const struct http_field *first = http_fields_find(fields, id);
    if (!first || !http_fields_next(fields, id, first)) return http_fields_value(fields, id);
    size_t bytes = 0;
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, id, f));) bytes += f->value.len + 2;
    char *out = sk_arena_alloc(arena, bytes);
    return out ? join(fields, id, out) : (sk_str){NULL, 0};
}

/* ---- the grammar of names and values ----------------------------------------------------------------- */

/* The index after the quoted string that starts at FROM, or the end when it is not closed. */
static size_t skip_quoted(sk_str s, size_t from) {
    for (size_t i = from + 1; i < s.len; i++) {
        if (s.data[i] == '\\')
            i++;
        else if (s.data[i] == '"')
            return i + 1;
    }
    return s.len;
}

bool http_list_next(sk_str *rest, sk_str *out_element) {
    while (rest->len > 0) {
        size_t end = 0;
        while (end < rest->len && rest->data[end] != ',') {
            end = rest->data[end] == '"' ? skip_quoted(*rest, end) : end + 1;
        }
        sk_str element = sk_str_trim(sk_str_make(rest->data, end));
        size_t taken = SK_MIN(end + 1, rest->len);
        *rest = sk_str_make(rest->data + taken, rest->len - taken);
        if (element.len == 0) continue;
        *out_element = element;
        return true;
    }
    return false;
}

/* tchar of RFC 9110 section 5.6.2. */
static const bool token_bytes[256] = {
    ['!'] = true,     ['#'] = true,     ['$'] = true,     ['%'] = true,     ['&'] = true,
    ['\''] = true,    ['*'] = true,     ['+'] = true,     ['-'] = true,     ['.'] = true,
    ['^'] = true,     ['_'] = true,     ['`'] = true,     ['|'] = true,     ['~'] = true,
    ['0'] = true,     ['1'] = true,     ['2'] = true,     ['3'] = true,     ['4'] = true,
    ['5'] = true,     ['6'] = true,     ['7'] = true,     ['8'] = true,     ['9'] = true,
#define LETTER(lower, upper) [lower] = true, [upper] = true
    LETTER('a', 'A'), LETTER('b', 'B'), LETTER('c', 'C'), LETTER('d', 'D'), LETTER('e', 'E'),
    LETTER('f', 'F'), LETTER('g', 'G'), LETTER('h', 'H'), LETTER('i', 'I'), LETTER('j', 'J'),
    LETTER('k', 'K'), LETTER('l', 'L'), LETTER('m', 'M'), LETTER('n', 'N'), LETTER('o', 'O'),
    LETTER('p', 'P'), LETTER('q', 'Q'), LETTER('r', 'R'), LETTER('s', 'S'), LETTER('t', 'T'),
    LETTER('u', 'U'), LETTER('v', 'V'), LETTER('w', 'W'), LETTER('x', 'X'), LETTER('y', 'Y'),
    LETTER('z', 'Z'),
#undef LETTER
};

bool http_token_valid(sk_str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (!token_bytes[(uint8_t)s.data[i]]) return false;
    }
    return s.len > 0;
}

/* Field text is VCHAR, obs-text, SP and HTAB: no other byte below SP, and no DEL. */
static bool text_byte(uint8_t c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

/* A word with the top bit set for each of eight bytes that is below SP or DEL, the first byte lowest. With
 * its top bit masked no byte carries into the next: plus 0x60 it reaches 0x80 from SP on, plus 1 at DEL. */
static uint64_t odd_bytes(const char *bytes) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t word;
    memcpy(&word, bytes, 8);
    word = le64toh(word);
    uint64_t low = word & ~high;
    return (~(low + ones * 0x60) | (low + ones)) & ~word & high;
}

size_t http_field_text_span(sk_str s) {
    size_t i = 0;
    while (i + 8 <= s.len) {
        uint64_t odd = odd_bytes(s.data + i);
        i += odd ? (size_t)__builtin_ctzll(odd) / 8 : 8;
        if (odd && s.data[i++] != '\t') return i - 1;
    }
    while (i < s.len && text_byte((uint8_t)s.data[i])) i++;
    return i;
}

static bool blank(char c) { return c == ' ' || c == '\t'; }

bool http_field_value_valid(sk_str s) {
    if (s.len == 0) return true;
    return !blank(s.data[0]) && !blank(s.data[s.len - 1]) && http_field_text_span(s) == s.len;
}
