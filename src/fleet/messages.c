#include "fleet/messages.h"

#include <stdlib.h>
#include <yyjson.h>

/* Members of each message, in one table, for both directions. */
enum kind {
    NUMBER,
    FLAG,
    LATER_FLAG, /* may be missing: false */
    TEXT,
    LATER_TEXT, /* may be missing: has no data then */
};
struct member {
    const char *key;
    enum kind kind;
    size_t offset, max; /* of a text: most bytes */
};
#define FIELD(kind, type, name, max) {#name, kind, offsetof(type, name), max}

static const struct member report_members[] = {
    FIELD(NUMBER, struct fleet_report, in_force, 0),
    FIELD(NUMBER, struct fleet_report, refused, 0),
    FIELD(TEXT, struct fleet_report, why, FLEET_WHY_MAX),
    FIELD(TEXT, struct fleet_report, roots, FLEET_HEX_BYTES - 1),
    FIELD(TEXT, struct fleet_report, expelled, FLEET_HEX_BYTES - 1),
    FIELD(NUMBER, struct fleet_report, requests, 0),
    FIELD(NUMBER, struct fleet_report, errors, 0),
    FIELD(NUMBER, struct fleet_report, p99_us, 0),
    FIELD(TEXT, struct fleet_report, version, 32),
    FIELD(LATER_FLAG, struct fleet_report, drained, 0),
    FIELD(LATER_TEXT, struct fleet_report, secrets, FLEET_HEX_BYTES - 1),
};
static const struct member orders_members[] = {
    FIELD(NUMBER, struct fleet_orders, number, 0),
    FIELD(FLAG, struct fleet_orders, renew, 0),
    FIELD(LATER_FLAG, struct fleet_orders, drain, 0),
    FIELD(TEXT, struct fleet_orders, roots, 64 * 1024),
    FIELD(TEXT, struct fleet_orders, expelled, FLEET_MESSAGE_MAX),
    FIELD(NUMBER, struct fleet_orders, again_ms, 0),
    FIELD(LATER_TEXT, struct fleet_orders, secrets, FLEET_HEX_BYTES - 1),
};
static const struct member join_members[] = {
    FIELD(TEXT, struct fleet_join, token, 256),
    FIELD(TEXT, struct fleet_join, name, 64),
    FIELD(TEXT, struct fleet_join, request, 64 * 1024),
};
static const struct member joined_members[] = {
    FIELD(TEXT, struct fleet_joined, id, 512),
    FIELD(TEXT, struct fleet_joined, certificate, 64 * 1024),
    FIELD(TEXT, struct fleet_joined, roots, 64 * 1024),
    FIELD(TEXT, struct fleet_joined, bus_key, FLEET_HEX_BYTES - 1),
};

/* --- reading ------------------------------------------------------------------------------------------------- */

static sk_err read_text(yyjson_val *value, size_t max, struct sk_arena *arena, sk_str *out) {
    if (!yyjson_is_str(value) || yyjson_get_len(value) > max) return SK_ERR_MALFORMED;
    *out = sk_arena_copy(arena, sk_str_make(yyjson_get_str(value), yyjson_get_len(value)));
    return out->data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err read_member(yyjson_val *root, const struct member *member, struct sk_arena *arena, char *out) {
    yyjson_val *value = yyjson_obj_get(root, member->key);
    void *field = out + member->offset;
    switch (member->kind) {
    case NUMBER:
        if (!yyjson_is_uint(value)) return SK_ERR_MALFORMED;
        *(uint64_t *)field = yyjson_get_uint(value);
        return SK_OK;
    case LATER_FLAG:
        if (!value) return SK_OK;
        [[fallthrough]];
    case FLAG:
        if (!yyjson_is_bool(value)) return SK_ERR_MALFORMED;
        *(bool *)field = yyjson_get_bool(value);
        return SK_OK;
    case LATER_TEXT:
        if (!value) return SK_OK;
        [[fallthrough]];
    case TEXT: return read_text(value, member->max, arena, field);
    }
    return SK_ERR_MALFORMED;
}

static sk_err read_all(sk_str json, const struct member *members, size_t count, struct sk_arena *arena,
                       void *out) {
    if (!json.len || json.len > 2 * FLEET_MESSAGE_MAX) return SK_ERR_MALFORMED;
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    sk_err err = yyjson_is_obj(root) ? SK_OK : SK_ERR_MALFORMED;
    for (size_t i = 0; i < count && !err; i++) err = read_member(root, &members[i], arena, out);
    yyjson_doc_free(doc);
    return err;
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static bool add_member(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct member *member,
                       const char *in) {
    const void *field = in + member->offset;
    const sk_str *text = field;
    switch (member->kind) {
    case NUMBER: return yyjson_mut_obj_add_uint(doc, root, member->key, *(const uint64_t *)field);
    case LATER_FLAG:
    case FLAG: return yyjson_mut_obj_add_bool(doc, root, member->key, *(const bool *)field);
    case LATER_TEXT:
    case TEXT:
        return yyjson_mut_obj_add_strncpy(doc, root, member->key, text->data ? text->data : "", text->len);
    }
    return false;
}

static sk_err write_all(const struct member *members, size_t count, const void *in, struct sk_buf *out) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t len = 0;
    bool good = root != NULL;
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < count && good; i++) good = add_member(doc, root, &members[i], in);
    char *text = good ? yyjson_mut_write(doc, 0, &len) : NULL;
    sk_err err = text ? sk_buf_append(out, sk_str_make(text, len)) : SK_ERR_NO_MEMORY;
    free(text);
    yyjson_mut_doc_free(doc);
    return err;
}

/* --- the four ------------------------------------------------------------------------------------------------ */

sk_err fleet_report_parse(sk_str json, struct sk_arena *arena, struct fleet_report *out_report) {
    struct fleet_report report = {0};
    sk_err err = read_all(json, report_members, SK_COUNT(report_members), arena, &report);
    if (!err) *out_report = report;
    return err;
}
sk_err fleet_report_write(const struct fleet_report *report, struct sk_buf *out) {
    return write_all(report_members, SK_COUNT(report_members), report, out);
}

sk_err fleet_orders_parse(sk_str json, struct sk_arena *arena, struct fleet_orders *out_orders) {
    struct fleet_orders orders = {0};
    sk_err err = read_all(json, orders_members, SK_COUNT(orders_members), arena, &orders);
    if (!err) *out_orders = orders;
    return err;
}
sk_err fleet_orders_write(const struct fleet_orders *orders, struct sk_buf *out) {
    return write_all(orders_members, SK_COUNT(orders_members), orders, out);
}

sk_err fleet_join_parse(sk_str json, struct sk_arena *arena, struct fleet_join *out_join) {
    struct fleet_join join = {0};
    sk_err err = read_all(json, join_members, SK_COUNT(join_members), arena, &join);
    if (!err) *out_join = join;
    return err;
}
sk_err fleet_join_write(const struct fleet_join *join, struct sk_buf *out) {
    return write_all(join_members, SK_COUNT(join_members), join, out);
}

sk_err fleet_joined_parse(sk_str json, struct sk_arena *arena, struct fleet_joined *out_joined) {
    struct fleet_joined joined = {0};
    sk_err err = read_all(json, joined_members, SK_COUNT(joined_members), arena, &joined);
    if (!err) *out_joined = joined;
    return err;
}
sk_err fleet_joined_write(const struct fleet_joined *joined, struct sk_buf *out) {
    return write_all(joined_members, SK_COUNT(joined_members), joined, out);
}
