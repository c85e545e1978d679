/* The story of one request to a group of origins: choose, connect, send, wait for the head, and when it
 * fails before that, decide whether to begin again. */
#include "origin/exchange.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "origin/retry.h"

#define SPARES_MOST 32
#define SPARE_BYTES_MOST (4 * ORIGIN_READ_BYTES)
#define ARENA_FIRST 4096
#define ARENA_MOST ((size_t)256 * 1024)

sk_time_ns origin_exchange_now(const struct origin_exchange *exchange) {
    return io_loop_now(exchange->thread->loop);
}

sk_time_ns origin_exchange_within(const struct origin_exchange *exchange, int64_t ms) {
    return origin_exchange_now(exchange) + ms * SK_NS_PER_MS;
}

/* --- memory: exchanges keep their buffers for the next one -------------------------------------------- */

static struct origin_exchange *obtain(struct origin_thread *thread) {
    struct origin_exchange *exchange = thread->spare_exchanges;
    if (exchange) {
        thread->spare_exchanges = exchange->next;
        thread->spare_count--;
        return exchange;
    }
    exchange = calloc(1, sizeof *exchange);
    if (!exchange) return NULL;
    exchange->magic = ORIGIN_EXCHANGE_MAGIC;
    exchange->thread = thread;
    wire_h1_limits_default(&exchange->limits);
    sk_buf_init(&exchange->head, exchange->limits.head_bytes + 2 * ORIGIN_READ_BYTES);
    /* Bounded by its use: one request's head, or what one read brings and one line of framing. */
    sk_buf_init(&exchange->body, 0);
    sk_arena_init(&exchange->arena, ARENA_FIRST, ARENA_MOST);
    return exchange;
}

static void dispose(struct origin_exchange *exchange) {
    sk_buf_free(&exchange->head);
    sk_buf_free(&exchange->body);
    sk_arena_free(&exchange->arena);
    exchange->magic = 0;
    free(exchange);
}

void origin_exchange_free_spares(struct origin_thread *thread) {
    while (thread->spare_exchanges) {
        struct origin_exchange *first = thread->spare_exchanges;
        thread->spare_exchanges = first->next;
        dispose(first);
    }
}

static struct origin_exchange *exchange_new(struct origin_thread *thread,
                                            const struct origin_request *request) {
    struct origin_exchange *kept = obtain(thread);
    if (!kept) return NULL;
    const struct config_origin_options *options = &request->group->site->origin;
    int64_t most_ms = options->connect_timeout_ms + options->first_byte_timeout_ms;
    bool strict = request->within_ms && request->within_ms < most_ms;
    if (strict) most_ms = request->within_ms;
    *kept = (struct origin_exchange){
        .magic = kept->magic,
        .thread = thread,
        .request = request,
        .group = request->group,
        .options = options,
        .method = request->request->method,
        .deadline = io_loop_now(thread->loop) + most_ms * SK_NS_PER_MS,
        .strict = strict,
        .limits = kept->limits,
        .head = kept->head,
        .body = kept->body,
        .arena = kept->arena,
    };
    thread->exchanges++;
    return kept;
}

static void exchange_free(struct origin_exchange *exchange) {
    struct origin_thread *thread = exchange->thread;
    thread->exchanges--;
    sk_buf_clear(&exchange->head);
    sk_buf_clear(&exchange->body);
    sk_arena_reset(&exchange->arena);
    bool large = exchange->head.capacity + exchange->body.capacity > SPARE_BYTES_MOST;
    if (large || thread->spare_count >= SPARES_MOST) {
        dispose(exchange);
        return;
    }
    exchange->next = thread->spare_exchanges;
    thread->spare_exchanges = exchange;
    thread->spare_count++;
}

/* --- whose fault --------------------------------------------------------------------------------------- */

