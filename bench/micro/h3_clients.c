/* HTTP/3 clients, many at a time, on one thread: for what requests, and connections that are idle, cost a server.
 *
 *   bench_h3_clients hits PORT SECONDS CONNECTIONS STREAMS PATH
 *       GET PATH again and again, STREAMS at a time on each connection. Prints: done, failed, bytes, seconds.
 *   bench_h3_clients hold PORT COUNT [PATH]
 *       COUNT connections, after the handshake (with PATH: and one request) left alone until standard input ends.
 *       Prints "held COUNT" when they are there. A client keeps nothing of a connection but its socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AHEAD 64 /* handshakes at a time while connections are made to be held */
#define SOURCES 16
#define TRAIN_BYTES 65000
#define PIECES 16
#define EVENTS 64
#define SETTLE_NS (300 * UINT64_C(1000000)) /* for the last acknowledgements before a client forgets */

struct client {
    ngtcp2_conn *quic; /* NULL: none at this place */
    nghttp3_conn *http;
    SSL *ssl;
    ngtcp2_crypto_ossl_ctx *crypto;
    ngtcp2_crypto_conn_ref ref;
    int fd;
    struct sockaddr_in local, peer;
    unsigned running; /* requests */
    unsigned long ended;
    bool confirmed;
    uint64_t leave_at; /* when it is forgotten; 0: not yet */
};

static struct {
    bool hold;
    const char *path;
    int port, streams, places, epoll;
    unsigned long begun, count, held, done, failed, bytes;
    uint64_t until;
    SSL_CTX *ctx;
    uint8_t room[TRAIN_BYTES + 1];
} load;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "bench_h3_clients: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool over(void) { return load.hold ? load.begun >= load.count : now() >= load.until; }

/* --- requests --------------------------------------------------------------------------------------------- */

