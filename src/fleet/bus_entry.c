#include "fleet/bus_entry.h"

#define MAGIC SK_STR("SKB1")
#define SOFT 0x80
#define ERASE SK_STR("erase")
#define WISH_LEAST_BYTES 5 /* a kind and two empty texts */

/* ---- writing --------------------------------------------------------------------------------------------------- */

static sk_err put(struct sk_buf *out, uint64_t value, unsigned bytes) {
    char text[8];
    for (unsigned i = 0; i < bytes; i++) text[i] = (char)(value >> (8 * (bytes - 1 - i)));
    return sk_buf_append(out, sk_str_make(text, bytes));
}

static sk_err put_text(struct sk_buf *out, sk_str text, size_t most) {
    if (text.len > most) return SK_ERR_TOO_LARGE;
    sk_err err = put(out, text.len, 2);
    return err || !text.len ? err : sk_buf_append(out, text);
}

static sk_err put_wish(struct sk_buf *out, const struct fleet_purge_wish *wish) {
    sk_err err = put(out, (uint64_t)wish->kind | (wish->soft ? SOFT : 0), 1);
    if (!err) err = put_text(out, wish->text, FLEET_BUS_TEXT_MAX);
    return err ? err : put_text(out, wish->erase ? ERASE : wish->site, FLEET_BUS_TEXT_MAX);
}

static bool kind_fits(enum fleet_bus_kind kind, uint32_t wish_count) {
    return kind == FLEET_BUS_PURGES ? wish_count > 0
                                    : (kind == FLEET_BUS_BEAT || kind == FLEET_BUS_END) && wish_count == 0;
}

/* An erasure has an answer of its own, by the entry's number. */
static bool erasures_fit(const struct fleet_purge_wish *wishes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (wishes[i].erase && (count > 1 || wishes[i].soft || wishes[i].kind != CACHE_PURGE_SITE))
            return false;
    return true;
}

sk_err fleet_bus_write(const struct fleet_bus_entry *entry, struct sk_buf *out) {
    const uint64_t numbers[] = {entry->mark.epoch, entry->mark.sequence, entry->serial, entry->made_ms};
    size_t before = sk_buf_len(out);
    if (!kind_fits(entry->kind, entry->wish_count)) return SK_ERR_INVALID;
    if (entry->wish_count > FLEET_BUS_PURGES_MAX) return SK_ERR_TOO_LARGE;
    if (!erasures_fit(entry->wishes, entry->wish_count)) return SK_ERR_INVALID;
    sk_err err = sk_buf_append(out, MAGIC);
    if (!err) err = put(out, (uint64_t)entry->kind, 1);
    if (!err) err = put_text(out, entry->publisher, FLEET_BUS_PUBLISHER_MAX);
    for (size_t i = 0; i < SK_COUNT(numbers) && !err; i++) err = put(out, numbers[i], 8);
    if (!err) err = put(out, entry->wish_count, 4);
    for (uint32_t i = 0; i < entry->wish_count && !err; i++) err = put_wish(out, &entry->wishes[i]);
    return !err && sk_buf_len(out) - before > FLEET_BUS_ENTRY_MAX_BYTES ? SK_ERR_TOO_LARGE : err;
}

/* ---- reading: a cursor that stays bad once it is ------------------------------------------------------------------ */

struct cursor {
    sk_str rest;
    bool bad;
};

static sk_str take(struct cursor *cursor, size_t bytes) {
    if (cursor->bad || bytes > cursor->rest.len) {
        cursor->bad = true;
        return (sk_str){0};
    }
    sk_str taken = sk_str_slice(cursor->rest, 0, bytes);
    cursor->rest = sk_str_slice(cursor->rest, bytes, cursor->rest.len);
    return taken;
}

static uint64_t take_number(struct cursor *cursor, size_t bytes) {
    uint64_t value = 0;
    sk_str text = take(cursor, bytes);
    for (size_t i = 0; i < text.len; i++) value = value << 8 | (unsigned char)text.data[i];
    return value;
}

static sk_str take_text(struct cursor *cursor, size_t most) {
    size_t bytes = take_number(cursor, 2);
    cursor->bad |= bytes > most;
    return take(cursor, bytes);
}

static void take_wish(struct cursor *cursor, uint32_t item, struct fleet_purge_wish *out_wish) {
    uint64_t kind = take_number(cursor, 1);
    struct fleet_purge_wish wish = {.soft = kind & SOFT, .item = item};
    kind &= ~(uint64_t)SOFT;
    cursor->bad |= kind >= CACHE_PURGE_COUNT_;
    wish.text = take_text(cursor, FLEET_BUS_TEXT_MAX);
    wish.site = take_text(cursor, FLEET_BUS_TEXT_MAX);
    cursor->bad |= (kind == CACHE_PURGE_ALL) != (wish.text.len == 0);
    if (cursor->bad) return;
    wish.kind = (enum cache_purge_kind)kind;
    wish.erase = wish.kind == CACHE_PURGE_SITE && sk_str_eq(wish.site, ERASE);
    if (wish.erase) wish.site = (sk_str){0};
    *out_wish = wish;
}

static sk_err take_wishes(struct cursor *cursor, struct sk_arena *arena, struct fleet_bus_entry *entry) {
    uint64_t count = take_number(cursor, 4);
    if (cursor->bad || count > FLEET_BUS_PURGES_MAX || count * WISH_LEAST_BYTES > cursor->rest.len ||
        !kind_fits(entry->kind, (uint32_t)count))
        return SK_ERR_MALFORMED;
    struct fleet_purge_wish *wishes = sk_arena_alloc(arena, SK_MAX(count, 1) * sizeof *wishes);
    if (!wishes) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count && !cursor->bad; i++) take_wish(cursor, i, &wishes[i]);
    cursor->bad |= !cursor->bad && !erasures_fit(wishes, (uint32_t)count);
    entry->wishes = wishes;
    entry->wish_count = (uint32_t)count;
    return SK_OK;
}

sk_err fleet_bus_read(sk_str bytes, struct sk_arena *arena, struct fleet_bus_entry *out_entry) {
    struct cursor cursor = {.rest = bytes};
    struct fleet_bus_entry entry = {0};
    if (bytes.len > FLEET_BUS_ENTRY_MAX_BYTES || !sk_str_eq(take(&cursor, MAGIC.len), MAGIC))
        return SK_ERR_MALFORMED;
    uint64_t kind = take_number(&cursor, 1);
    if (kind < FLEET_BUS_PURGES || kind > FLEET_BUS_END) return SK_ERR_MALFORMED;
    entry.kind = (enum fleet_bus_kind)kind;
    entry.publisher = take_text(&cursor, FLEET_BUS_PUBLISHER_MAX);
    entry.mark.epoch = take_number(&cursor, 8);
    entry.mark.sequence = take_number(&cursor, 8);
    entry.serial = take_number(&cursor, 8);
    entry.made_ms = take_number(&cursor, 8);
    sk_err err = take_wishes(&cursor, arena, &entry);
    if (err) return err;
    bool nothing_published = entry.kind == FLEET_BUS_PURGES && entry.mark.sequence == 0;
    if (cursor.bad || cursor.rest.len || !entry.publisher.len || nothing_published) return SK_ERR_MALFORMED;
    *out_entry = entry;
    return SK_OK;
}