/* Not the origin's: the client's body, a wish to stop, our own limits, or a time that other tries used up. */
static bool blameless(const struct origin_exchange *exchange, enum origin_phase phase, sk_err err) {
    return phase == ORIGIN_PHASE_BODY_READ || phase == ORIGIN_PHASE_SELECT || err == SK_ERR_CANCELLED ||
           err == SK_ERR_NO_MEMORY || err == SK_ERR_BUSY ||
           (err == SK_ERR_TIMEOUT && exchange->clipped && !exchange->strict);
}

void origin_exchange_blame(struct origin_exchange *exchange, enum origin_phase phase, sk_err err,
                           const char *detail) {
    struct origin *origin = exchange->member->origin;
    if (blameless(exchange, phase, err)) return;
    const char *why = detail ? detail : sk_err_text(err);
    if (origin_health_failed(&origin->health, exchange->options, why, origin_exchange_now(exchange)))
        sk_log(SK_LOG_WARN, "origin", "%s: out for a while after failures: %s: %s", origin->url,
               origin_phase_text(phase), why);
}

static void praise(struct origin_exchange *exchange) {
    struct origin *origin = exchange->member->origin;
    if (origin_health_succeeded(&origin->health, origin_exchange_now(exchange)))
        sk_log(SK_LOG_INFO, "origin", "%s: answers again", origin->url);
}

/* --- one try ------------------------------------------------------------------------------------------- */

static bool has_body(const struct origin_request *request) {
    return request->body.read && request->request->body_kind != HTTP_BODY_NONE;
}

/* It can be sent twice without harm, and there is nothing that could be sent only once. */
static bool repeatable(const struct origin_request *request) {
    return http_method_idempotent(request->request->method) && !has_body(request);
}

static sk_err choose(struct origin_exchange *exchange) {
    const struct origin_group *group = exchange->group;
    if (exchange->stay) return SK_OK;
    struct origin_choice choice =
        origin_group_choose(group, exchange->tried, exchange->request->affinity,
                            repeatable(exchange->request), origin_exchange_now(exchange));
    if (choice.reason == ORIGIN_CHOICE_NONE) {
        exchange->failure = (struct origin_failure){
            ORIGIN_PHASE_SELECT, group->count ? "all are down by their health checks" : "none is configured"};
        return SK_ERR_UNREACHABLE;
    }
    exchange->member_index = choice.index;
    exchange->member = &group->members[choice.index];
    return SK_OK;
}

static sk_err get_connection(struct origin_exchange *exchange) {
    const struct origin_pool_wish wish = {
        .options = exchange->options,
        .fresh = exchange->was_stale,
        .no_surprise = !repeatable(exchange->request),
        .deadline = exchange->deadline,
        /* An upgrade is a matter of HTTP/1.1. */
        .out_session = exchange->request->request->upgrade.data ? NULL : &exchange->session,
    };
    exchange->careful = wish.no_surprise;
    exchange->clipped =
        exchange->deadline < origin_exchange_within(exchange, exchange->options->connect_timeout_ms);
    return origin_pool_acquire(exchange->thread, exchange->member->origin, &wish, &exchange->connection,
                               &exchange->reused, &exchange->failure);
}

sk_str origin_exchange_authority(const struct origin_exchange *exchange) {
    const struct config_origin *config = exchange->member->config;
    if (!sk_str_empty(config->host)) return config->host;
    sk_str asked = exchange->request->request->authority;
    return sk_str_empty(asked) ? config->uri.authority : asked;
}

static sk_err send_head(struct origin_exchange *exchange) {
    struct http_request request = *exchange->request->request;
    request.keep_alive = true; /* the client's wish is about its own connection */
    request.authority = origin_exchange_authority(exchange);
    struct sk_buf *text = &exchange->body; /* still free */
    sk_err err = wire_h1_write_request(text, &request);
    exchange->failure = (struct origin_failure){.phase = ORIGIN_PHASE_SEND};
    exchange->clipped = false;
    sk_str piece = sk_buf_str(text);
    if (!err) {
        exchange->sent = true;
        err = origin_connection_write(
            exchange->connection, &piece, 1,
            origin_exchange_within(exchange, exchange->options->between_bytes_timeout_ms));
    }
    sk_buf_clear(text);
    exchange->sent_at = origin_exchange_now(exchange);
    observe_count(exchange->thread->metrics, OBSERVE_ORIGIN_REQUESTS);
    return err;
}

