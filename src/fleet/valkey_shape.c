/* Replies as what they stand for: pairs, ids, entries; and where a server is. Pure. */
#include "fleet/valkey_shape.h"

#include "base/str.h"

enum { PORT_DEFAULT = 6379 };

/* ---- addresses ------------------------------------------------------------------------------------------------- */

static sk_err parse_port(sk_str text, uint16_t *out_port) {
    uint64_t port;
    sk_err err = sk_str_to_u64(text, &port);
    if (!err && (port == 0 || port > UINT16_MAX)) err = SK_ERR_TOO_LARGE;
    if (!err) *out_port = (uint16_t)port;
    return err;
}

/* "HOST", "HOST:PORT", "[::1]", "[::1]:PORT". */
static sk_err parse_host(sk_str text, struct fleet_valkey_where *where) {
    sk_str rest;
    if (sk_str_starts_with(text, SK_STR("["))) {
        size_t end = sk_str_find_byte(text, ']');
        if (end == text.len) return SK_ERR_MALFORMED;
        where->host = sk_str_slice(text, 1, end);
        rest = sk_str_slice(text, end + 1, text.len);
    } else {
        size_t end = sk_str_find_byte(text, ':');
        where->host = sk_str_slice(text, 0, end);
        rest = sk_str_slice(text, end, text.len);
    }
    where->port = PORT_DEFAULT;
    if (!where->host.len) return SK_ERR_MALFORMED;
    if (!rest.len) return SK_OK;
    return rest.data[0] == ':' ? parse_port(sk_str_slice(rest, 1, rest.len), &where->port) : SK_ERR_MALFORMED;
}

/* Up to the last '@': a password may hold one. */
static sk_str cut_credentials(sk_str text, struct fleet_valkey_where *where) {
    size_t at = text.len;
    while (at && text.data[at - 1] != '@') at--;
    if (!at) return text;
    sk_str credentials = sk_str_slice(text, 0, at - 1);
    size_t colon = sk_str_find_byte(credentials, ':');
    where->user = sk_str_slice(credentials, 0, colon);
    where->password = sk_str_slice(credentials, colon + 1, credentials.len);
    return sk_str_slice(text, at, text.len);
}

sk_err fleet_valkey_where_parse(sk_str url, struct fleet_valkey_where *out_where) {
    static const struct {
        sk_str text;
        bool tls;
    } schemes[] = {{SK_STR_INIT("valkey://"), false},
                   {SK_STR_INIT("redis://"), false},
                   {SK_STR_INIT("valkeys://"), true},
                   {SK_STR_INIT("rediss://"), true}};
    struct fleet_valkey_where where = {0};
    if (sk_str_starts_with(url, SK_STR("unix:"))) {
        where.path = sk_str_slice(url, 5, url.len);
        if (!where.path.len) return SK_ERR_MALFORMED;
        *out_where = where;
        return SK_OK;
    }
    for (size_t i = 0; i < SK_COUNT(schemes); i++) {
        if (!sk_str_istarts_with(url, schemes[i].text)) continue;
        sk_str rest = cut_credentials(sk_str_slice(url, schemes[i].text.len, url.len), &where);
        where.tls = schemes[i].tls;
        sk_err err = parse_host(rest, &where);
        if (!err) *out_where = where;
        return err;
    }
    return SK_ERR_MALFORMED;
}

/* ---- pairs ----------------------------------------------------------------------------------------------------- */

sk_err fleet_reply_pairs(const struct fleet_reply *reply, struct sk_arena *arena,
                         struct fleet_pair **out_pairs, size_t *out_count) {
    if (reply->kind != FLEET_REPLY_ARRAY || reply->count % 2) return SK_ERR_MALFORMED;
    size_t count = reply->count / 2;
    struct fleet_pair *pairs = sk_arena_alloc(arena, SK_MAX(count, 1) * sizeof *pairs);
    if (!pairs) return SK_ERR_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        const struct fleet_reply *name = reply->items[2 * i], *value = reply->items[2 * i + 1];
        if (name->kind != FLEET_REPLY_TEXT || value->kind != FLEET_REPLY_TEXT) return SK_ERR_MALFORMED;
        pairs[i] = (struct fleet_pair){name->text, value->text};
    }
    *out_pairs = pairs;
    *out_count = count;
    return SK_OK;
}

/* ---- streams --------------------------------------------------------------------------------------------------- */

int fleet_stream_id_compare(struct fleet_stream_id a, struct fleet_stream_id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.number < b.number ? -1 : a.number > b.number;
}

sk_str fleet_pair_value(const struct fleet_pair *pairs, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (sk_str_eq(pairs[i].name, sk_str_from_c(name))) return pairs[i].value;
    return (sk_str){0};
}

sk_err fleet_reply_id(const struct fleet_reply *reply, struct fleet_stream_id *out_id) {
    struct fleet_stream_id id;
    if (reply->kind != FLEET_REPLY_TEXT) return SK_ERR_MALFORMED;
    size_t dash = sk_str_find_byte(reply->text, '-');
    if (sk_str_to_u64(sk_str_slice(reply->text, 0, dash), &id.ms) ||
        sk_str_to_u64(sk_str_slice(reply->text, dash + 1, reply->text.len), &id.number))
        return SK_ERR_MALFORMED;
    *out_id = id;
    return SK_OK;
}

/* [id, [name, value, ...]]; the pairs are nil of an entry that was deleted meanwhile. */
static sk_err read_entry(const struct fleet_reply *reply, struct sk_arena *arena,
                         struct fleet_stream_entry *out_entry) {
    struct fleet_pair *pairs = NULL;
    struct fleet_stream_entry entry = {0};
    if (reply->kind != FLEET_REPLY_ARRAY || reply->count != 2) return SK_ERR_MALFORMED;
    sk_err err = fleet_reply_id(reply->items[0], &entry.id);
    if (!err && reply->items[1]->kind != FLEET_REPLY_NIL)
        err = fleet_reply_pairs(reply->items[1], arena, &pairs, &entry.pair_count);
    entry.pairs = pairs;
    if (!err) *out_entry = entry;
    return err;
}

sk_err fleet_reply_entries(const struct fleet_reply *reply, struct sk_arena *arena,
                           struct fleet_stream_entries *out_entries) {
    if (reply->kind != FLEET_REPLY_ARRAY) return SK_ERR_MALFORMED;
    struct fleet_stream_entries entries = {.count = reply->count};
    entries.items = sk_arena_alloc(arena, SK_MAX(entries.count, 1) * sizeof *entries.items);
    if (!entries.items) return SK_ERR_TOO_LARGE;
    for (size_t i = 0; i < entries.count; i++) {
        sk_err err = read_entry(reply->items[i], arena, &entries.items[i]);
        if (err) return err;
    }
    *out_entries = entries;
    return SK_OK;
}

/* [[stream, entries]], or nil when there are none. */
sk_err fleet_reply_streams(const struct fleet_reply *reply, sk_str stream, struct sk_arena *arena,
                           struct fleet_stream_entries *out_entries) {
    if (reply->kind == FLEET_REPLY_NIL) {
        *out_entries = (struct fleet_stream_entries){0};
        return SK_OK;
    }
    if (reply->kind != FLEET_REPLY_ARRAY || reply->count != 1) return SK_ERR_MALFORMED;
    const struct fleet_reply *one = reply->items[0];
    if (one->kind != FLEET_REPLY_ARRAY || one->count != 2 || !sk_str_eq(one->items[0]->text, stream))
        return SK_ERR_MALFORMED;
    return fleet_reply_entries(one->items[1], arena, out_entries);
}
