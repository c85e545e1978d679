/* A trace: what clients, origin, clock and operator do, one operation after the other. The generator makes it,
 * the world plays it to Skerry, the model says what may come of it. Plain values with nothing of Skerry's in
 * them. Any operation may be left out and what remains is still a trace: that is how one is made small. */
#ifndef SK_TESTS_PROPERTY_TRACE_H
#define SK_TESTS_PROPERTY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NAME_BYTES 28
#define TRACE_VALUE_BYTES 160
#define TRACE_LINES 32

struct trace_line {
    char name[TRACE_NAME_BYTES], value[TRACE_VALUE_BYTES];
};
struct trace_head {
    uint32_t count;
    struct trace_line lines[TRACE_LINES];
};

/* Few, so that operations meet. */
#define TRACE_URIS 5
struct trace_uri {
    const char *host, *target;
};
extern const struct trace_uri trace_uris[TRACE_URIS];

enum trace_kind {
    TRACE_REQUEST, /* a client asks */
    TRACE_ANSWER,  /* the origin answers one of the requests that wait for it, or fails it */
    TRACE_BODY,    /* more of a response's content, or its end */
    TRACE_READ,    /* a client that had stopped reading goes on */
    TRACE_ABORT,   /* a client goes away */
    TRACE_CLOCK,
    TRACE_PURGE,
};

enum trace_framing { TRACE_LENGTH, TRACE_CHUNKED, TRACE_CLOSE };
enum trace_tag { TRACE_TAG_OWN, TRACE_TAG_SAME, TRACE_TAG_NONE, TRACE_TAG_OTHER };
enum trace_purge {
    TRACE_PURGE_KEY,
    TRACE_PURGE_PREFIX,
    TRACE_PURGE_HOST,
    TRACE_PURGE_GLOB,
    TRACE_PURGE_TAG,
    TRACE_PURGE_ALL,
};

/* Values of fields may be made when the operation is played:
 *   @-30   30 seconds before now as a date; @850:-30 and @asc:-30 in the obsolete formats
 *   ~      the entity tag, or in a date's field the Last-Modified, that the origin last gave for this URI
 *   ~W     the same tag as a weak one */
struct trace_op {
    enum trace_kind kind;
    uint32_t id;   /* unique in the trace */
    uint32_t pick; /* which of those that wait; modulo their number */
    uint32_t uri;
    /* request */
    char method[10];
    uint32_t content_bytes; /* of the request */
    bool slow;              /* reads nothing until it is told to */
    struct trace_head head; /* also of an answer */
    /* answer; the body's rest comes with later operations */
    bool fail;         /* no response at all */
    bool not_modified; /* 304, if the request is conditional */
    enum trace_tag tag;
    uint16_t status;
    enum trace_framing framing;
    uint32_t body_bytes, at_once;
    bool cut; /* after AT_ONCE bytes the connection breaks */
    /* body */
    uint32_t more_bytes;
    bool break_off;
    /* clock */
    int64_t wall_s, mono_ms;
    /* purge */
    enum trace_purge purge;
    char purged_tag[TRACE_NAME_BYTES]; /* of TRACE_PURGE_TAG */
    bool soft;
};

struct trace {
    uint64_t seed, number;
    bool small_memory;
    size_t count;
    struct trace_op *ops;
};

/* A body's content follows from the answer that brought it. */
static inline char trace_body_byte(uint32_t serial, uint64_t at) {
    return (char)('a' + (serial * 31 + at * 7 + (at >> 5) * 3 + (at >> 12)) % 26);
}

const char *trace_value(const struct trace_head *head, const char *name); /* of the first; NULL: none */
void trace_add(struct trace_head *head, const char *name, const char *value);

void trace_print_op(const struct trace_op *op);

#endif