/* Sends the body, if there is one, and waits for the head, whichever ends first. */
static sk_err converse(struct origin_exchange *exchange) {
    sk_err err = send_head(exchange);
    if (err) return err;
    if (has_body(exchange->request)) {
        exchange->deadline = SK_TIME_NEVER; /* it takes as long as the client takes */
        err = origin_upload_start(&exchange->upload, exchange->thread, exchange->connection, NULL,
                                  exchange->request, exchange->options->between_bytes_timeout_ms);
    }
    if (!err) err = origin_head_receive(exchange);
    bool cut_short = exchange->upload.running || exchange->upload.error;
    origin_upload_stop(&exchange->upload);
    exchange->body_unsent = cut_short;
    return err ? err : origin_body_begin(exchange);
}

static sk_err attempt(struct origin_exchange *exchange) {
    sk_time_ns begun = origin_exchange_now(exchange);
    exchange->tries++;
    exchange->sent = exchange->heard = exchange->reused = false;
    exchange->informational = 0;
    sk_buf_clear(&exchange->head);
    sk_buf_clear(&exchange->body);
    sk_arena_reset(&exchange->arena);
    wire_h1_parser_init(&exchange->parser);
    exchange->upload = (struct origin_upload){0};
    sk_err err = choose(exchange);
    if (!err) err = get_connection(exchange);
    if (!err)
        err = exchange->session ? origin_exchange_call(exchange, has_body(exchange->request))
                                : converse(exchange);
    if (!err)
        observe_duration(exchange->thread->metrics, OBSERVE_ORIGIN_SECONDS,
                         origin_exchange_now(exchange) - begun);
    return err;
}

/* --- again? --------------------------------------------------------------------------------------------- */

/* A pooled connection that the origin had closed, or closes on our request without a word. */
static bool stale(const struct origin_exchange *exchange, sk_err err) {
    return exchange->reused && !exchange->heard && !exchange->was_stale &&
           (err == SK_ERR_CLOSED || err == SK_ERR_RESET);
}

static enum origin_retry decide(const struct origin_exchange *exchange, sk_err err) {
    sk_time_ns now = origin_exchange_now(exchange);
    uint64_t tried = exchange->tried | UINT64_C(1) << exchange->member_index;
    return origin_retry_decide(&(struct origin_retry_question){
        .phase = exchange->failure.phase,
        .error = err,
        .idempotent = http_method_idempotent(exchange->method),
        .sent = exchange->sent,
        .body_begun = exchange->upload.begun,
        .stale = stale(exchange, err),
        .other_left = origin_group_any_left(exchange->group, tried, now),
        .retries = exchange->retries,
        .retries_allowed = exchange->options->retries,
        .now = now,
        .deadline = exchange->deadline,
    });
}

static sk_err pause_before_retry(const struct origin_exchange *exchange) {
    sk_time_ns pause = origin_retry_pause(exchange->retries, sk_random_u64());
    sk_time_ns until = origin_exchange_now(exchange) + pause;
    return until < exchange->deadline ? io_fiber_sleep_until(until) : SK_ERR_TIMEOUT;
}

