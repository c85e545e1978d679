/* A stored (or arriving) response, and the reader that follows its bytes.
 *
 * Everything in the first group of the struct is set before the object can be found and never changes; a
 * change (a 304) makes a new object that may share the body. */
#ifndef SK_CACHE_OBJECT_H
#define SK_CACHE_OBJECT_H

#include <stdatomic.h>

#include "base/list.h"
#include "cache/key.h"
#include "http/conditional.h"
#include "http/freshness.h"

#define CACHE_LENGTH_UNKNOWN UINT64_MAX

struct cache_thread;
struct cache_fill;

enum cache_completeness { CACHE_ARRIVING, CACHE_COMPLETE, CACHE_BROKEN };

/* Partial objects (cache/slices.h). */
enum cache_part {
    CACHE_PART_NONE, /* the usual: a response with its body */
    CACHE_PART_HEAD, /* complete without a body; body_length is the representation's complete length */
    CACHE_PART_SLICE,
};

struct cache_object {
    /* the first cache line is all that finding needs */
    uint32_t magic;
    uint16_t status;           /* set before it is published */
    bool shared;               /* the same; false: a private window for one reader, never in the index */
    _Atomic uint8_t accesses;  /* any thread; saturating; relaxed, a lost update is harmless */
    struct cache_key key;      /* set before it is published */
    _Atomic uint64_t verified; /* private: up to which tick of the purge clock it was looked at */
    _Atomic uint8_t complete;  /* any thread: enum cache_completeness, release by the fill */
    uint8_t kind;              /* private */
    uint8_t part;              /* enum cache_part; set before it is published */
    _Atomic uint8_t effort; /* any thread; of a coded form: how hard the coder has tried; relaxed, a hint */
    bool codable;           /* set before it is published: may be given out in a content coding */
    bool from_tier;         /* set before it is published: it came from the SSD tier (cache/tier.h) */
    /* set before it is published */
    struct http_freshness freshness;
    sk_str head; /* the fields as text, "Name: value\r\n" each: one copy on a hit */
    sk_unix_s stored_at;
    enum http_reason store_reason;
    struct http_validators validators;
    struct http_fields fields; /* end-to-end fields, without Age, Cache-Status, framing, Connection, Via */
    uint64_t born;             /* purge clock when its fill began */
    sk_time_ns born_at;        /* sk_time_now when its content was asked for; 0: before this process */
    uint64_t number; /* of its content, if codable or a CACHE_PART_HEAD: no other content ever had it */
    /* any thread, atomic */
    _Atomic uint64_t body_length; /* CACHE_LENGTH_UNKNOWN until the end when the origin did not say */
    _Atomic uint64_t available; /* bytes from 0 that can be read (release by the fill, acquire by readers) */
};

/* Keeps an object beyond the section in which it was found (or one that the caller keeps already). Inside
 * the section it always succeeds. */
void cache_object_ref(struct cache_object *object);
/* From any thread that has joined. */
void cache_object_unref(struct cache_thread *thread, struct cache_object *object);

/* A piece of a body: memory, and where the same bytes lie in a file for sendfile (fd -1: nowhere, or not asked for). */
struct cache_piece {
    const char *data;
    size_t bytes;
    int fd;
    uint64_t fd_offset;
};

enum cache_read {
    CACHE_READ_DATA,   /* pieces are set */
    CACHE_READ_WAIT,   /* nothing now: cache_reader_wait */
    CACHE_READ_END,    /* position is at the end of what was asked */
    CACHE_READ_FAILED, /* the fill broke before the end */
};

/* One client following one object; embedded in its owner, own thread only. */
struct cache_reader {
    struct cache_object *object; /* NULL when closed */
    uint64_t position, end;      /* end is exclusive; CACHE_LENGTH_UNKNOWN means to the object's end */
    /* private */
    struct cache_thread *thread;
    struct cache_fill *fill; /* while the object arrives */
    struct sk_list link, wait_link;
    void (*on_ready)(struct cache_reader *reader);
    bool referenced;
};

/* Takes over the caller's reference to OBJECT. FIRST must not be beyond END. */
void cache_reader_open(struct cache_reader *reader, struct cache_thread *thread, struct cache_object *object,
                       uint64_t first, uint64_t end);
/* The hit's way: no reference is taken, so it must be closed or kept before the section ends. */
void cache_reader_borrow(struct cache_reader *reader, struct cache_thread *thread,
                         struct cache_object *object, uint64_t first, uint64_t end);
/* Takes the reference that a borrowed reader needs to outlive the section (or to wait). Pieces stay valid.
 * Nothing happens to a reader that has one. */
void cache_reader_keep(struct cache_reader *reader);
/* Drops the reference and any wait; safe twice. For a private window this tells the fill that nobody reads. */
void cache_reader_close(struct cache_reader *reader);
/* Up to MAX pieces from the position on, of some 1 MiB together; they stay valid until advanced over, closed, or
 * (borrowed) the section ends. END too when the object is shorter than what was asked. */
enum cache_read cache_reader_peek(struct cache_reader *reader, struct cache_piece *pieces, size_t max,
                                  size_t *out_count);
/* The same, of MOST bytes together. */
enum cache_read cache_reader_peek_most(struct cache_reader *reader, uint64_t most, struct cache_piece *pieces,
                                       size_t max, size_t *out_count);
/* As cache_reader_peek, for who sends from the file where a piece has one: only then pages are given away, which new
 * ones have to replace later. */
enum cache_read cache_reader_peek_lent(struct cache_reader *reader, struct cache_piece *pieces, size_t max,
                                       size_t *out_count);
/* BYTES were sent. Frees window space of a private fill. */
void cache_reader_advance(struct cache_reader *reader, uint64_t bytes);
/* After WAIT, with a reader that is not borrowed: ON_READY is called once, on this thread, from the loop
 * (never from inside this call), when peek would no longer answer WAIT. It may close the reader. False: there is
 * nothing to wait for, since the end came between peek and keep; ON_READY is not called, peek again. */
bool cache_reader_wait(struct cache_reader *reader, void (*on_ready)(struct cache_reader *reader));

#endif