static nghttp3_nv field(const char *name, const char *value) {
    return (nghttp3_nv){(const uint8_t *)name, (const uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP3_NV_FLAG_NONE};
}

static void ask(struct client *client) {
    while (client->http && load.path && client->running < (load.hold ? 1U : (unsigned)load.streams)) {
        int64_t id;
        if (load.hold ? client->ended > 0 : over()) return;
        if (ngtcp2_conn_open_bidi_stream(client->quic, &id, NULL) != 0) return;
        nghttp3_nv head[] = {field(":method", "GET"), field(":scheme", "https"),
                             field(":authority", "bench.test"), field(":path", load.path)};
        if (nghttp3_conn_submit_request(client->http, id, head, 4, NULL, NULL) != 0) stop("submit");
        client->running++;
    }
}

static int on_header(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name, nghttp3_rcbuf *value,
                     uint8_t flags, void *user, void *stream_user) {
    nghttp3_vec text = nghttp3_rcbuf_get_buf(value);
    if (token == NGHTTP3_QPACK_TOKEN__STATUS && (text.len != 3 || memcmp(text.base, "200", 3) != 0))
        load.failed++;
    return 0;
}

static void consumed(struct client *client, int64_t id, size_t bytes) {
    ngtcp2_conn_extend_max_stream_offset(client->quic, id, bytes);
    ngtcp2_conn_extend_max_offset(client->quic, bytes);
}

static int on_content(nghttp3_conn *http, int64_t id, const uint8_t *data, size_t bytes, void *user,
                      void *stream_user) {
    load.bytes += bytes;
    consumed(user, id, bytes);
    return 0;
}

static int on_deferred(nghttp3_conn *http, int64_t id, size_t bytes, void *user, void *stream_user) {
    consumed(user, id, bytes);
    return 0;
}

static int on_over(nghttp3_conn *http, int64_t id, uint64_t error, void *user, void *stream_user) {
    struct client *client = user;
    if (error == NGHTTP3_H3_NO_ERROR)
        load.done++;
    else
        load.failed++;
    client->running--;
    client->ended++;
    return 0;
}

static int begin_http(struct client *client) {
    static const nghttp3_callbacks callbacks = {.recv_header = on_header,
                                                .recv_data = on_content,
                                                .deferred_consume = on_deferred,
                                                .stream_close = on_over};
    nghttp3_settings settings;
    int64_t control, encoder, decoder;
    if (client->http) return 0;
    nghttp3_settings_default(&settings);
    settings.qpack_max_dtable_capacity = 4096;
    settings.qpack_blocked_streams = 100;
    if (nghttp3_conn_client_new(&client->http, &callbacks, &settings, NULL, client) != 0 ||
        ngtcp2_conn_open_uni_stream(client->quic, &control, NULL) != 0 ||
        ngtcp2_conn_open_uni_stream(client->quic, &encoder, NULL) != 0 ||
        ngtcp2_conn_open_uni_stream(client->quic, &decoder, NULL) != 0 ||
        nghttp3_conn_bind_control_stream(client->http, control) != 0 ||
        nghttp3_conn_bind_qpack_streams(client->http, encoder, decoder) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return 0;
}

/* --- QUIC ------------------------------------------------------------------------------------------------- */

static int on_rx_key(ngtcp2_conn *quic, ngtcp2_encryption_level level, void *user) {
    return level == NGTCP2_ENCRYPTION_LEVEL_1RTT ? begin_http(user) : 0;
}

static int on_confirmed(ngtcp2_conn *quic, void *user) {
    struct client *client = user;
    client->confirmed = true;
    return 0;
}

static int on_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data,
                          size_t bytes, void *user, void *stream_user) {
    struct client *client = user;
    nghttp3_ssize n = nghttp3_conn_read_stream2(
        client->http, id, data, bytes, flags & NGTCP2_STREAM_DATA_FLAG_FIN, ngtcp2_conn_get_timestamp(quic));
    if (n < 0) return NGTCP2_ERR_CALLBACK_FAILURE;
    consumed(client, id, (size_t)n);
    return 0;
}

static int on_acked(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t bytes, void *user,
                    void *stream_user) {
    struct client *client = user;
    return nghttp3_conn_add_ack_offset(client->http, id, bytes) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream_user) {
    struct client *client = user;
    bool coded = flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET;
    int result = nghttp3_conn_close_stream(client->http, id, coded ? code : NGHTTP3_H3_NO_ERROR);
    return result == 0 || result == NGHTTP3_ERR_STREAM_NOT_FOUND ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_window(ngtcp2_conn *quic, int64_t id, uint64_t window, void *user, void *stream_user) {
    struct client *client = user;
    return nghttp3_conn_unblock_stream(client->http, id) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static void on_rand(uint8_t *out, size_t bytes, const ngtcp2_rand_ctx *context) {
    if (RAND_bytes(out, (int)bytes) != 1) stop("RAND_bytes");
}

static int on_new_id(ngtcp2_conn *quic, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token, size_t bytes,
                     void *user) {
    cid->datalen = bytes;
    on_rand(cid->data, bytes, NULL);
    on_rand(token->data, sizeof token->data, NULL);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .rand = on_rand,
    .get_new_connection_id2 = on_new_id,
    .handshake_confirmed = on_confirmed,
    .recv_rx_key = on_rx_key,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .extend_max_stream_data = on_window,
};

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *ref) { return ((struct client *)ref->user_data)->quic; }

static ngtcp2_path path_of(struct client *client) {
    return (ngtcp2_path){.local = {(ngtcp2_sockaddr *)&client->local, sizeof client->local},
                         .remote = {(ngtcp2_sockaddr *)&client->peer, sizeof client->peer}};
}

static void open_socket(struct client *client) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    socklen_t bytes = sizeof client->local;
    int one = 1, room = 4 << 20;
    client->local = client->peer = (struct sockaddr_in){.sin_family = AF_INET};
    client->local.sin_addr.s_addr = htonl(0x7f000002 + (uint32_t)(load.begun++ % SOURCES));
    client->peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->peer.sin_port = htons((uint16_t)load.port);
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&client->local, bytes) != 0 ||
        connect(client->fd, (struct sockaddr *)&client->peer, sizeof client->peer) != 0 ||
        getsockname(client->fd, (struct sockaddr *)&client->local, &bytes) != 0)
        stop("socket");
    if (!load.hold) setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(client->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) stop("epoll_ctl");
}

