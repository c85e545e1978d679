#include "control/nodes.h"

#include <stdlib.h>
#include <yyjson.h>

#include "base/log.h"

enum { REMEMBER_REQUESTS = 20000 }; /* the past fades: older ones count for half */

void control_record_issue(struct control_record *record, const struct fleet_caller *caller, sk_unix_s now) {
    record->node.id = caller->id;
    if (!record->joined) record->joined = now;
    record->not_after = caller->not_after;
    record->issuer = sk_str_from_c(caller->issuer);
}

/* --- health -------------------------------------------------------------------------------------------------- */

static void add_health(struct control_health *sum, const struct fleet_report *report) {
    if (sum->requests > REMEMBER_REQUESTS) {
        sum->requests /= 2;
        sum->errors /= 2;
    }
    uint64_t requests = SK_MIN(report->requests, UINT64_C(1) << 32), total = sum->requests + requests;
    if (!requests) return;
    sum->p99_us =
        (sum->p99_us * sum->requests + SK_MIN(report->p99_us, UINT64_C(1) << 30) * requests) / total;
    sum->requests = total;
    sum->errors += SK_MIN(report->errors, requests);
}

void control_record_note(struct control_record *record, const struct fleet_report *report, sk_unix_s now) {
    struct control_node *node = &record->node;
    if (node->in_force !=
        report->in_force) { /* the time before counts as the past, if there was enough of it */
        if (node->after.requests) node->before = node->after;
        node->after = (struct control_health){0};
        node->in_force = report->in_force;
        node->took_at = now;
    } else {
        add_health(&node->after, report);
    }
    node->refused = report->refused;
    record->seen = now;
    record->why = report->why;
    record->roots = report->roots;
    record->version = report->version;
}

/* --- as JSON ------------------------------------------------------------------------------------------------- */

struct number {
    const char *key;
    size_t offset;
};
#define NUMBER(key, field) {key, offsetof(struct control_record, field)}
static const struct number numbers[] = {
    NUMBER("in_force", node.in_force),
    NUMBER("refused", node.refused),
    NUMBER("took_at", node.took_at),
    NUMBER("before_requests", node.before.requests),
    NUMBER("before_errors", node.before.errors),
    NUMBER("before_p99_us", node.before.p99_us),
    NUMBER("requests", node.after.requests),
    NUMBER("errors", node.after.errors),
    NUMBER("p99_us", node.after.p99_us),
    NUMBER("joined", joined),
    NUMBER("seen", seen),
    NUMBER("not_after", not_after),
};
static const struct number texts[] = {
    NUMBER("issuer", issuer),
    NUMBER("roots", roots),
    NUMBER("why", why),
    NUMBER("version", version),
};

sk_err control_record_write(const struct control_record *record, struct sk_buf *out_json) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    const char *base = (const char *)record;
    bool good = root != NULL;
    size_t len = 0;
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < SK_COUNT(numbers) && good; i++) {
        uint64_t value;
        memcpy(&value, base + numbers[i].offset, sizeof value);
        good = yyjson_mut_obj_add_uint(doc, root, numbers[i].key, value);
    }
    for (size_t i = 0; i < SK_COUNT(texts) && good; i++) {
        sk_str text;
        memcpy(&text, base + texts[i].offset, sizeof text);
        good = yyjson_mut_obj_add_strncpy(doc, root, texts[i].key, text.data ? text.data : "", text.len);
    }
    char *text = good ? yyjson_mut_write(doc, 0, &len) : NULL;
    sk_err err = text ? sk_buf_append(out_json, sk_str_make(text, len)) : SK_ERR_NO_MEMORY;
    free(text);
    yyjson_mut_doc_free(doc);
    return err;
}

static sk_err read_fields(yyjson_val *root, struct sk_arena *arena, struct control_record *record) {
    char *base = (char *)record;
    for (size_t i = 0; i < SK_COUNT(numbers); i++) {
        yyjson_val *value = yyjson_obj_get(root, numbers[i].key);
        uint64_t number = yyjson_get_uint(value);
        if (!yyjson_is_uint(value)) return SK_ERR_CORRUPT;
        memcpy(base + numbers[i].offset, &number, sizeof number);
    }
    for (size_t i = 0; i < SK_COUNT(texts); i++) {
        yyjson_val *value = yyjson_obj_get(root, texts[i].key);
        if (!yyjson_is_str(value)) return SK_ERR_CORRUPT;
        sk_str text = sk_arena_copy(arena, sk_str_make(yyjson_get_str(value), yyjson_get_len(value)));
        if (!text.data) return SK_ERR_NO_MEMORY;
        memcpy(base + texts[i].offset, &text, sizeof text);
    }
    return SK_OK;
}

sk_err control_record_read(sk_str id, sk_str json, sk_unix_s now, struct sk_arena *arena,
                           struct control_record *out_record) {
    struct control_record record = {0};
    if (fleet_id_parse(id, &record.node.id)) return SK_ERR_CORRUPT;
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    sk_err err = doc ? read_fields(yyjson_doc_get_root(doc), arena, &record) : SK_ERR_CORRUPT;
    yyjson_doc_free(doc);
    if (err) return err;
    record.node.alive = record.seen && now - record.seen <= CONTROL_ALIVE_S;
    *out_record = record;
    return SK_OK;
}

static int by_name(const void *a, const void *b) {
    return sk_str_compare(((const struct fleet_pair *)a)->name, ((const struct fleet_pair *)b)->name);
}

sk_err control_records(struct control_store *store, sk_unix_s now, struct sk_arena *arena,
                       struct control_record **out_records, size_t *out_count) {
    struct fleet_pair *pairs;
    size_t count, kept = 0;
    sk_err err = control_all(store, "nodes", arena, &pairs, &count);
    if (err) return err;
    struct control_record *records = sk_arena_zalloc(arena, SK_MAX(count, 1) * sizeof *records);
    if (!records) return SK_ERR_NO_MEMORY;
    if (count) qsort(pairs, count, sizeof *pairs, by_name);
    for (size_t i = 0; i < count; i++) {
        err = control_record_read(pairs[i].name, pairs[i].value, now, arena, &records[kept]);
        if (err == SK_ERR_NO_MEMORY) return err;
        if (!err)
            kept++;
        else
            SK_LOG_LIMITED(SK_LOG_ERROR, "control", "what is stored of node %.*s cannot be read",
                           SK_STR_ARGS(pairs[i].name));
    }
    *out_records = records;
    *out_count = kept;
    return SK_OK;
}
