#include "control/audit.h"

#include <stdlib.h>
#include <yyjson.h>

static void move_on(struct control_audit_mark *mark, sk_str line) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_digest(line, digest);
    fleet_hex(digest, mark->hash);
    mark->number++;
}

/* Printable ASCII; what is not becomes a question mark. */
static void add(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, sk_str text) {
    char clean[1024];
    size_t len = SK_MIN(text.len, sizeof clean);
    for (size_t i = 0; i < len; i++)
        clean[i] = (char)(text.data[i] >= 0x20 && text.data[i] < 0x7f ? text.data[i] : '?');
    yyjson_mut_obj_add_strncpy(doc, root, key, clean, len);
}

sk_err control_audit_write(const struct control_audit_entry *entry, struct control_audit_mark *mark,
                           struct sk_buf *out_line) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t len = 0;
    if (!root) {
        yyjson_mut_doc_free(doc);
        return SK_ERR_NO_MEMORY;
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_uint(doc, root, "number", mark->number + 1);
    yyjson_mut_obj_add_sint(doc, root, "at", entry->at);
    add(doc, root, "who", entry->who);
    add(doc, root, "what", entry->what);
    add(doc, root, "about", entry->about);
    yyjson_mut_obj_add_str(doc, root, "prev", mark->hash);
    char *text = yyjson_mut_write(doc, 0, &len);
    sk_err err = text ? sk_buf_append(out_line, sk_str_make(text, len)) : SK_ERR_NO_MEMORY;
    if (!err) move_on(mark, sk_str_make(text, len));
    free(text);
    yyjson_mut_doc_free(doc);
    return err;
}

sk_err control_audit_follow(sk_str line, struct control_audit_mark *mark) {
    yyjson_doc *doc = line.len <= CONTROL_AUDIT_LINE_MAX ? yyjson_read(line.data, line.len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *prev = yyjson_get_str(yyjson_obj_get(root, "prev"));
    bool follows = prev && !strcmp(prev, mark->hash) &&
                   yyjson_get_uint(yyjson_obj_get(root, "number")) == mark->number + 1;
    yyjson_doc_free(doc);
    if (!follows) return SK_ERR_CORRUPT;
    move_on(mark, line);
    return SK_OK;
}
