#include "grid/peer_field.h"

#include <stdio.h>

#define HELD_MAX UINT64_C(100000000000000) /* three years, and sums of it do not overflow */

static size_t put(char *out, size_t at, sk_str text) {
    if (text.len) memcpy(out + at, text.data, text.len);
    return at + text.len;
}

static size_t put_word(char *out, size_t at, sk_str name, sk_str value) {
    if (at) at = put(out, at, SK_STR(" "));
    return put(out, put(out, at, name), value);
}

/* True when WORD begins with NAME; OUT_VALUE is the rest. */
static bool is(sk_str word, sk_str name, sk_str *out_value) {
    if (!sk_str_starts_with(word, name)) return false;
    *out_value = sk_str_slice(word, name.len, word.len);
    return true;
}

/* ---- requests ----------------------------------------------------------------------------------------------- */

size_t grid_ask_format(const struct grid_ask *ask, char out[GRID_ASK_BYTES]) {
    size_t at = 0;
    SK_ASSERT(ask->hop_count <= GRID_HOPS_MAX);
    for (uint32_t i = 0; i < ask->hop_count; i++) {
        SK_ASSERT(ask->hops[i].len < GRID_NODE_BYTES);
        at = put_word(out, at, SK_STR("hop="), ask->hops[i]);
    }
    if (ask->fresh == GRID_VALIDATED) at = put_word(out, at, SK_STR("fresh="), SK_STR("soft"));
    if (ask->fresh == GRID_ANEW) at = put_word(out, at, SK_STR("fresh="), SK_STR("hard"));
    if (ask->only_stored) at = put_word(out, at, SK_STR("only"), SK_STR(""));
    return at;
}

static bool is_node(sk_str text) {
    if (!text.len || text.len >= GRID_NODE_BYTES) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == ',') return false;
    return true;
}

static sk_err take_ask(sk_str word, struct grid_ask *ask) {
    sk_str value;
    if (is(word, SK_STR("hop="), &value)) {
        if (ask->hop_count == GRID_HOPS_MAX || !is_node(value)) return SK_ERR_MALFORMED;
        ask->hops[ask->hop_count++] = value;
    } else if (sk_str_eq(word, SK_STR("fresh=soft"))) {
        ask->fresh = GRID_VALIDATED;
    } else if (sk_str_eq(word, SK_STR("fresh=hard"))) {
        ask->fresh = GRID_ANEW;
    } else if (sk_str_eq(word, SK_STR("only"))) {
        ask->only_stored = true;
    } else {
        return SK_ERR_MALFORMED;
    }
    return SK_OK;
}

sk_err grid_ask_parse(sk_str value, struct grid_ask *out_ask) {
    struct grid_ask ask = {0};
    sk_str word;
    while (sk_str_cut(&value, ' ', &word)) {
        sk_err err = take_ask(word, &ask);
        if (err) return err;
    }
    if (!ask.hop_count) return SK_ERR_MALFORMED; /* whoever asks names itself */
    *out_ask = ask;
    return SK_OK;
}

/* ---- responses ---------------------------------------------------------------------------------------------- */

size_t grid_word_format(const struct grid_word *word, char out[GRID_WORD_BYTES]) {
    if (word->failed) return put(out, 0, SK_STR("failed"));
    size_t at = (size_t)snprintf(out, GRID_WORD_BYTES, "held=%llu",
                                 (unsigned long long)SK_MIN(word->held_us, HELD_MAX));
    if (word->tags_untold) return put(out, at, SK_STR(" tags=?"));
    for (uint32_t i = 0; i < word->tag_count; i++)
        at += (size_t)snprintf(out + at, GRID_WORD_BYTES - at, "%s%016llx",
                               i ? "." : " tags=", (unsigned long long)word->tags[i]);
    return at;
}

static bool take_hex(sk_str text, uint64_t *out_value) {
    uint64_t value = 0;
    if (text.len != 16) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out_value = value;
    return true;
}

static sk_err take_tags(sk_str value, struct grid_word *word) {
    sk_str tag;
    word->tag_count = 0;
    word->tags_untold = sk_str_eq(value, SK_STR("?"));
    if (word->tags_untold) return SK_OK;
    while (sk_str_cut(&value, '.', &tag)) {
        if (word->tag_count == GRID_TAGS_MAX || !take_hex(tag, &word->tags[word->tag_count]))
            return SK_ERR_MALFORMED;
        word->tag_count++;
    }
    return SK_OK;
}

sk_err grid_word_parse(sk_str value, struct grid_word *out_word) {
    struct grid_word word = {0};
    sk_str text, held;
    if (sk_str_eq(value, SK_STR("failed"))) {
        *out_word = (struct grid_word){.failed = true};
        return SK_OK;
    }
    if (!sk_str_cut(&value, ' ', &text) || !is(text, SK_STR("held="), &held)) return SK_ERR_MALFORMED;
    if (sk_str_to_u64(held, &word.held_us) || word.held_us > HELD_MAX) return SK_ERR_MALFORMED;
    if (value.len && (!is(value, SK_STR("tags="), &text) || take_tags(text, &word))) return SK_ERR_MALFORMED;
    *out_word = word;
    return SK_OK;
}
