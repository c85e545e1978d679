#include "fleet/valkey.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "fleet/valkey_tls.h"
#include "io/resolver.h"

enum {
    CONNECT_MS = 3000,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MOST_MS = 2000,
    READ_BYTES = 16384,
    REFUSAL_MOST = 160,
};

struct fleet_valkey {
    struct io_loop *loop;
    struct io_resolver *resolver; /* NULL of a Unix socket */
    struct fleet_valkey_where where;
    struct io_addr local; /* of a Unix socket */
    char *texts;          /* WHERE's own copies */

    /* of the connection; NULL while there is none */
    struct io_stream *stream;
    struct fleet_reply_reader *reader;
    uint64_t generation;

    /* of connecting again */
    unsigned failures; /* in a row */
    sk_err last_failure;
    sk_time_ns next_attempt;

    /* of the call under way */
    bool busy;
    struct sk_list waiting; /* struct turn.link, first come first served */
    struct sk_buf out;
    char refusal[REFUSAL_MOST];
    size_t refusal_bytes;
    char in[READ_BYTES];
};

/* ---- making ---------------------------------------------------------------------------------------------------- */

/* With a NUL behind it, for who wants C text. */
static char *keep(char *next, sk_str *text) {
    if (text->len) memcpy(next, text->data, text->len);
    text->data = next;
    next[text->len] = 0;
    return next + text->len + 1;
}

static sk_err keep_where(struct fleet_valkey *valkey, const struct fleet_valkey_where *where) {
    struct fleet_valkey_where *own = &valkey->where;
    *own = *where;
    sk_str *const texts[] = {&own->path, &own->host, &own->user, &own->password,
                             &own->ca,   &own->cert, &own->key};
    size_t bytes = 0;
    for (size_t i = 0; i < SK_COUNT(texts); i++) bytes += texts[i]->len + 1;
    valkey->texts = malloc(bytes);
    if (!valkey->texts) return SK_ERR_NO_MEMORY;
    char *next = valkey->texts;
    for (size_t i = 0; i < SK_COUNT(texts); i++) next = keep(next, texts[i]);
    return SK_OK;
}

/* How the server is reached: a path's address now, a name's at each connection. */
static sk_err check_files(const struct fleet_valkey_where *where) {
    SSL_CTX *context;
    if (!where->tls) return SK_OK;
    sk_err err = fleet_valkey_context(where, &context);
    if (!err) SSL_CTX_free(context);
    return err;
}

static sk_err prepare(struct fleet_valkey *valkey) {
    char text[IO_ADDR_TEXT_BYTES + 8];
    const struct fleet_valkey_where *where = &valkey->where;
    if (!where->path.len)
        return where->host.len ? io_resolver_create(valkey->loop, NULL, &valkey->resolver) : SK_ERR_INVALID;
    int bytes = snprintf(text, sizeof text, "unix:%.*s", SK_STR_ARGS(where->path));
    if (bytes < 0 || (size_t)bytes >= sizeof text) return SK_ERR_INVALID;
    return io_addr_parse(sk_str_make(text, (size_t)bytes), &valkey->local) ? SK_ERR_INVALID : SK_OK;
}

sk_err fleet_valkey_create(struct io_loop *loop, const struct fleet_valkey_where *where,
                           struct fleet_valkey **out_valkey) {
    struct fleet_valkey *valkey = calloc(1, sizeof *valkey);
    if (!valkey) return SK_ERR_NO_MEMORY;
    valkey->loop = loop;
    sk_list_init(&valkey->waiting);
    sk_buf_init(&valkey->out, FLEET_REPLY_MAX_BYTES);
    sk_err err = keep_where(valkey, where);
    if (!err) err = prepare(valkey);
    if (!err) err = check_files(&valkey->where);
    if (err)
        fleet_valkey_destroy(valkey);
    else
        *out_valkey = valkey;
    return err;
}

static void hang_up(struct fleet_valkey *valkey) {
    io_stream_close(valkey->stream);
    fleet_reply_reader_free(valkey->reader);
    valkey->stream = NULL;
    valkey->reader = NULL;
}

void fleet_valkey_destroy(struct fleet_valkey *valkey) {
    if (!valkey) return;
    hang_up(valkey);
    io_resolver_destroy(valkey->resolver);
    sk_buf_free(&valkey->out);
    free(valkey->texts);
    free(valkey);
}

