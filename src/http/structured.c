#include "http/structured.h"

/* What is left of the text, and where results are kept. */
struct sf {
    sk_str rest;
    struct sk_arena *arena;
};

static bool at_end(const struct sf *sf) { return sf->rest.len == 0; }
static char peek(const struct sf *sf) { return sf->rest.len ? sf->rest.data[0] : 0; }
static void step(struct sf *sf) { sf->rest = sk_str_slice(sf->rest, 1, sf->rest.len); }

static bool take(struct sf *sf, char c) {
    if (at_end(sf) || peek(sf) != c) return false;
    step(sf);
    return true;
}

static void skip_spaces(struct sf *sf) {
    while (!at_end(sf) && peek(sf) == ' ') step(sf);
}

static void skip_ows(struct sf *sf) {
    while (!at_end(sf) && (peek(sf) == ' ' || peek(sf) == '\t')) step(sf);
}

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool lower(char c) { return c >= 'a' && c <= 'z'; }
static bool alpha(char c) { return lower(sk_ascii_lower_byte(c)); }

/* --- growing arrays in the arena -------------------------------------------------------------------- */

/* Room for one more of SIZE bytes in an array of COUNT that doubles at powers of two. */
static sk_err grow(struct sf *sf, void **array, uint32_t count, size_t size) {
    if (count >= HTTP_SF_MEMBERS_MAX) return SK_ERR_TOO_LARGE;
    if (count & (count - 1)) return SK_OK;
    void *larger = sk_arena_zalloc(sf->arena, (count ? count * 2 : 1) * size);
    if (!larger) return SK_ERR_NO_MEMORY;
    if (count) memcpy(larger, *array, count * size);
    *array = larger;
    return SK_OK;
}

/* --- bare items (section 4.2.3.1) ------------------------------------------------------------------- */

/* 4.2.4: at most 15 digits, or 12 and 3 behind the point. */
static sk_err parse_number(struct sf *sf, struct http_sf_value *value) {
    bool negative = take(sf, '-');
    int64_t number = 0;
    int whole = 0, fraction = -1;
    if (!digit(peek(sf))) return SK_ERR_MALFORMED;
    for (; !at_end(sf) && (digit(peek(sf)) || (fraction < 0 && peek(sf) == '.')); step(sf)) {
        if (peek(sf) == '.') {
            if (whole > 12) return SK_ERR_MALFORMED;
            fraction = 0;
            continue;
        }
        if (fraction < 0 ? ++whole > 15 : ++fraction > 3) return SK_ERR_MALFORMED;
        number = number * 10 + (peek(sf) - '0');
    }
    if (fraction == 0) return SK_ERR_MALFORMED;
    for (int i = fraction; i > 0 && i < 3; i++) number *= 10;
    value->type = fraction < 0 ? HTTP_SF_INTEGER : HTTP_SF_DECIMAL;
    value->number = negative ? -number : number;
    return SK_OK;
}

/* 4.2.5: borrowed when nothing is escaped. */
static sk_err parse_string(struct sf *sf, struct http_sf_value *value) {
    const char *begin = sf->rest.data + 1;
    char *copy = NULL;
    size_t used = 0;
    step(sf);
    while (!at_end(sf)) {
        char c = peek(sf);
        step(sf);
        if (c == '"') {
            value->type = HTTP_SF_STRING;
            value->text = sk_str_make(copy ? copy : begin, used);
            return SK_OK;
        }
        if (c < 0x20 || c > 0x7e) return SK_ERR_MALFORMED;
        if (c == '\\') {
            if (!copy) {
                copy = sk_arena_alloc(sf->arena, used + sf->rest.len + 1);
                if (!copy) return SK_ERR_NO_MEMORY;
                memcpy(copy, begin, used);
            }
            c = peek(sf);
            if (c != '"' && c != '\\') return SK_ERR_MALFORMED;
            step(sf);
        }
        if (copy) copy[used] = c;
        used++;
    }
    return SK_ERR_MALFORMED;
}

static bool token_char(char c) { return alpha(c) || digit(c) || (c && strchr("!#$%&'*+-.^_`|~:/", c)); }

