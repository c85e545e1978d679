#include "fleet/id.h"

#include <stdlib.h>

static const sk_str scheme = SK_STR_INIT("spiffe://");

const char *fleet_role_word(enum fleet_role role) {
    static const char *const words[] = {
#define X(name, word) [FLEET_ROLE_##name] = word,
        FLEET_ROLE_TABLE(X)
#undef X
    };
    return (unsigned)role < SK_COUNT(words) ? words[role] : "none";
}

sk_err fleet_role_lookup(sk_str word, enum fleet_role *out_role) {
    for (unsigned i = 0; i < FLEET_ROLE_COUNT_; i++)
        if (sk_str_eq(word, sk_str_from_c(fleet_role_word((enum fleet_role)i)))) {
            *out_role = (enum fleet_role)i;
            return SK_OK;
        }
    return SK_ERR_NOT_FOUND;
}

struct verb_row {
    const char *word;
    bool may[FLEET_ROLE_COUNT_];
};
static const struct verb_row verbs[] = {
#define X(name, word, control, edge, route)                                                                  \
    [FLEET_VERB_##name] = {                                                                                  \
        word, {[FLEET_ROLE_CONTROL] = (control), [FLEET_ROLE_EDGE] = (edge), [FLEET_ROLE_ROUTE] = (route)}},
    FLEET_VERB_TABLE(X)
#undef X
};

const char *fleet_verb_word(enum fleet_verb verb) {
    return (unsigned)verb < SK_COUNT(verbs) ? verbs[verb].word : "none";
}

/* --- names --------------------------------------------------------------------------------------------------- */

static bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool fleet_word_valid(sk_str word) {
    if (!word.len || word.len >= FLEET_WORD_BYTES || !is_word_start(word.data[0])) return false;
    for (size_t i = 1; i < word.len; i++)
        if (!is_word_start(word.data[i]) && !memchr("-_.", word.data[i], 3)) return false;
    return true;
}

static void put_word(char out[FLEET_WORD_BYTES], sk_str word) {
    memcpy(out, word.data, word.len);
    out[word.len] = 0;
}

sk_err fleet_id_make(sk_str fleet, sk_str pop, enum fleet_role role, sk_str name, struct fleet_id *out_id) {
    if (!fleet_word_valid(fleet) || !fleet_word_valid(pop) || !fleet_word_valid(name) ||
        (unsigned)role >= FLEET_ROLE_COUNT_)
        return SK_ERR_INVALID;
    *out_id = (struct fleet_id){.role = role};
    put_word(out_id->fleet, fleet);
    put_word(out_id->pop, pop);
    put_word(out_id->name, name);
    return SK_OK;
}

sk_err fleet_id_parse(sk_str text, struct fleet_id *out_id) {
    enum fleet_role role;
    sk_str rest, fleet, pop, role_word, name;
    if (!sk_str_starts_with(text, scheme)) return SK_ERR_MALFORMED;
    rest = sk_str_slice(text, scheme.len, text.len);
    bool whole = sk_str_cut(&rest, '/', &fleet) && sk_str_cut(&rest, '/', &pop) &&
                 sk_str_cut(&rest, '/', &role_word) && sk_str_cut(&rest, '/', &name) && !rest.data;
    if (!whole || fleet_role_lookup(role_word, &role)) return SK_ERR_MALFORMED;
    return fleet_id_make(fleet, pop, role, name, out_id) ? SK_ERR_MALFORMED : SK_OK;
}

sk_str fleet_id_format(const struct fleet_id *id, char out[FLEET_ID_TEXT_BYTES]) {
    const char *parts[] = {scheme.data, id->fleet, "/", id->pop, "/", fleet_role_word(id->role),
                           "/",         id->name};
    size_t len = 0;
    for (size_t i = 0; i < SK_COUNT(parts); i++)
        for (const char *c = parts[i]; *c && len + 1 < FLEET_ID_TEXT_BYTES; c++) out[len++] = *c;
    out[len] = 0;
    return sk_str_make(out, len);
}

