/* A table on disk, so that a router that starts alone answers as well as before: a fixed head, the ranges, the lists,
 * and a checksum over all of it, in the machine's byte order (the file does not travel). */
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "route/table_private.h"

#include <xxhash.h>

#define FILE_MAGIC UINT64_C(0x31454c4254594b53) /* "SKYTBLE1" */
#define FILE_MAX_BYTES ((size_t)1 << 30)

struct head {
    uint64_t magic, version, sites_digest, range_count, list_count, checksum;
};

/* Of everything but the checksum itself. A fixed hash without the installation's secret: the file must be readable after
 * the secret has changed, and nobody chooses its contents. */
static uint64_t checksum_of(const struct head *head, const void *body, size_t bytes) {
    struct head zeroed = *head;
    zeroed.checksum = 0;
    return XXH3_64bits_withSeed(body, bytes, XXH3_64bits(&zeroed, sizeof zeroed));
}

sk_err table_save(const struct table *table, const char *path) {
    size_t ranges = geo_tree_ranges(table->tree), range_bytes = ranges * sizeof(struct geo_range);
    size_t list_bytes = table->list_count * sizeof(struct decide_answer),
           bytes = sizeof(struct head) + range_bytes + list_bytes;
    char *text = calloc(1, bytes);
    if (!text) return SK_ERR_NO_MEMORY;
    struct head head = {FILE_MAGIC, table->version, table->sites_digest, ranges, table->list_count, 0};
    struct geo_range *out = (struct geo_range *)(void *)(text + sizeof head);
    for (size_t i = 0; i < ranges; i++) {
        out[i].start = geo_tree_range_start(table->tree, i);
        out[i].value = geo_tree_range_value(table->tree, i);
    }
    memcpy(text + sizeof head + range_bytes, table->lists, list_bytes);
    head.checksum = checksum_of(&head, text + sizeof head, bytes - sizeof head);
    memcpy(text, &head, sizeof head);
    sk_err err = io_file_replace(path, text, bytes, 0644);
    free(text);
    return err;
}

/* Whether the file is whole and means what a table means. */
static bool sound(const struct head *head, sk_str text, size_t site_count) {
    size_t left = text.len - sizeof *head;
    if (head->magic != FILE_MAGIC || head->range_count == 0 || head->list_count == 0) return false;
    if (head->range_count > left / sizeof(struct geo_range)) return false;
    left -= head->range_count * sizeof(struct geo_range);
    if (head->list_count != left / sizeof(struct decide_answer) || left % sizeof(struct decide_answer))
        return false;
    const char *body = text.data + sizeof *head;
    if (checksum_of(head, body, text.len - sizeof *head) != head->checksum) return false;
    struct geo_range range, last = {{0, 0}, 0};
    for (size_t i = 0; i < head->range_count; i++, last = range) {
        memcpy(&range, body + i * sizeof range, sizeof range);
        bool ascends =
            i ? geo_ip_less(last.start, range.start) : range.start.high == 0 && range.start.low == 0;
        if (!ascends || range.value >= head->list_count) return false;
    }
    for (size_t i = 0; i < head->list_count; i++) {
        struct decide_answer list;
        memcpy(&list, body + head->range_count * sizeof range + i * sizeof list, sizeof list);
        if (list.count == 0 || list.count > DECIDE_ANSWER_MAX) return false;
        for (size_t k = 0; k < list.count; k++)
            if (list.sites[k] >= site_count) return false;
    }
    return true;
}

static sk_err make_table(const struct head *head, const char *body, struct table **out_table) {
    size_t range_bytes = head->range_count * sizeof(struct geo_range);
    size_t list_bytes = head->list_count * sizeof(struct decide_answer);
    struct table *table = calloc(1, sizeof *table);
    struct decide_answer *lists = malloc(list_bytes);
    struct geo_ranges ranges = {malloc(range_bytes), head->range_count, head->range_count};
    if (!table || !lists || !ranges.items) {
        free(table);
        free(lists);
        free(ranges.items);
        return SK_ERR_NO_MEMORY;
    }
    memcpy(ranges.items, body, range_bytes);
    memcpy(lists, body + range_bytes, list_bytes);
    *table = (struct table){.magic = TABLE_MAGIC,
                            .version = head->version,
                            .sites_digest = head->sites_digest,
                            .lists = lists,
                            .list_count = (uint32_t)head->list_count};
    sk_err err = geo_ranges_build(&ranges, &table->tree);
    if (err)
        table_free(table);
    else
        *out_table = table;
    return err;
}

sk_err table_load(const char *path, uint64_t newer_than, uint64_t sites_digest, size_t site_count,
                  struct table **out_table) {
    struct sk_buf text;
    struct head head;
    sk_buf_init(&text, FILE_MAX_BYTES + 1);
    sk_err err = io_file_load(path, FILE_MAX_BYTES, &text);
    if (!err && sk_buf_len(&text) < sizeof head) err = SK_ERR_CORRUPT;
    if (!err) {
        sk_str bytes = sk_buf_str(&text);
        memcpy(&head, bytes.data, sizeof head);
        if (head.magic == FILE_MAGIC && head.sites_digest != sites_digest)
            err = SK_ERR_INVALID;
        else if (!sound(&head, bytes, site_count))
            err = SK_ERR_CORRUPT;
        else if (head.version <= newer_than)
            err = SK_ERR_STALE;
        if (!err) err = make_table(&head, bytes.data + sizeof head, out_table);
    }
    sk_buf_free(&text);
    return err;
}
