#include "fleet/valkey_reply.h"

#include <hiredis/read.h>
#include <stdlib.h>

struct fleet_reply_reader {
    redisReader *redis;
    struct sk_arena *arena; /* during fleet_reply_next; NULL outside */
    size_t fed, items;      /* of the reply that is being read */
};

/* ---- commands ------------------------------------------------------------------------------------------------ */

sk_err fleet_command_write(struct sk_buf *out, const sk_str *words, size_t count) {
    sk_err err = sk_buf_printf(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count && !err; i++) {
        err = sk_buf_printf(out, "$%zu\r\n", words[i].len);
        if (!err) err = sk_buf_append(out, words[i]);
        if (!err) err = sk_buf_append(out, SK_STR("\r\n"));
    }
    return err;
}

/* ---- replies: what hiredis' reader calls for each element; NULL makes it give up ----------------------------- */

static unsigned depth_of(const redisReadTask *task) {
    unsigned depth = 0;
    for (; task->parent; task = task->parent) depth++;
    return depth;
}

static struct fleet_reply *make(const redisReadTask *task, enum fleet_reply_kind kind) {
    struct fleet_reply_reader *reader = task->privdata;
    if (depth_of(task) > FLEET_REPLY_MAX_DEPTH) return NULL;
    struct fleet_reply *reply = sk_arena_zalloc(reader->arena, sizeof *reply);
    if (!reply) return NULL;
    reply->kind = kind;
    if (task->parent) {
        struct fleet_reply *parent = task->parent->obj;
        parent->items[task->idx] = reply;
    }
    return reply;
}

static void *make_text(const redisReadTask *task, char *text, size_t bytes) {
    struct fleet_reply_reader *reader = task->privdata;
    struct fleet_reply *reply =
        make(task, task->type == REDIS_REPLY_ERROR ? FLEET_REPLY_REFUSAL : FLEET_REPLY_TEXT);
    if (!reply) return NULL;
    reply->text = sk_arena_copy(reader->arena, sk_str_make(text, bytes));
    return reply->text.data ? reply : NULL;
}

static void *make_array(const redisReadTask *task, size_t count) {
    struct fleet_reply_reader *reader = task->privdata;
    if (count > FLEET_REPLY_MAX_ITEMS - reader->items) return NULL;
    reader->items += count;
    struct fleet_reply *reply = make(task, FLEET_REPLY_ARRAY);
    if (!reply) return NULL;
    reply->items = sk_arena_zalloc(reader->arena, SK_MAX(count, 1) * sizeof(struct fleet_reply *));
    reply->count = count;
    return reply->items ? reply : NULL;
}

static void *make_integer(const redisReadTask *task, long long value) {
    struct fleet_reply *reply = make(task, FLEET_REPLY_INTEGER);
    if (reply) reply->integer = value;
    return reply;
}

static void *make_double(const redisReadTask *task, double value, char *text, size_t bytes) {
    return make_text(task, text, bytes);
}

static void *make_nil(const redisReadTask *task) { return make(task, FLEET_REPLY_NIL); }
static void *make_bool(const redisReadTask *task, int value) { return make_integer(task, value); }
static void leave_to_arena(void *reply) {}

static redisReplyObjectFunctions makers = {make_text, make_array, make_integer,  make_double,
                                           make_nil,  make_bool,  leave_to_arena};

/* ---- the reader ----------------------------------------------------------------------------------------------- */

sk_err fleet_reply_reader_create(struct fleet_reply_reader **out_reader) {
    struct fleet_reply_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return SK_ERR_NO_MEMORY;
    reader->redis = redisReaderCreateWithFunctions(&makers);
    if (!reader->redis) {
        free(reader);
        return SK_ERR_NO_MEMORY;
    }
    reader->redis->privdata = reader;
    reader->redis->maxelements = FLEET_REPLY_MAX_ITEMS;
    *out_reader = reader;
    return SK_OK;
}

void fleet_reply_reader_free(struct fleet_reply_reader *reader) {
    if (!reader) return;
    redisReaderFree(reader->redis);
    free(reader);
}

sk_err fleet_reply_feed(struct fleet_reply_reader *reader, const char *data, size_t bytes) {
    if (bytes > FLEET_REPLY_MAX_BYTES - reader->fed) return SK_ERR_TOO_LARGE;
    reader->fed += bytes;
    return redisReaderFeed(reader->redis, data, bytes) == REDIS_OK ? SK_OK : SK_ERR_NO_MEMORY;
}

sk_err fleet_reply_next(struct fleet_reply_reader *reader, struct sk_arena *arena,
                        const struct fleet_reply **out_reply) {
    void *reply = NULL;
    reader->arena = arena;
    int result = redisReaderGetReply(reader->redis, &reply);
    reader->arena = NULL;
    if (result != REDIS_OK) return reader->redis->err == REDIS_ERR_OOM ? SK_ERR_TOO_LARGE : SK_ERR_MALFORMED;
    if (!reply) return SK_ERR_AGAIN;
    reader->fed = reader->redis->len - reader->redis->pos;
    reader->items = 0;
    *out_reply = reply;
    return SK_OK;
}