bool fleet_valkey_connected(const struct fleet_valkey *valkey) { return valkey->stream != NULL; }
uint64_t fleet_valkey_generation(const struct fleet_valkey *valkey) { return valkey->generation; }
sk_str fleet_valkey_refusal(const struct fleet_valkey *valkey) {
    return sk_str_make(valkey->refusal, valkey->refusal_bytes);
}

/* ---- failures ------------------------------------------------------------------------------------------------- */

/* Half of the pause is random, so that a fleet does not come back as one. */
static void fail(struct fleet_valkey *valkey, sk_err err) {
    int64_t pause_ms = BACKOFF_MOST_MS;
    if (valkey->failures < 8) pause_ms = SK_MIN(BACKOFF_FIRST_MS << valkey->failures, BACKOFF_MOST_MS);
    pause_ms -= (int64_t)sk_random_below((uint64_t)pause_ms / 2);
    hang_up(valkey);
    valkey->failures++;
    valkey->last_failure = err;
    valkey->next_attempt = sk_time_now() + pause_ms * SK_NS_PER_MS;
}

sk_err fleet_valkey_pause(struct fleet_valkey *valkey) {
    while (!valkey->stream && sk_time_now() < valkey->next_attempt) {
        sk_err err = io_fiber_sleep_until(valkey->next_attempt);
        if (err == SK_ERR_CANCELLED) return err;
    }
    return SK_OK;
}

static bool begins(const struct fleet_valkey *valkey, const char *word) {
    return sk_str_starts_with(fleet_valkey_refusal(valkey), sk_str_from_c(word));
}

static sk_err refusal_err(const struct fleet_valkey *valkey) {
    static const char *const denied[] = {"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH"};
    static const char *const busy[] = {"LOADING",
                                       "BUSY ",
                                       "MASTERDOWN",
                                       "CLUSTERDOWN",
                                       "TRYAGAIN",
                                       "READONLY",
                                       "OOM ",
                                       "MISCONF",
                                       "NOREPLICAS",
                                       "UNBLOCKED",
                                       "ERR max number of clients"};
    for (size_t i = 0; i < SK_COUNT(denied); i++)
        if (begins(valkey, denied[i])) return SK_ERR_DENIED;
    for (size_t i = 0; i < SK_COUNT(busy); i++)
        if (begins(valkey, busy[i])) return SK_ERR_BUSY;
    return SK_ERR_INVALID;
}

static sk_err refused(struct fleet_valkey *valkey, sk_str text) {
    valkey->refusal_bytes = SK_MIN(text.len, sizeof valkey->refusal);
    memcpy(valkey->refusal, text.data, valkey->refusal_bytes);
    return refusal_err(valkey);
}

/* ---- one exchange ---------------------------------------------------------------------------------------------- */

static sk_err read_reply(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena,
                         const struct fleet_reply **out_reply) {
    for (;;) {
        sk_err err = fleet_reply_next(valkey->reader, arena, out_reply);
        if (err != SK_ERR_AGAIN) return err;
        size_t n;
        err = io_stream_read(valkey->stream, valkey->in, sizeof valkey->in, deadline, &n);
        if (!err) err = fleet_reply_feed(valkey->reader, valkey->in, n);
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
    }
}

/* Sends what is in `out`, COMMANDS of them, and reads as many replies. */
static sk_err exchange(struct fleet_valkey *valkey, size_t commands, sk_time_ns deadline,
                       struct sk_arena *arena, const struct fleet_reply **out_replies) {
    sk_str bytes = sk_buf_str(&valkey->out);
    sk_err err = io_stream_write(valkey->stream, bytes.data, bytes.len, deadline);
    for (size_t i = 0; i < commands && !err; i++) err = read_reply(valkey, deadline, arena, &out_replies[i]);
    sk_buf_clear(&valkey->out);
    if (err) {
        fail(valkey, err);
        return err;
    }
    for (size_t i = 0; i < commands; i++)
        if (out_replies[i]->kind == FLEET_REPLY_REFUSAL) return refused(valkey, out_replies[i]->text);
    return SK_OK;
}

