/* Any bytes in any text of an entry give one line: strict JSON with every key once, or printable ASCII. */
#include <stdlib.h>
#include <yyjson.h>

#include "observe/access_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read back is the text, as far as that was valid UTF-8: of the same length at least. */
static void check_json(sk_str line, const struct access_log_entry *entry) {
    yyjson_doc *doc = yyjson_read(line.data, line.len, YYJSON_READ_NOFLAG);
    if (!doc) abort();
    yyjson_val *target = yyjson_obj_get(yyjson_doc_get_root(doc), "target");
    if (!target || yyjson_get_len(target) < entry->target.len) abort();
    yyjson_doc_free(doc);
}

static void check_common(sk_str line) {
    for (size_t i = 0; i + 1 < line.len; i++)
        if ((unsigned char)line.data[i] < ' ' || (unsigned char)line.data[i] > '~') abort();
}

/* Pieces of the input, cut at each newline byte. */
static struct access_log_entry entry_of(const uint8_t *data, size_t size) {
    struct access_log_entry entry = {.status = 200};
    sk_str rest = sk_str_make((const char *)data, size);
    sk_str *const texts[] = {&entry.target, &entry.user_agent, &entry.method,
                             &entry.host,   &entry.client_ip,  &entry.error};
    for (size_t i = 0; i < SK_COUNT(texts); i++)
        if (!sk_str_cut(&rest, i + 1 < SK_COUNT(texts) ? '\n' : '\0', texts[i])) break;
    return entry;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct access_log_entry entry = entry_of(data, size);
    struct access_format_clock clock = {0};
    struct sk_buf json, common;
    sk_buf_init(&json, 0);
    sk_buf_init(&common, 0);
    if (access_format_json(&clock, &entry, &json) || access_format_common(&clock, &entry, &common)) abort();
    sk_str lines[] = {sk_buf_str(&json), sk_buf_str(&common)};
    for (size_t i = 0; i < SK_COUNT(lines); i++)
        if (sk_str_find_byte(lines[i], '\n') != lines[i].len - 1) abort();
    check_json(lines[0], &entry);
    check_common(lines[1]);
    sk_buf_free(&json);
    sk_buf_free(&common);
    return 0;
}
