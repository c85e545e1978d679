#include "edge/h1.h"

#include "edge/fetch.h"

#define PIECES 12
#define FRAME_BYTES 20
#define SENDFILE_BYTES 16384 /* less is cheaper to copy */

void h1_writer_reset(struct h1_writer *writer) {
    struct sk_buf text = writer->text;
    cache_reader_close(&writer->reader);
    sk_buf_clear(&text);
    sk_buf_shrink(&text);
    *writer = (struct h1_writer){.text = text};
}

/* --- one round: what is before the content, then as much content as there is ----------------------------- */

enum progress { SENT_MORE, SENT_ALL, SENT_BLOCKED, SENT_WAITING, SENT_FAILED };

/* An iovec under construction: LEAD bytes of text and framing, then CONTENT bytes, then a chunk's end. */
struct round {
    struct iovec iov[H1_HEAD_PIECES + 1 + PIECES + 1];
    int count;
    int lead_count;
    size_t lead, content, tail;
    bool more; /* content is waiting that did not fit */
    struct cache_piece
        file; /* the content, when it goes out by sendfile and not in the iovec; bytes 0: it does not */
    char frame[FRAME_BYTES];
    enum cache_read state;
};

static void round_add(struct round *round, const void *data, size_t bytes) {
    if (bytes) round->iov[round->count++] = (struct iovec){(void *)(uintptr_t)data, bytes};
}

static void round_lead(struct round *round, const void *data, size_t bytes) {
    round_add(round, data, bytes);
    round->lead += bytes;
}

/* Content that may go out now, at most LIMIT bytes. */
static void round_content(struct h1_conn *conn, struct round *round, const struct cache_piece *pieces,
                          size_t count, size_t limit) {
    struct h1_writer *writer = &conn->writer;
    uint64_t available = 0;
    for (size_t i = 0; i < count; i++) available += pieces[i].bytes;
    if (writer->chunked && !writer->chunk_left) {
        writer->chunk_left = available;
        round_lead(round, round->frame, wire_h1_chunk_head(available, round->frame));
    }
    round->lead_count = round->count;
    uint64_t room = SK_MIN((uint64_t)limit, writer->promised);
    if (writer->chunked) room = SK_MIN(room, writer->chunk_left);
    if (pieces[0].fd >= 0 && room >= SENDFILE_BYTES) {
        round->file = pieces[0];
        round->file.bytes = round->content = (size_t)SK_MIN(room, (uint64_t)pieces[0].bytes);
        round->more = available > round->content;
        return;
    }
    for (size_t i = 0; i < count && room; i++) {
        size_t bytes = (size_t)SK_MIN(room, (uint64_t)pieces[i].bytes);
        round_add(round, pieces[i].data, bytes);
        round->content += bytes;
        room -= bytes;
    }
    round->more = count == PIECES || available > round->content;
    if (writer->chunked && round->content == writer->chunk_left) {
        round_add(round, "\r\n", 2);
        round->tail = 2;
    }
}

/* The next part of a multipart answer, or the last chunk. True when something was added. */
static bool round_part_end(struct h1_writer *writer, struct round *round) {
    if (writer->part_at + 1 < writer->part_count) {
        const struct edge_part *part = &writer->parts[++writer->part_at];
        struct cache_object *object = writer->reader.object;
        struct cache_thread *thread = writer->reader.thread;
        cache_object_ref(object);
        cache_reader_close(&writer->reader);
        cache_reader_open(&writer->reader, thread, object, part->first, part->end);
        round_lead(round, part->text.data, part->text.len);
        if (writer->promised != CACHE_LENGTH_UNKNOWN) writer->promised -= part->text.len;
        return true;
    }
    if (!writer->chunked || writer->last_chunk_sent) return false;
    writer->last_chunk_sent = true;
    return true;
}

const struct http_fields *h1_wanted_trailers(const struct edge_exchange *exchange) {
    bool wanted =
        (exchange->traits & EDGE_TRAIT_TRAILERS) && exchange->fetch && exchange->fetch->trailers.count;
    return wanted ? &exchange->fetch->trailers : NULL;
}

/* "0", the trailers, the empty line. */
static sk_err add_last_chunk(struct h1_conn *conn, struct round *round) {
    const struct edge_exchange *exchange = &conn->exchange;
    const struct http_fields *trailers = h1_wanted_trailers(exchange);
    if (!trailers) {
        round_lead(round, "0\r\n\r\n", 5);
        return SK_OK;
    }
    struct sk_buf last;
    sk_buf_init(&last, 0);
    sk_err err = wire_h1_write_last_chunk(&last, trailers);
    sk_str text = sk_arena_copy(exchange->arena, sk_buf_str(&last));
    sk_buf_free(&last);
    if (!err && !text.data) err = SK_ERR_NO_MEMORY;
    if (!err) round_lead(round, text.data, text.len);
    return err;
}

