/* The Redis protocol (RESP2) without a socket: commands to bytes, bytes to replies. Framing is hiredis' reader;
 * replies become plain structs in the caller's arena, bounded in bytes, elements and depth, whoever sent them.
 * Pure but for the reader's own buffer; one owner thread. */
#ifndef SK_FLEET_VALKEY_REPLY_H
#define SK_FLEET_VALKEY_REPLY_H

#include "base/arena.h"
#include "base/buf.h"

#define FLEET_REPLY_MAX_BYTES ((size_t)8 << 20) /* of one reply on the wire */
#define FLEET_REPLY_MAX_ITEMS 65536             /* of all its arrays together */
#define FLEET_REPLY_MAX_DEPTH 6

enum fleet_reply_kind {
    FLEET_REPLY_NIL,
    FLEET_REPLY_INTEGER,
    FLEET_REPLY_TEXT,    /* bulk or simple string */
    FLEET_REPLY_REFUSAL, /* "-ERR ..." without the dash */
    FLEET_REPLY_ARRAY,
};

struct fleet_reply {
    enum fleet_reply_kind kind;
    int64_t integer;
    sk_str text;                      /* of TEXT and REFUSAL; any bytes */
    const struct fleet_reply **items; /* of ARRAY; none is NULL */
    size_t count;
};

/* Appends the command that WORDS are (any bytes). SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY: OUT may hold part of it. */
sk_err fleet_command_write(struct sk_buf *out, const sk_str *words, size_t count);

struct fleet_reply_reader;
sk_err fleet_reply_reader_create(struct fleet_reply_reader **out_reader);
void fleet_reply_reader_free(struct fleet_reply_reader *reader); /* NULL is allowed */
/* Takes over bytes from the server. SK_ERR_TOO_LARGE: they belong to a reply over the limit. */
sk_err fleet_reply_feed(struct fleet_reply_reader *reader, const char *data, size_t bytes);
/* The next whole reply, which lives in ARENA: the same one at each call until it is whole. SK_ERR_AGAIN: more bytes
 * are needed. SK_ERR_MALFORMED: no RESP; SK_ERR_TOO_LARGE: over a limit (ARENA's too). After either the reader can
 * only be freed, and the arena reset. */
sk_err fleet_reply_next(struct fleet_reply_reader *reader, struct sk_arena *arena,
                        const struct fleet_reply **out_reply);

#endif
