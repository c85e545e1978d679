#include "origin/upload.h"

#include "origin/pool.h"
#include "wire/h1.h"

static sk_time_ns piece_deadline(const struct origin_upload *upload) {
    return io_loop_now(upload->loop) + upload->timeout_ms * SK_NS_PER_MS;
}

static sk_err source_error(struct origin_upload *upload, sk_err err) {
    upload->source_failed = true;
    return err;
}

static sk_err send_chunk(struct origin_upload *upload, sk_str piece) {
    char head[20];
    const sk_str pieces[] = {{head, wire_h1_chunk_head(piece.len, head)}, piece, SK_STR("\r\n")};
    return origin_connection_write(upload->connection, pieces, SK_COUNT(pieces), piece_deadline(upload));
}

static sk_err send_last_chunk(struct origin_upload *upload) {
    const struct origin_body_source *body = &upload->request->body;
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = wire_h1_write_last_chunk(&text, body->trailers ? body->trailers(body->arg) : NULL);
    sk_str piece = sk_buf_str(&text);
    if (!err) err = origin_connection_write(upload->connection, &piece, 1, piece_deadline(upload));
    sk_buf_free(&text);
    return err;
}

/* The source's next piece; empty ones are passed over, since an empty chunk would end the body. */
static sk_err next_piece(struct origin_upload *upload, sk_str *out_piece) {
    const struct origin_body_source *body = &upload->request->body;
    sk_str piece = {0};
    sk_err err;
    do err = body->read(body->arg, SK_TIME_NEVER, &piece);
    while (!err && piece.len == 0);
    if (err) return err;
    upload->begun = true;
    *out_piece = piece;
    return SK_OK;
}

static sk_err send_chunked(struct origin_upload *upload) {
    for (;;) {
        sk_str piece;
        sk_err err = next_piece(upload, &piece);
        if (err == SK_ERR_END) return send_last_chunk(upload);
        if (err) return source_error(upload, err);
        err = send_chunk(upload, piece);
        if (err) return err;
    }
}

static sk_err send_counted(struct origin_upload *upload) {
    uint64_t left = upload->request->request->content_length;
    while (left) {
        sk_str piece;
        sk_err err = next_piece(upload, &piece);
        if (err) return source_error(upload, err == SK_ERR_END ? SK_ERR_CLOSED : err);
        if (piece.len > left) return source_error(upload, SK_ERR_MALFORMED);
        err = origin_connection_write(upload->connection, &piece, 1, piece_deadline(upload));
        if (err) return err;
        left -= piece.len;
    }
    return SK_OK;
}

/* Framed by HTTP/2; of a counted body no more is taken than was said. */
static sk_err send_to_call(struct origin_upload *upload) {
    const struct origin_body_source *body = &upload->request->body;
    bool counted = upload->request->request->body_kind == HTTP_BODY_LENGTH;
    uint64_t left = counted ? upload->request->request->content_length : UINT64_MAX;
    while (left) {
        sk_str piece;
        sk_err err = next_piece(upload, &piece);
        if (err == SK_ERR_END && !counted) break;
        if (err) return source_error(upload, err == SK_ERR_END ? SK_ERR_CLOSED : err);
        if (piece.len > left) return source_error(upload, SK_ERR_MALFORMED);
        err = origin_call_send(upload->call, piece, piece_deadline(upload));
        if (err) return err;
        if (counted) left -= piece.len;
    }
    origin_call_finish(upload->call, !counted && body->trailers ? body->trailers(body->arg) : NULL);
    return SK_OK;
}

static void upload_main(void *arg) {
    struct origin_upload *upload = arg;
    bool counted = upload->request->request->body_kind == HTTP_BODY_LENGTH;
    if (upload->call)
        upload->error = send_to_call(upload);
    else
        upload->error = counted ? send_counted(upload) : send_chunked(upload);
    upload->ended = io_loop_now(upload->loop);
    upload->running = false;
    io_fiber_wake(upload->owner);
}

sk_err origin_upload_start(struct origin_upload *upload, struct origin_thread *thread,
                           struct origin_connection *connection, struct origin_call *call,
                           const struct origin_request *request, int64_t timeout_ms) {
    *upload = (struct origin_upload){.loop = thread->loop,
                                     .connection = connection,
                                     .call = call,
                                     .request = request,
                                     .timeout_ms = timeout_ms,
                                     .owner = io_fiber_self(),
                                     .running = true};
    sk_err err = io_fiber_spawn(upload->loop, "upload", upload_main, upload, &upload->fiber);
    if (err) upload->running = false;
    return err;
}

void origin_upload_stop(struct origin_upload *upload) {
    if (!upload->running) return;
    io_fiber_cancel(upload->fiber);
    /* Its next park fails, so it ends within an iteration or two. Yielding works also for an owner that is
     * cancelled itself and could not park. */
    while (upload->running) io_fiber_yield();
}
