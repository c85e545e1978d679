/* Any bytes as a server's side of an HTTP/2 connection: every call is closed once, memory is bounded by what windows
 * and limits say, what is told as a response is one, and the end comes. */
#include "fuzz.h"
#include "wire/h2_client.h"

#define HEAD_BYTES 2000
#define FIELDS 20
#define CALLS 5

struct call {
    struct wire_h2_call wire;
    struct sk_arena arena;
    bool closed, ended, begun;
    uint32_t informational;
    size_t kept, sent; /* content not consumed; of the request */
};
struct owner {
    struct wire_h2_client *client;
    struct call calls[CALLS];
};

static struct call *of(struct wire_h2_call *wire) { return SK_CONTAINER_OF(wire, struct call, wire); }

static void on_response(void *arg, struct wire_h2_call *wire) {
    const struct http_response *response = &wire->response;
    struct call *call = of(wire);
    MUST(!call->closed && !call->begun && !call->ended);
    MUST(response->status >= 100 && response->status <= 999 && response->status != 101);
    MUST(response->fields.count <= FIELDS && call->arena.used <= 16 * HEAD_BYTES);
    for (uint32_t i = 0; i < response->fields.count; i++)
        MUST(http_token_valid(response->fields.items[i].name) &&
             http_field_value_valid(response->fields.items[i].value));
    MUST(wire->final == (response->status >= 200));
    if (!wire->final) MUST(++call->informational <= WIRE_H2_CLIENT_INFORMATIONAL);
    call->begun = wire->final;
    call->ended = wire->ended;
    MUST(wire->final || !wire->ended);
    if (!http_response_has_body(wire->method, response->status)) MUST(response->body_kind == HTTP_BODY_NONE);
}

static void on_data(void *arg, struct wire_h2_call *wire, sk_str bytes) {
    MUST(of(wire)->begun && !of(wire)->ended && !of(wire)->closed);
    of(wire)->kept += bytes.len;
    MUST(of(wire)->kept <= WIRE_H2_CLIENT_CALL_WINDOW);
}

static void on_end(void *arg, struct wire_h2_call *wire) {
    MUST(of(wire)->begun && !of(wire)->ended && wire->ended);
    of(wire)->ended = true;
}

static void on_closed(void *arg, struct wire_h2_call *wire, sk_err err) {
    MUST(!of(wire)->closed);
    MUST(err || of(wire)->ended);
    of(wire)->closed = true;
}

static sk_err on_content(void *arg, struct wire_h2_call *wire, char *data, size_t most, size_t *out_bytes,
                         bool *out_last, const struct http_fields **out_trailers) {
    struct call *call = of(wire);
    MUST(!call->closed);
    *out_bytes = SK_MIN(most, 100000 - call->sent);
    memset(data, 'x', *out_bytes);
    call->sent += *out_bytes;
    *out_last = call->sent == 100000;
    *out_trailers = NULL;
    return SK_OK;
}

static void on_pong(void *arg) {}

static const struct wire_h2_client_events events = {on_response, on_data,    on_end,
                                                    on_closed,   on_content, on_pong};

static void ask(struct owner *owner) {
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST};
    static const sk_str texts[] = {SK_STR_INIT("GET"), SK_STR_INIT("HEAD"), SK_STR_INIT("POST")};
    for (size_t i = 0; i < CALLS; i++) {
        struct call *call = &owner->calls[i];
        bool content = i % 3 == 2;
        struct http_request request = {.method = methods[i % 3],
                                       .method_text = texts[i % 3],
                                       .authority = SK_STR("a.test"),
                                       .target = SK_STR("/"),
                                       .body_kind = content ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE};
        sk_arena_init(&call->arena, 512, 0);
        call->wire.arena = &call->arena;
        MUST(wire_h2_client_request(owner->client, &call->wire, &request, SK_STR("https"), content) == SK_OK);
    }
    MUST(wire_h2_client_ping(owner->client) == SK_OK);
}

static void use(struct owner *owner, size_t turn) {
    for (size_t i = 0; i < CALLS; i++) {
        struct call *call = &owner->calls[i];
        if (call->closed || !call->kept || turn % 2 == 0) continue;
        wire_h2_client_consumed(owner->client, &call->wire, call->kept);
        call->kept = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const struct wire_h2_client_limits limits = {HEAD_BYTES, FIELDS};
    static struct owner owner;
    struct sk_buf out;
    owner = (struct owner){0};
    sk_buf_init(&out, 0);
    MUST(wire_h2_client_create(&events, &owner, &limits, &owner.client) == SK_OK);
    ask(&owner);
    MUST(wire_h2_client_fill(owner.client, &out, 1 << 20) == SK_OK);
    sk_err err = wire_h2_client_receive(owner.client, SK_STR("\0\0\0\4\0\0\0\0\0"), 1);
    size_t step = 1 + cut_of(data, SK_MIN(bytes, (size_t)500));
    for (size_t at = 0, turn = 0; at < bytes && !err; at += step, turn++) {
        size_t n = SK_MIN(step, bytes - at);
        char *piece = exact_copy(data + at, n);
        err = wire_h2_client_receive(owner.client, (sk_str){piece, n}, (sk_time_ns)turn * SK_NS_PER_MS);
        free(piece);
        use(&owner, turn);
        if (turn == 20 && !owner.calls[0].closed) {
            wire_h2_client_cancel(owner.client, &owner.calls[0].wire);
            owner.calls[0].closed = true;
        }
        MUST(wire_h2_client_fill(owner.client, &out, 1 << 20) != SK_ERR_NO_MEMORY);
        sk_buf_clear(&out);
    }
    wire_h2_client_abandon(owner.client, SK_ERR_CLOSED);
    for (size_t i = 0; i < CALLS; i++) MUST(owner.calls[i].closed);
    MUST(wire_h2_client_calls(owner.client) == 0);
    sk_buf_free(&out);
    wire_h2_client_free(owner.client);
    for (size_t i = 0; i < CALLS; i++) sk_arena_free(&owner.calls[i].arena);
    return 0;
}
