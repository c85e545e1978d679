/* A connection to a server of the Redis protocol with streams (Valkey 8, Redis 7). Each call is a story on a fiber:
 * it parks until the reply is there. Only framing is hiredis'; sockets are io/stream.h's, so that one loop, one kind of
 * deadline and one kind of TLS serve here as everywhere, and XREAD BLOCK costs a parked fiber and no thread.
 *
 * Own thread, fibers only. Several fibers may share one connection (their calls queue), but one that blocks
 * (fleet_valkey_read) makes the others wait: give it a connection of its own. Replies live in the caller's arena.
 *
 * It connects at the first call and again after a failure, but not at once: after N failures in a row no sooner than
 * 50 ms * 2^N, at most 2 s, less a random part. A call in that time fails at once with the last error;
 * fleet_valkey_pause waits for its end. A command is never sent twice: after an error of the connection it may have
 * been carried out or not. */
#ifndef SK_FLEET_VALKEY_H
#define SK_FLEET_VALKEY_H

#include "fleet/valkey_reply.h"
#include "io/stream.h"

struct fleet_valkey;

/* Where and as whom. Borrows from the text that it was read from. */
struct fleet_valkey_where {
    sk_str path; /* of a Unix socket; empty: the next two */
    sk_str host; /* name or IP, without brackets */
    uint16_t port;
    sk_str user, password; /* empty: none */
    bool tls;
    /* Of TLS, by whoever has them, paths of PEM files: authorities (empty: the system's), and what we show when asked for
     * it (empty: nothing). */
    sk_str ca, cert, key;
};
/* "unix:/run/valkey.sock", "valkey://[[USER]:PASSWORD@]HOST[:PORT]", "valkeys://..." over TLS; redis:// and rediss:// mean
 * the same. The port is 6379 unless said. No escapes. Pure. SK_ERR_MALFORMED, SK_ERR_TOO_LARGE (port). */
sk_err fleet_valkey_where_parse(sk_str url, struct fleet_valkey_where *out_where);

/* Does not connect yet. Copies WHERE. SK_ERR_INVALID: no such path or port, or a
 * file of TLS that cannot be used; SK_ERR_NO_MEMORY. */
sk_err fleet_valkey_create(struct io_loop *loop, const struct fleet_valkey_where *where,
                           struct fleet_valkey **out_valkey);
/* No call may be under way, unless the loop has ended. NULL is allowed. */
void fleet_valkey_destroy(struct fleet_valkey *valkey);
bool fleet_valkey_connected(const struct fleet_valkey *valkey);
/* Changes with each new connection: who remembers what the server was told must tell it again. */
uint64_t fleet_valkey_generation(const struct fleet_valkey *valkey);
/* Parks until a new attempt to connect is allowed. SK_OK, SK_ERR_CANCELLED. */
sk_err fleet_valkey_pause(struct fleet_valkey *valkey);
/* What the server answered when the last call gave SK_ERR_INVALID, SK_ERR_DENIED or SK_ERR_BUSY; else empty. */
sk_str fleet_valkey_refusal(const struct fleet_valkey *valkey);

/* One command, any. *out_reply is never a refusal.
 *
 * SK_ERR_DENIED: user, password or right is missing. SK_ERR_BUSY: it can't now (loading, a replica that is asked to
 * write, out of memory). SK_ERR_INVALID: it refused for another reason. SK_ERR_TIMEOUT, SK_ERR_REFUSED,
 * SK_ERR_UNREACHABLE, SK_ERR_NAME_NOT_FOUND, SK_ERR_NAME_SERVER, SK_ERR_CLOSED, SK_ERR_RESET, SK_ERR_MALFORMED,
 * SK_ERR_TOO_LARGE (the reply), SK_ERR_CANCELLED: the connection has failed and is closed. SK_ERR_NO_MEMORY. */