/* What there is to send. Only plain content goes out from the file: TLS needs it in memory, and a chunk's end must follow
 * its content in the same call. */
static enum cache_read look(struct h1_conn *conn, struct cache_piece *pieces, size_t *out_count) {
    struct h1_writer *writer = &conn->writer;
    if (!writer->reader.object) return CACHE_READ_END;
    if (conn->layer || writer->chunked || writer->promised < SENDFILE_BYTES)
        return cache_reader_peek(&writer->reader, pieces, PIECES, out_count);
    return cache_reader_peek_lent(&writer->reader, pieces, PIECES, out_count);
}

static sk_err round_fill(struct h1_conn *conn, struct round *round, size_t limit) {
    struct h1_writer *writer = &conn->writer;
    sk_err err = SK_OK;
    struct cache_piece pieces[PIECES];
    size_t count = 0;
    round->state = look(conn, pieces, &count);
    if (round->state == CACHE_READ_DATA)
        round_content(conn, round, pieces, count, limit);
    else
        round->lead_count = round->count;
    if (round->state == CACHE_READ_END && round_part_end(writer, round)) {
        /* A part has content of its own still to come; the last chunk has not. */
        if (writer->last_chunk_sent)
            err = add_last_chunk(conn, round);
        else
            round->state = CACHE_READ_DATA;
        round->lead_count = round->count;
    }
    return err;
}

/* What was not taken of the lead (or of a chunk's end) is copied: its memory does not outlive the round. */
static sk_err keep_rest(struct h1_writer *writer, const struct iovec *iov, int count, size_t skip) {
    for (int i = 0; i < count; i++) {
        size_t bytes = iov[i].iov_len;
        if (skip < bytes) {
            sk_err err = sk_buf_append(&writer->text, (sk_str){(char *)iov[i].iov_base + skip, bytes - skip});
            if (err) return err;
        }
        skip -= SK_MIN(skip, bytes);
    }
    return SK_OK;
}

/* Books SENT bytes of the round. TEXT_LEAD of its lead came from writer->text. */
static sk_err book(struct h1_conn *conn, struct round *round, size_t sent, size_t text_lead) {
    struct h1_writer *writer = &conn->writer;
    struct edge_outcome *outcome = &conn->exchange.outcome;
    outcome->sent_bytes += sent;
    size_t lead = SK_MIN(sent, round->lead);
    if (lead < round->lead || text_lead) {
        size_t of_text = SK_MIN(lead, text_lead);
        sk_buf_consume(&writer->text, of_text);
        /* text stands first in the iovec: the rest of it stays where it is */
        sk_err err = keep_rest(writer, round->iov + (text_lead ? 1 : 0),
                               round->lead_count - (text_lead ? 1 : 0), lead - of_text);
        if (err) return err;
    }
    size_t content = SK_MIN(sent - lead, round->content);
    if (content) {
        cache_reader_advance(&writer->reader, content);
        outcome->body_bytes += content;
        if (writer->promised != CACHE_LENGTH_UNKNOWN) writer->promised -= content;
        if (writer->chunked) writer->chunk_left -= content;
    }
    if (!round->tail || content < round->content) return SK_OK;
    size_t tail = sent - lead - content;
    return tail < 2 ? sk_buf_append(&writer->text, sk_str_slice(SK_STR("\r\n"), tail, 2)) : SK_OK;
}

/* Hands the round to the socket; *out_sent is how much it took, also when that is nothing. */
static sk_err round_hand_over(const struct h1_conn *conn, const struct round *round, size_t *out_sent) {
    int fd = conn->watch.fd;
    size_t of_file = 0;
    sk_err err = SK_OK;
    *out_sent = 0;
    if (round->count)
        err = io_layer_sendv(conn->layer, fd, round->iov, round->count, round->more || round->file.bytes,
                             out_sent);
    if (!err && round->file.bytes && *out_sent == round->lead) {
        err = io_sendfile(fd, round->file.fd, round->file.fd_offset, round->file.bytes, &of_file);
        if (!err) *out_sent += of_file;
    }
    return err == SK_ERR_AGAIN ? SK_OK : err;
}