static sk_err parse_token(struct sf *sf, struct http_sf_value *value) {
    size_t len = 1;
    while (len < sf->rest.len && token_char(sf->rest.data[len])) len++;
    value->type = HTTP_SF_TOKEN;
    value->text = sk_str_slice(sf->rest, 0, len);
    sf->rest = sk_str_slice(sf->rest, len, sf->rest.len);
    return SK_OK;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (digit(c)) return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* 4.2.7: padding may be missing, as the section allows. */
static sk_err parse_bytes(struct sf *sf, struct http_sf_value *value) {
    step(sf);
    size_t end = sk_str_find_byte(sf->rest, ':'), used = 0;
    if (end == sf->rest.len) return SK_ERR_MALFORMED;
    sk_str text = sk_str_slice(sf->rest, 0, end);
    char *out = sk_arena_alloc(sf->arena, text.len + 1);
    uint32_t bits = 0;
    if (!out) return SK_ERR_NO_MEMORY;
    size_t digits = text.len;
    while (digits && text.len - digits < 2 && text.data[digits - 1] == '=') digits--;
    for (size_t i = 0; i < digits; i++) {
        int value_of = base64_digit(text.data[i]);
        if (value_of < 0) return SK_ERR_MALFORMED;
        bits = bits << 6 | (uint32_t)value_of;
        if (i % 4) out[used++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    if (digits % 4 == 1 || (digits < text.len && text.len % 4)) return SK_ERR_MALFORMED;
    value->type = HTTP_SF_BYTES;
    value->text = sk_str_make(out, used);
    sf->rest = sk_str_slice(sf->rest, end + 1, sf->rest.len);
    return SK_OK;
}

static sk_err parse_boolean(struct sf *sf, struct http_sf_value *value) {
    step(sf);
    char c = peek(sf);
    if (c != '0' && c != '1') return SK_ERR_MALFORMED;
    step(sf);
    value->type = HTTP_SF_BOOLEAN;
    value->number = c - '0';
    return SK_OK;
}

static sk_err parse_date(struct sf *sf, struct http_sf_value *value) {
    step(sf);
    sk_err err = parse_number(sf, value);
    if (!err && value->type != HTTP_SF_INTEGER) err = SK_ERR_MALFORMED;
    value->type = HTTP_SF_DATE;
    return err;
}

/* One well-formed UTF-8 sequence (RFC 3629) at the start of S: its length, or 0. */
static size_t utf8_length(sk_str s) {
    const uint8_t *p = (const uint8_t *)s.data;
    size_t len = p[0] < 0x80                   ? 1
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > s.len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0, beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : len;
}

static bool utf8_valid(sk_str s) {
    while (s.len) {
        size_t len = utf8_length(s);
        if (len == 0) return false;
        s = sk_str_slice(s, len, s.len);
    }
    return true;
}

static int lower_hex(char c) { return digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* 4.2.10: %"..." with lower-case percent escapes. */
static sk_err parse_display_string(struct sf *sf, struct http_sf_value *value) {
    char *out = sk_arena_alloc(sf->arena, sf->rest.len);
    size_t used = 0;
    if (!out) return SK_ERR_NO_MEMORY;
    step(sf);
    if (!take(sf, '"')) return SK_ERR_MALFORMED;
    while (!at_end(sf)) {
        char c = peek(sf);
        step(sf);
        if (c < 0x20 || c > 0x7e) return SK_ERR_MALFORMED;
        if (c == '"') {
            value->type = HTTP_SF_DISPLAY_STRING;
            value->text = sk_str_make(out, used);
            return utf8_valid(value->text) ? SK_OK : SK_ERR_MALFORMED;
        }
        if (c == '%') {
            if (sf->rest.len < 2) return SK_ERR_MALFORMED;
            int high = lower_hex(sf->rest.data[0]), low = lower_hex(sf->rest.data[1]);
            if (high < 0 || low < 0) return SK_ERR_MALFORMED;
            c = (char)(high << 4 | low);
            sf->rest = sk_str_slice(sf->rest, 2, sf->rest.len);
        }
        out[used++] = c;
    }
    return SK_ERR_MALFORMED;
}

static sk_err parse_bare_item(struct sf *sf, struct http_sf_value *value) {
    char c = peek(sf);
    *value = (struct http_sf_value){0};
    if (c == '-' || digit(c)) return parse_number(sf, value);
    if (c == '"') return parse_string(sf, value);
    if (c == '*' || alpha(c)) return parse_token(sf, value);
    if (c == ':') return parse_bytes(sf, value);
    if (c == '?') return parse_boolean(sf, value);
    if (c == '@') return parse_date(sf, value);
    return c == '%' ? parse_display_string(sf, value) : SK_ERR_MALFORMED;
}

/* --- keys, parameters, items ------------------------------------------------------------------------ */

static sk_err parse_key(struct sf *sf, sk_str *out_key) {
    size_t len = 0;
    if (!lower(peek(sf)) && peek(sf) != '*') return SK_ERR_MALFORMED;
    while (len < sf->rest.len) {
        char c = sf->rest.data[len];
        if (!lower(c) && !digit(c) && c != '_' && c != '-' && c != '.' && c != '*') break;
        len++;
    }
    *out_key = sk_str_slice(sf->rest, 0, len);
    sf->rest = sk_str_slice(sf->rest, len, sf->rest.len);
    return SK_OK;
}

static const struct http_sf_value true_value = {.type = HTTP_SF_BOOLEAN, .number = 1};

static sk_err parse_param(struct sf *sf, struct http_sf_member *member) {
    struct http_sf_param param = {.value = true_value};
    step(sf);
    skip_spaces(sf);
    sk_err err = parse_key(sf, &param.key);
    if (!err && take(sf, '=')) err = parse_bare_item(sf, &param.value);
    if (err) return err;
    for (uint32_t i = 0; i < member->param_count; i++) {
        if (!sk_str_eq(member->params[i].key, param.key)) continue;
        member->params[i] = param;
        return SK_OK;
    }
    err = grow(sf, (void **)&member->params, member->param_count, sizeof param);
    if (!err) member->params[member->param_count++] = param;
    return err;
}

static sk_err parse_params(struct sf *sf, struct http_sf_member *member) {
    sk_err err = SK_OK;
    member->params = NULL;
    member->param_count = 0;
    while (!err && peek(sf) == ';') err = parse_param(sf, member);
    return err;
}

static sk_err parse_item(struct sf *sf, struct http_sf_member *item) {
    sk_err err = parse_bare_item(sf, &item->value);
    return err ? err : parse_params(sf, item);
}

/* 4.2.1.2. Inner lists hold only items, so there is no deeper nesting. */
static sk_err parse_inner_list(struct sf *sf, struct http_sf_member *list) {
    list->value = (struct http_sf_value){.type = HTTP_SF_INNER_LIST};
    step(sf);
    for (;;) {
        struct http_sf_member item = {0};
        skip_spaces(sf);
        if (take(sf, ')')) return parse_params(sf, list);
        sk_err err = parse_item(sf, &item);
        if (!err && peek(sf) != ' ' && peek(sf) != ')') err = SK_ERR_MALFORMED;
        if (!err) err = grow(sf, (void **)&list->value.members, list->value.member_count, sizeof item);
        if (err) return err;
        list->value.members[list->value.member_count++] = item;
    }
}

static sk_err parse_item_or_inner_list(struct sf *sf, struct http_sf_member *member) {
    return peek(sf) == '(' ? parse_inner_list(sf, member) : parse_item(sf, member);
}

/* --- fields (section 4.2) --------------------------------------------------------------------------- */

static struct sf begin(struct sk_arena *arena, sk_str text) {
    struct sf sf = {text, arena};
    skip_spaces(&sf);
    return sf;
}

/* Between members; *out_done at the end. */
static sk_err next_member(struct sf *sf, bool *out_done) {
    skip_ows(sf);
    *out_done = at_end(sf);
    if (*out_done) return SK_OK;
    if (!take(sf, ',')) return SK_ERR_MALFORMED;
    skip_ows(sf);
    return at_end(sf) ? SK_ERR_MALFORMED : SK_OK;
}

static sk_err parse_dictionary_member(struct sf *sf, struct http_sf_member *member) {
    sk_err err = parse_key(sf, &member->key);
    if (err) return err;
    if (take(sf, '=')) return parse_item_or_inner_list(sf, member);
    member->value = true_value;
    return parse_params(sf, member);
}

static struct http_sf_member *find(struct http_sf_member *members, uint32_t count, sk_str key) {
    for (uint32_t i = 0; i < count; i++)
        if (sk_str_eq(members[i].key, key)) return &members[i];
    return NULL;
}

static sk_err parse_members(struct sk_arena *arena, sk_str text, bool dictionary,
                            struct http_sf_member **out_members, uint32_t *out_count) {
    struct sf sf = begin(arena, text);
    struct http_sf_member *members = NULL;
    uint32_t count = 0;
    for (bool done = at_end(&sf); !done;) {
        struct http_sf_member member = {0};
        sk_err err =
            dictionary ? parse_dictionary_member(&sf, &member) : parse_item_or_inner_list(&sf, &member);
        struct http_sf_member *old = !err && dictionary ? find(members, count, member.key) : NULL;
        if (old)
            *old = member;
        else if (!err)
            err = grow(&sf, (void **)&members, count, sizeof member);
        if (!err && !old) members[count++] = member;
        if (!err) err = next_member(&sf, &done);
        if (err) return err;
    }
    *out_members = members;
    *out_count = count;
    return SK_OK;
}

sk_err http_sf_parse_list(struct sk_arena *arena, sk_str text, struct http_sf_member **out_members,
                          uint32_t *out_count) {
    return parse_members(arena, text, false, out_members, out_count);
}

sk_err http_sf_parse_dictionary(struct sk_arena *arena, sk_str text, struct http_sf_member **out_members,
                                uint32_t *out_count) {
    return parse_members(arena, text, true, out_members, out_count);
}

sk_err http_sf_parse_item(struct sk_arena *arena, sk_str text, struct http_sf_member *out_item) {
    struct sf sf = begin(arena, text);
    struct http_sf_member item = {0};
    sk_err err = parse_item(&sf, &item);
    skip_spaces(&sf);
    if (!err && !at_end(&sf)) err = SK_ERR_MALFORMED;
    if (!err) *out_item = item;
    return err;
}

const struct http_sf_member *http_sf_find(const struct http_sf_member *members, uint32_t count, sk_str key) {
    return find((struct http_sf_member *)members, count, key);
}

const struct http_sf_value *http_sf_param(const struct http_sf_member *member, sk_str key) {
    for (uint32_t i = 0; i < member->param_count; i++)
        if (sk_str_eq(member->params[i].key, key)) return &member->params[i].value;
    return NULL;
}