/* After a failure: true when everything is set for another try. */
static bool again(struct origin_exchange *exchange, sk_err err) {
    enum origin_retry how = exchange->member ? decide(exchange, err) : ORIGIN_RETRY_NO;
    if (how != ORIGIN_RETRY_FRESH && exchange->member)
        origin_exchange_blame(exchange, exchange->failure.phase, err, exchange->failure.detail);
    if (exchange->connection) origin_pool_release(exchange->connection, exchange->options, false);
    exchange->connection = NULL;
    origin_exchange_drop_call(exchange);
    if (how == ORIGIN_RETRY_NO) return false;
    exchange->stay = how == ORIGIN_RETRY_FRESH;
    exchange->was_stale |= how == ORIGIN_RETRY_FRESH;
    if (how != ORIGIN_RETRY_FRESH) {
        if (!origin_budget_withdraw((struct origin_budget *)&exchange->group->budget)) return false;
        exchange->retries++;
        exchange->tried |= UINT64_C(1) << exchange->member_index;
    }
    if (how == ORIGIN_RETRY_SAME) {
        exchange->tried = 0;
        if (pause_before_retry(exchange)) return false;
    }
    observe_count(exchange->thread->metrics, OBSERVE_ORIGIN_RETRIES);
    return true;
}

static void report(const struct origin_exchange *exchange, sk_err err, struct origin_result *result) {
    *result = (struct origin_result){
        .phase = err ? exchange->failure.phase : ORIGIN_PHASE_NONE,
        .error = err,
        .origin = exchange->member ? exchange->member->config->url : (sk_str){0},
        .tries = exchange->tries,
        .detail = err ? exchange->failure.detail : NULL,
    };
}

/* --- the public face ------------------------------------------------------------------------------------ */

sk_err origin_exchange_open(struct origin_thread *thread, const struct origin_request *request,
                            struct origin_exchange **out_exchange, const struct http_response **out_response,
                            struct origin_result *out_result) {
    SK_CHECK_MAGIC(thread, ORIGIN_THREAD_MAGIC);
    SK_CHECK_MAGIC(request->group, ORIGIN_GROUP_MAGIC);
    struct origin_exchange *exchange = exchange_new(thread, request);
    if (!exchange) {
        *out_result = (struct origin_result){.phase = ORIGIN_PHASE_SELECT, .error = SK_ERR_NO_MEMORY};
        return SK_ERR_NO_MEMORY;
    }
    origin_budget_deposit((struct origin_budget *)&request->group->budget,
                          exchange->options->retry_budget_percent);
    sk_err err;
    do err = attempt(exchange);
    while (err && again(exchange, err));
    report(exchange, err, out_result);
    exchange->request = NULL;
    if (err) {
        observe_count(thread->metrics, OBSERVE_ORIGIN_ERRORS);
        exchange_free(exchange);
        return err;
    }
    /* A long answer must not keep an origin on trial. Otherwise it has to come to its end first, or an origin
     * that cuts off every body would do well. */
    if (exchange->tunnel || origin_health_state_now(&exchange->member->origin->health,
                                                    origin_exchange_now(exchange)) != ORIGIN_STATE_UP)
        praise(exchange);
    *out_exchange = exchange;
    *out_response = &exchange->response;
    return SK_OK;
}

static bool reusable(const struct origin_exchange *exchange) {
    return wire_h1_message_done(&exchange->parser) && exchange->response.keep_alive && !exchange->tunnel &&
           !exchange->body_unsent && sk_buf_len(&exchange->body) == 0;
}

void origin_exchange_settle(struct origin_exchange *exchange) {
    struct origin_connection *connection = exchange->connection;
    if (exchange->call.session && exchange->call.wire.ended) praise(exchange);
    origin_exchange_drop_call(exchange);
    if (!connection) return;
    exchange->connection = NULL;
    if (wire_h1_message_done(&exchange->parser)) praise(exchange);
    origin_pool_release(connection, exchange->options, reusable(exchange));
}

void origin_exchange_close(struct origin_exchange *exchange) {
    if (!exchange) return;
    SK_CHECK_MAGIC(exchange, ORIGIN_EXCHANGE_MAGIC);
    if (exchange->connection && !exchange->tunnel) origin_body_finish_quietly(exchange);
    origin_exchange_settle(exchange);
    exchange_free(exchange);
}