static enum progress round_send(struct h1_conn *conn, struct round *round, size_t text_lead) {
    size_t total = round->lead + round->content + round->tail, sent = 0;
    if (total) {
        if (round_hand_over(conn, round, &sent) != SK_OK) return SENT_FAILED;
        if (book(conn, round, sent, text_lead) != SK_OK) return SENT_FAILED;
        if (conn->writer.pace.running)
            edge_pace_moved(&conn->writer.pace, sent, io_loop_now(conn->worker->loop));
        if (sent < total) return SENT_BLOCKED;
    }
    switch (round->state) {
    case CACHE_READ_DATA: return SENT_MORE;
    case CACHE_READ_WAIT: return SENT_WAITING;
    case CACHE_READ_FAILED: return SENT_FAILED;
    case CACHE_READ_END: break;
    }
    /* Less content than Content-Length said: the client must see that it was cut off. */
    bool short_content = conn->writer.promised != 0 && conn->writer.promised != CACHE_LENGTH_UNKNOWN;
    return short_content ? SENT_FAILED : SENT_ALL;
}

/* --- the pump --------------------------------------------------------------------------------------------- */

void h1_slow_reader(struct h1_conn *conn) {
    observe_count(conn->worker->metrics, OBSERVE_TIMEOUTS);
    conn->exchange.outcome.error = SK_STR("the client took the response too slowly");
    conn->reset = true;
    h1_abort(conn);
}

bool h1_write_pace_ok(struct h1_conn *conn) {
    const struct config_timeouts *timeouts = &conn->exchange.snapshot->config->timeouts;
    struct edge_pace_limits limits = {.progress_ms = timeouts->write_ms, .min_rate = timeouts->min_rate};
    sk_time_ns check = SK_TIME_NEVER;
    if (!edge_pace_ok(&conn->writer.pace, &limits, io_loop_now(conn->worker->loop), &check)) return false;
    h1_set_deadline(conn, check);
    return true;
}

static void on_reader_ready(struct cache_reader *reader) {
    struct h1_conn *conn = SK_CONTAINER_OF(reader, struct h1_conn, writer.reader);
    conn->writer.waiting = false;
    h1_pump(conn);
}

/* Stops here until something happens: from now on the answer must stand on its own feet. */
static void pause_answer(struct h1_conn *conn, enum progress why) {
    struct h1_writer *writer = &conn->writer;
    if (writer->reader.object) cache_reader_keep(&writer->reader);
    if (edge_exchange_keep(&conn->exchange) != SK_OK) {
        h1_abort(conn);
    } else if (why == SENT_BLOCKED) {
        writer->blocked = true;
        edge_pace_run(&writer->pace, io_loop_now(conn->worker->loop));
        if (!h1_write_pace_ok(conn)) h1_slow_reader(conn);
    } else if (why == SENT_WAITING) {
        edge_pace_pause(&writer->pace, io_loop_now(conn->worker->loop));
        h1_set_deadline(conn, SK_TIME_NEVER);
        writer->waiting = cache_reader_wait(&writer->reader, on_reader_ready);
        if (!writer->waiting) h1_queue(conn, true);
    } else {
        h1_queue(conn, true);
    }
}

static void failed(struct h1_conn *conn) {
    if (conn->writer.reader.object && conn->writer.reader.object->complete == CACHE_BROKEN)
        conn->exchange.outcome.error = SK_STR("the origin's response was cut off");
    h1_abort(conn);
}

/* Sends rounds, the first one led by HEAD (COUNT pieces), until something stops it or the turn is over. */
static void pump(struct h1_conn *conn, const sk_str *head, int count) {
    struct h1_writer *writer = &conn->writer;
    uint64_t before = conn->exchange.outcome.sent_bytes;
    enum progress progress;
    writer->blocked = false;
    do {
        struct round round;
        round.count = round.lead_count = 0;
        round.lead = round.content = round.tail = 0;
        round.more = false;
        round.file.bytes = 0;
        size_t text_lead = sk_buf_len(&writer->text);
        if (text_lead) round_lead(&round, sk_buf_str(&writer->text).data, text_lead);
        for (int i = 0; i < count; i++) round_lead(&round, head[i].data, head[i].len);
        count = 0;
        bool filled = round_fill(conn, &round, EDGE_TURN_BYTES) == SK_OK;
        progress = filled ? round_send(conn, &round, text_lead) : SENT_FAILED;
    } while (progress == SENT_MORE && conn->exchange.outcome.sent_bytes - before < EDGE_TURN_BYTES);
    if (progress == SENT_ALL)
        h1_answered(conn, false);
    else if (progress == SENT_FAILED)
        failed(conn);
    else
        pause_answer(conn, progress);
}

void h1_pump(struct h1_conn *conn) {
    if (!conn->writer.active || conn->writer.waiting) return;
    pump(conn, NULL, 0);
}

void h1_send_head(struct h1_conn *conn, const sk_str *head, int count) {
    SK_ASSERT(count <= H1_HEAD_PIECES);
    conn->writer.active = true;
    conn->exchange.outcome.first_byte_at = sk_time_now();
    pump(conn, head, count);
}