sk_err fleet_valkey_call(struct fleet_valkey *valkey, const sk_str *words, size_t count, sk_time_ns deadline,
                         struct sk_arena *arena, const struct fleet_reply **out_reply);

/* Several commands in one write, carried out one behind the other; OUT_REPLIES has room for as many. None is a refusal:
 * the first that is one is this call's error. */
struct fleet_command {
    const sk_str *words;
    size_t count;
};
sk_err fleet_valkey_calls(struct fleet_valkey *valkey, const struct fleet_command *commands, size_t count,
                          sk_time_ns deadline, struct sk_arena *arena,
                          const struct fleet_reply **out_replies);

/* --- streams and hashes: errors as fleet_valkey_call, and SK_ERR_MALFORMED for a reply of another shape ---------- */

struct fleet_pair {
    sk_str name, value;
};
#define FLEET_PAIRS_MAX 32
/* The value of NAME; empty when there is none. */
sk_str fleet_pair_value(const struct fleet_pair *pairs, size_t count, const char *name);

/* Milliseconds and number in them, as Valkey makes them: they follow its clock, and may step back at a failover. */
struct fleet_stream_id {
    uint64_t ms, number;
};
int fleet_stream_id_compare(struct fleet_stream_id a, struct fleet_stream_id b);

struct fleet_stream_entry {
    struct fleet_stream_id id;
    const struct fleet_pair *pairs;
    size_t pair_count;
};
struct fleet_stream_entries {
    struct fleet_stream_entry *items;
    size_t count;
};
/* XADD with MAXLEN ~ MAX_ENTRIES (0: no limit). At most FLEET_PAIRS_MAX pairs. */
sk_err fleet_valkey_add(struct fleet_valkey *valkey, sk_str stream, uint64_t max_entries,
                        const struct fleet_pair *pairs, size_t pair_count, sk_time_ns deadline,
                        struct sk_arena *arena, struct fleet_stream_id *out_id);
/* XREAD: at most COUNT entries after AFTER; waits up to BLOCK_MS for the first (0: not at all). None is SK_OK. */
sk_err fleet_valkey_read(struct fleet_valkey *valkey, sk_str stream, struct fleet_stream_id after,
                         size_t count, int64_t block_ms, struct sk_arena *arena,
                         struct fleet_stream_entries *out_entries);
/* XRANGE from FIRST on, at most COUNT. */
sk_err fleet_valkey_range(struct fleet_valkey *valkey, sk_str stream, struct fleet_stream_id first,
                          size_t count, sk_time_ns deadline, struct sk_arena *arena,
                          struct fleet_stream_entries *out_entries);
/* The newest entry: out_entries->count is 0 or 1. */
sk_err fleet_valkey_last(struct fleet_valkey *valkey, sk_str stream, sk_time_ns deadline,
                         struct sk_arena *arena, struct fleet_stream_entries *out_entries);
/* Which server this is, and how far the stream goes: its replication id, which changes with a restart and a failover,
 * and so tells that entries may be lost, and the highest id it ever gave (0-0 when there is no stream). */
struct fleet_stream_source {
    sk_str history; /* in the arena */
    struct fleet_stream_id last;
};
sk_err fleet_valkey_source(struct fleet_valkey *valkey, sk_str stream, sk_time_ns deadline,
                           struct sk_arena *arena, struct fleet_stream_source *out_source);
/* HSET, then PEXPIRE when EXPIRE_MS > 0, in one transaction. */
sk_err fleet_valkey_hash_set(struct fleet_valkey *valkey, sk_str key, const struct fleet_pair *pairs,
                             size_t pair_count, int64_t expire_ms, sk_time_ns deadline,
                             struct sk_arena *arena);
/* HGETALL: no pairs when there is no such key. */
sk_err fleet_valkey_hash_get(struct fleet_valkey *valkey, sk_str key, sk_time_ns deadline,
                             struct sk_arena *arena, struct fleet_pair **out_pairs, size_t *out_count);

#endif
