#include "fleet/admin_json.h"

#include <stdlib.h>

sk_err fleet_json_answer(struct fleet_admin_answer *answer, yyjson_mut_doc *doc) {
    size_t len;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &len);
    yyjson_mut_doc_free(doc);
    if (!text) return SK_ERR_NO_MEMORY;
    sk_err err = sk_buf_append(&answer->body, (sk_str){text, len});
    if (!err) err = sk_buf_append(&answer->body, SK_STR("\n"));
    free(text);
    return err;
}

static bool is_ascii(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] >= 0x80) return false;
    return true;
}

yyjson_mut_val *fleet_json_text(yyjson_mut_doc *doc, sk_str text) {
    if (is_ascii(text)) return yyjson_mut_strncpy(doc, text.data ? text.data : "", text.len);
    char *utf8 = malloc(2 * text.len), *next = utf8;
    if (!utf8) return NULL;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte >= 0x80) *next++ = (char)(0xc0 | byte >> 6);
        *next++ = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
    }
    yyjson_mut_val *value = yyjson_mut_strncpy(doc, utf8, (size_t)(next - utf8));
    free(utf8);
    return value;
}

void fleet_json_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, sk_str text) {
    yyjson_mut_obj_add_val(doc, object, key, fleet_json_text(doc, text));
}