bool fleet_id_eq(const struct fleet_id *a, const struct fleet_id *b) {
    return a->role == b->role && !strcmp(a->fleet, b->fleet) && !strcmp(a->pop, b->pop) &&
           !strcmp(a->name, b->name);
}

/* --- the expelled -------------------------------------------------------------------------------------------- */

static sk_err parse_line(sk_str line, struct fleet_expelled_one *out_one) {
    sk_str at;
    uint64_t seconds;
    if (!sk_str_cut(&line, ' ', &at) || !line.data || sk_str_to_u64(at, &seconds) || seconds > INT64_MAX)
        return SK_ERR_MALFORMED;
    out_one->at = (sk_unix_s)seconds;
    return fleet_id_parse(line, &out_one->id);
}

static size_t count_lines(sk_str text) {
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++) lines += text.data[i] == '\n';
    return lines;
}

sk_err fleet_expelled_parse(sk_str text, struct fleet_expelled *out_expelled) {
    struct fleet_expelled expelled = {0};
    sk_err err = SK_OK;
    size_t lines = count_lines(text);
    if (lines > FLEET_EXPELLED_MAX) return SK_ERR_TOO_LARGE;
    if (text.len && text.data[text.len - 1] != '\n') return SK_ERR_MALFORMED; /* half of one */
    if (lines) expelled.ones = calloc(lines, sizeof *expelled.ones);
    if (lines && !expelled.ones) return SK_ERR_NO_MEMORY;
    for (sk_str line; !err && expelled.count < lines && sk_str_cut(&text, '\n', &line);)
        err = parse_line(line, &expelled.ones[expelled.count++]);
    if (err)
        fleet_expelled_free(&expelled);
    else
        *out_expelled = expelled;
    return err;
}

sk_err fleet_expelled_format(const struct fleet_expelled *expelled, struct sk_buf *out) {
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < expelled->count && !err; i++) {
        char text[FLEET_ID_TEXT_BYTES];
        fleet_id_format(&expelled->ones[i].id, text);
        err = sk_buf_printf(out, "%lld %s\n", (long long)expelled->ones[i].at, text);
    }
    return err;
}

void fleet_expelled_free(struct fleet_expelled *expelled) {
    free(expelled->ones);
    *expelled = (struct fleet_expelled){0};
}

bool fleet_is_expelled(const struct fleet_expelled *expelled, const struct fleet_caller *caller) {
    for (uint32_t i = 0; expelled && i < expelled->count; i++)
        if (caller->issued_at <= expelled->ones[i].at && fleet_id_eq(&expelled->ones[i].id, &caller->id))
            return true;
    return false;
}

/* --- the check ----------------------------------------------------------------------------------------------- */

enum fleet_verdict fleet_check(const struct fleet_caller *caller, sk_str fleet, enum fleet_verb verb,
                               const struct fleet_expelled *expelled) {
    if (!fleet.len || !sk_str_eq(sk_str_from_c(caller->id.fleet), fleet)) return FLEET_FOREIGN;
    if (fleet_is_expelled(expelled, caller)) return FLEET_EXPELLED;
    if ((unsigned)verb >= SK_COUNT(verbs) || (unsigned)caller->id.role >= FLEET_ROLE_COUNT_)
        return FLEET_NOT_YOURS;
    return verbs[verb].may[caller->id.role] ? FLEET_ALLOWED : FLEET_NOT_YOURS;
}

const char *fleet_verdict_text(enum fleet_verdict verdict) {
    static const char *const texts[] = {
        [FLEET_ALLOWED] = "is allowed",
        [FLEET_FOREIGN] = "is of another fleet",
        [FLEET_EXPELLED] = "was expelled",
        [FLEET_NOT_YOURS] = "asks for what is not its role's",
    };
    return texts[verdict];
}