static void begin(struct client *client) {
    static const unsigned char h3[] = "\x02h3";
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid to = {.datalen = 18}, from = {.datalen = 16};
    *client = (struct client){.fd = -1};
    if (over()) return;
    open_socket(client);
    on_rand(to.data, to.datalen, NULL);
    on_rand(from.data, from.datalen, NULL);
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now();
    ngtcp2_transport_params_default(&params);
    params.initial_max_streams_uni = 8;
    params.initial_max_stream_data_bidi_local = 16 << 20;
    params.initial_max_stream_data_uni = 1 << 20;
    params.initial_max_data = 64 << 20;
    params.max_udp_payload_size = 1452; /* as on Ethernet: loopback would carry packets of 64 KiB */
    params.max_idle_timeout = UINT64_C(3600) * UINT64_C(1000000000);
    ngtcp2_path path = path_of(client);
    if (ngtcp2_conn_client_new(&client->quic, &to, &from, &path, NGTCP2_PROTO_VER_V1, &callbacks, &settings,
                               &params, NULL, client) != 0)
        stop("ngtcp2_conn_client_new");
    client->ref = (ngtcp2_crypto_conn_ref){.get_conn = conn_of, .user_data = client};
    client->ssl = SSL_new(load.ctx);
    if (!client->ssl || ngtcp2_crypto_ossl_configure_client_session(client->ssl) != 0 ||
        ngtcp2_crypto_ossl_ctx_new(&client->crypto, client->ssl) != 0)
        stop("SSL_new");
    SSL_set_app_data(client->ssl, &client->ref);
    SSL_set_connect_state(client->ssl);
    SSL_set_alpn_protos(client->ssl, h3, sizeof h3 - 1);
    SSL_set_tlsext_host_name(client->ssl, "bench.test");
    ngtcp2_conn_set_tls_native_handle(client->quic, client->crypto);
}

/* KEEP: the socket stays as it is, and nothing else does. */
static void end(struct client *client, bool keep) {
    epoll_ctl(load.epoll, EPOLL_CTL_DEL, client->fd, NULL);
    nghttp3_conn_del(client->http);
    ngtcp2_conn_del(client->quic);
    SSL_set_app_data(client->ssl, NULL);
    ngtcp2_crypto_ossl_ctx_del(client->crypto);
    SSL_free(client->ssl);
    if (!keep) close(client->fd);
    begin(client);
}

static void give_up(struct client *client, const char *what, int result) {
    if (load.failed++ < 3) fprintf(stderr, "bench_h3_clients: %s: %s\n", what, ngtcp2_strerror(result));
    load.failed += client->running;
    end(client, false);
}

/* --- packets ---------------------------------------------------------------------------------------------- */

static ngtcp2_ssize write_packet(ngtcp2_conn *quic, ngtcp2_path *path, ngtcp2_pkt_info *info, uint8_t *out,
                                 size_t room, ngtcp2_tstamp at, void *user) {
    struct client *client = user;
    for (;;) {
        nghttp3_vec pieces[PIECES];
        nghttp3_ssize count = 0;
        int64_t id = -1;
        int fin = 0;
        ngtcp2_ssize taken = -1;
        if (client->http && ngtcp2_conn_get_max_data_left(quic))
            count = nghttp3_conn_writev_stream(client->http, &id, &fin, pieces, PIECES);
        if (count < 0) return NGTCP2_ERR_CALLBACK_FAILURE;
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(quic, path, info, out, room, &taken, flags, id,
                                                   (const ngtcp2_vec *)pieces, (size_t)count, at);
        if (id >= 0 && taken >= 0) nghttp3_conn_add_write_offset(client->http, id, (size_t)taken);
        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED)
            nghttp3_conn_block_stream(client->http, id);
        else if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND)
            nghttp3_conn_shutdown_stream_write(client->http, id);
        else if (n != NGTCP2_ERR_WRITE_MORE)
            return n;
    }
}

static void send_train(struct client *client, size_t bytes, size_t segment) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec iov = {load.room, bytes};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (segment < bytes) {
        uint16_t each = (uint16_t)segment;
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof each)};
        memcpy(CMSG_DATA(&control.head), &each, sizeof each);
    }
    (void)!sendmsg(client->fd, &message, 0); /* lost: sent again in time */
}

/* False: it has ended. */
static bool send_all(struct client *client) {
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    ngtcp2_ssize bytes;
    ask(client);
    do {
        size_t segment = 0;
        ngtcp2_path_storage_zero(&path);
        bytes = ngtcp2_conn_write_aggregate_pkt(client->quic, &path.path, &info, load.room, TRAIN_BYTES,
                                                &segment, write_packet, now());
        if (bytes < 0) {
            give_up(client, "write", (int)bytes);
            return false;
        }
        if (bytes) send_train(client, (size_t)bytes, segment);
    } while (bytes);
    ngtcp2_conn_update_pkt_tx_time(client->quic, now());
    return true;
}