static sk_err open_stream(struct fleet_valkey *valkey, sk_time_ns deadline) {
    struct io_addr addrs[IO_RESOLVE_MAX];
    size_t count;
    if (!valkey->resolver) return io_stream_connect(valkey->loop, &valkey->local, deadline, &valkey->stream);
    sk_err err =
        io_resolve(valkey->resolver, valkey->where.host, valkey->where.port, deadline, addrs, &count);
    return err ? err : io_stream_connect_any(valkey->loop, addrs, count, deadline, &valkey->stream, NULL);
}

static sk_err authenticate(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena) {
    const struct fleet_valkey_where *where = &valkey->where;
    const struct fleet_reply *reply;
    const sk_str with_user[] = {SK_STR("AUTH"), where->user, where->password};
    const sk_str alone[] = {SK_STR("AUTH"), where->password};
    if (!where->password.len) return SK_OK;
    sk_err err = where->user.len ? fleet_command_write(&valkey->out, with_user, 3)
                                 : fleet_command_write(&valkey->out, alone, 2);
    return err ? err : exchange(valkey, 1, deadline, arena, &reply);
}

static sk_err connect_now(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena) {
    deadline = SK_MIN(deadline, sk_time_now() + CONNECT_MS * SK_NS_PER_MS);
    sk_err err = fleet_reply_reader_create(&valkey->reader);
    if (!err) err = open_stream(valkey, deadline);
    if (!err && valkey->where.tls) err = fleet_valkey_secure(&valkey->where, valkey->stream, deadline);
    if (!err) err = authenticate(valkey, deadline, arena);
    if (err) {
        if (valkey->reader) fail(valkey, err);
        return err;
    }
    valkey->generation++;
    return SK_OK;
}

/* A server may have closed an idle connection: that is no failure yet. */
static sk_err ensure_connected(struct fleet_valkey *valkey, sk_time_ns deadline, struct sk_arena *arena) {
    if (valkey->stream && io_stream_is_stale(valkey->stream)) hang_up(valkey);
    if (valkey->stream) return SK_OK;
    if (valkey->failures && sk_time_now() < valkey->next_attempt) return valkey->last_failure;
    return connect_now(valkey, deadline, arena);
}

/* ---- turns ----------------------------------------------------------------------------------------------------- */

struct turn {
    struct sk_list link;
    struct io_fiber *fiber;
    bool given;
};

static sk_err take_turn(struct fleet_valkey *valkey, sk_time_ns deadline) {
    struct turn turn = {.fiber = io_fiber_self()};
    SK_ASSERT(turn.fiber);
    if (!valkey->busy) {
        valkey->busy = true;
        return SK_OK;
    }
    sk_list_push_back(&valkey->waiting, &turn.link);
    sk_err err = SK_OK;
    while (!turn.given && !err) err = io_fiber_park(deadline);
    if (turn.given) return SK_OK; /* a late error shows at the first use of the stream */
    sk_list_remove(&turn.link);
    return err;
}

static void give_turn(struct fleet_valkey *valkey) {
    struct sk_list *first = sk_list_pop_front(&valkey->waiting);
    valkey->busy = first != NULL;
    if (!first) return;
    struct turn *next = SK_CONTAINER_OF(first, struct turn, link);
    next->given = true;
    io_fiber_wake(next->fiber);
}

sk_err fleet_valkey_calls(struct fleet_valkey *valkey, const struct fleet_command *commands, size_t count,
                          sk_time_ns deadline, struct sk_arena *arena,
                          const struct fleet_reply **out_replies) {
    sk_err err = take_turn(valkey, deadline);
    if (err) return err;
    valkey->refusal_bytes = 0;
    err = ensure_connected(valkey, deadline, arena);
    for (size_t i = 0; i < count && !err; i++)
        err = fleet_command_write(&valkey->out, commands[i].words, commands[i].count);
    if (err)
        sk_buf_clear(&valkey->out);
    else
        err = exchange(valkey, count, deadline, arena, out_replies);
    if (!err) valkey->failures = 0;
    give_turn(valkey);
    return err;
}

sk_err fleet_valkey_call(struct fleet_valkey *valkey, const sk_str *words, size_t count, sk_time_ns deadline,
                         struct sk_arena *arena, const struct fleet_reply **out_reply) {
    return fleet_valkey_calls(valkey, &(struct fleet_command){words, count}, 1, deadline, arena, out_reply);
}
