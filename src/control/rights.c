#include "control/rights.h"

const char *control_right_word(enum control_right right) {
    static const char *const words[] = {
#define X(name, word, help) [CONTROL_RIGHT_##name] = word,
        CONTROL_RIGHT_TABLE(X)
#undef X
    };
    return words[right];
}

static sk_err add_word(sk_str word, unsigned *rights) {
    for (unsigned i = 0; i < CONTROL_RIGHT_COUNT_; i++)
        if (sk_str_eq(word, sk_str_from_c(control_right_word((enum control_right)i)))) {
            *rights |= 1u << i;
            return SK_OK;
        }
    return SK_ERR_NOT_FOUND;
}

sk_err control_rights_parse(sk_str text, unsigned *out_rights) {
    unsigned rights = 0;
    sk_str word;
    sk_err err = text.len ? SK_OK : SK_ERR_NOT_FOUND;
    while (!err && sk_str_cut(&text, ',', &word)) err = add_word(word, &rights);
    if (!err) *out_rights = rights;
    return err;
}