static size_t segment_of(struct msghdr *message, size_t bytes) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            return (size_t)segment;
        }
    return bytes;
}

static bool receive_all(struct client *client) {
    for (;;) {
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {load.room, sizeof load.room};
        struct msghdr message = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(client->fd, &message, 0);
        if (n < 0) return true;
        ngtcp2_path path = path_of(client);
        ngtcp2_pkt_info info = {0};
        size_t segment = segment_of(&message, (size_t)n);
        for (size_t at = 0; at < (size_t)n; at += segment) {
            size_t bytes = (size_t)n - at < segment ? (size_t)n - at : segment;
            int result = ngtcp2_conn_read_pkt(client->quic, &path, &info, load.room + at, bytes, now());
            if (result == 0) continue;
            give_up(client, "read", result);
            return false;
        }
    }
}

/* When a client that is to be held has nothing more to do, it goes after a moment. */
static void consider(struct client *client) {
    bool quiet = client->confirmed && (!load.path || client->ended);
    if (load.hold && quiet && !client->leave_at) client->leave_at = now() + SETTLE_NS;
    if (load.hold && client->leave_at && now() >= client->leave_at) {
        load.held++;
        end(client, true);
        if (client->quic) send_all(client);
    } else if (!load.hold && over() && !client->running) {
        end(client, false);
    }
}

static int until_next(struct client *clients) {
    uint64_t at = now(), next = at + 50 * UINT64_C(1000000);
    for (int i = 0; i < load.places; i++) {
        if (!clients[i].quic) continue;
        uint64_t due = ngtcp2_conn_get_expiry(clients[i].quic);
        if (due < next) next = due;
    }
    return next > at ? (int)((next - at + 999999) / 1000000) : 0;
}

static bool tick(struct client *clients) {
    bool busy = false;
    for (int i = 0; i < load.places; i++) {
        struct client *client = &clients[i];
        if (client->quic && ngtcp2_conn_get_expiry(client->quic) <= now()) {
            int result = ngtcp2_conn_handle_expiry(client->quic, now());
            if (result)
                give_up(client, "timer", result);
            else
                send_all(client);
        }
        if (client->quic) consider(client);
        busy = busy || client->quic;
    }
    return busy;
}

static void run(void) {
    struct client *clients = calloc((size_t)load.places, sizeof *clients);
    if (!clients) stop("calloc");
    for (int i = 0; i < load.places; i++) {
        begin(&clients[i]);
        if (clients[i].quic) send_all(&clients[i]);
    }
    while (tick(clients)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(load.epoll, events, EVENTS, until_next(clients));
        for (int i = 0; i < n; i++) {
            struct client *client = events[i].data.ptr;
            if (client->quic && receive_all(client)) send_all(client);
        }
        if (!load.hold && now() > load.until + 5 * UINT64_C(1000000000)) break;
    }
    free(clients);
}

int main(int argc, char **argv) {
    bool hits = argc == 7 && !strcmp(argv[1], "hits");
    if (!hits && !((argc == 4 || argc == 5) && !strcmp(argv[1], "hold"))) {
        fprintf(stderr, "usage: see the head of bench/micro/h3_clients.c\n");
        return 2;
    }
    load.ctx = SSL_CTX_new(TLS_client_method());
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.ctx || load.epoll < 0 || ngtcp2_crypto_ossl_init() != 0 ||
        SSL_CTX_set_ciphersuites(load.ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(load.ctx, hits ? "X25519" : "X25519MLKEM768:X25519") != 1)
        stop("set-up");
    signal(SIGPIPE, SIG_IGN);
    load.port = atoi(argv[2]);
    load.hold = !hits;
    uint64_t start = now();
    if (hits) {
        load.until = start + (uint64_t)(atof(argv[3]) * 1e9);
        load.places = atoi(argv[4]);
        load.streams = atoi(argv[5]);
        load.path = argv[6];
        run();
        printf("done %lu failed %lu bytes %lu seconds %.3f\n", load.done, load.failed, load.bytes,
               (double)(now() - start) / 1e9);
    } else {
        char room[64];
        load.count = strtoul(argv[3], NULL, 10);
        load.path = argc == 5 ? argv[4] : NULL;
        load.places = AHEAD;
        run();
        printf("held %lu failed %lu\n", load.held, load.failed);
        fflush(stdout);
        while (read(STDIN_FILENO, room, sizeof room) > 0) continue;
    }
    return 0;
}
