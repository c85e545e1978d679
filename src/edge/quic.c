#include "edge/quic.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/h3.h"
#include "edge/process.h"
#include "edge/quic_private.h"
#include "edge/quic_upgrade.h"

/* Handshakes with addresses that have proved nothing, before others have to (RFC 9000 section 8.1.2). */
#define UNPROVEN_MAX 256
/* All handshakes of a thread: beyond them nobody new is listened to. */
#define HANDSHAKES_MAX 8192

/* --- packets that belong elsewhere ------------------------------------------------------------------------ */

/* A datagram on its way to another thread. */
struct handed {
    struct io_task task;
    struct edge_worker *worker;
    struct io_addr listener; /* as configured */
    struct io_train train;
    char data[];
};

static struct edge_quic_socket *socket_at(const struct edge_quic *quic, const struct io_addr *addr) {
    SK_LIST_FOR_EACH(link, &quic->sockets) {
        struct edge_quic_socket *socket = SK_CONTAINER_OF(link, struct edge_quic_socket, link);
        if (io_addr_eq(&socket->addr, addr)) return socket;
    }
    return NULL;
}

/* The receiving thread. */
static void on_handed(struct io_task *task) {
    struct handed *handed = SK_CONTAINER_OF(task, struct handed, task);
    struct edge_quic *quic = handed->worker->quic;
    struct edge_quic_socket *socket = quic ? socket_at(quic, &handed->listener) : NULL;
    if (socket) {
        (void)quic_take(socket, &handed->train, (sk_str){handed->data, handed->train.bytes}, true);
        quic_run_touched(quic);
    }
    free(handed);
}

void edge_quic_hand_to(struct edge_process *process, unsigned thread, const struct io_addr *listener,
                       const struct io_train *train, sk_str datagram) {
    struct handed *handed = malloc(sizeof *handed + datagram.len);
    if (!handed) return; /* lost, as datagrams may be */
    *handed = (struct handed){.task.run = on_handed, .listener = *listener, .train = *train};
    memcpy(handed->data, datagram.data, datagram.len);
    handed->train.data = handed->data;
    handed->train.bytes = handed->train.segment = datagram.len;
    if (edge_process_post(process, thread, &handed->task, &handed->worker) != SK_OK) free(handed);
}

/* --- answers without a connection ------------------------------------------------------------------------- */

static void answer(const struct edge_quic_socket *socket, const struct io_train *train, const uint8_t *data,
                   size_t bytes) {
    struct io_train out = {.peer = train->peer,
                           .local = train->local,
                           .data = (const char *)data,
                           .bytes = bytes,
                           .segment = bytes};
    if (!bytes) return;
    observe_count(socket->quic->worker->metrics, OBSERVE_QUIC_SENT);
    (void)io_datagram_send(socket->watch.fd, &out); /* lost, as datagrams may be */
}

static void refuse(struct edge_quic_socket *socket, const struct io_train *train,
                   const struct wire_quic_packet *packet, bool bad_token) {
    uint8_t out[WIRE_QUIC_ANSWER_BYTES];
    observe_count(socket->quic->worker->metrics, OBSERVE_QUIC_REFUSED);
    answer(socket, train, out, wire_quic_refuse(packet, bad_token, out));
}

static void ask_for_proof(struct edge_quic_socket *socket, const struct io_train *train,
                          const struct wire_quic_packet *packet) {
    struct edge_quic *quic = socket->quic;
    uint8_t out[WIRE_QUIC_ANSWER_BYTES];
    observe_count(quic->worker->metrics, OBSERVE_QUIC_RETRIES);
    answer(
        socket, train, out,
        wire_quic_retry(quic->keys, quic->place, packet, &train->peer, io_loop_now(quic->worker->loop), out));
}

static void say_reset(struct edge_quic_socket *socket, const struct io_train *train,
                      const struct wire_quic_packet *packet) {
    uint8_t out[WIRE_QUIC_ANSWER_BYTES];
    observe_count(socket->quic->worker->metrics, OBSERVE_QUIC_RESETS);
    answer(socket, train, out, wire_quic_reset(socket->quic->keys, packet, out));
}

static void say_versions(const struct edge_quic_socket *socket, const struct io_train *train,
                         const struct wire_quic_packet *packet) {
    uint8_t out[WIRE_QUIC_ANSWER_BYTES];
    answer(socket, train, out, wire_quic_say_versions(packet, out));
}

/* --- whose is it? ----------------------------------------------------------------------------------------- */

/* NULL: it was answered, or there is nothing to answer. */
static struct h3_conn *begin(struct edge_quic_socket *socket, const struct io_train *train,
                             const struct wire_quic_packet *packet) {
    struct edge_quic *quic = socket->quic;
    struct wire_quic_id original = {0};
    struct h3_conn *conn = NULL;
    if (!socket->tls || quic->worker->stage != EDGE_RUNNING) {
        refuse(socket, train, packet, false);
        return NULL;
    }
    if (quic->handshakes >= HANDSHAKES_MAX) return NULL;
    enum wire_quic_token token =
        wire_quic_check_token(quic->keys, packet, &train->peer, io_loop_now(quic->worker->loop), &original);
    if (token == WIRE_QUIC_TOKEN_BAD)
        refuse(socket, train, packet, true);
    else if (token == WIRE_QUIC_TOKEN_NONE && quic->unproven >= UNPROVEN_MAX)
        ask_for_proof(socket, train, packet);
    else if (h3_accept(socket, train, packet, token, &original, &conn) != SK_OK)
        SK_LOG_LIMITED(SK_LOG_WARN, "edge", "a QUIC connection could not be made: out of memory");
    return conn;
}

/* True: it is another thread's or process's, which has it now. */
static bool belongs_elsewhere(struct edge_quic_socket *socket, const struct io_train *train, sk_str datagram,
                              struct wire_quic_place place) {
    struct edge_quic *quic = socket->quic;
    struct edge_process *process = quic->worker->process;
    bool here = place.generation == quic->place.generation;
    if (here && place.thread == quic->place.thread) return false;
    if (here)
        edge_quic_hand_to(process, place.thread, &socket->addr, train, datagram);
    else if (!edge_quic_send_back(process, &socket->addr, train, datagram))
        return false;
    observe_count(quic->worker->metrics, OBSERVE_QUIC_HANDED);
    return true;
}

bool quic_take(struct edge_quic_socket *socket, const struct io_train *train, sk_str datagram,
               bool handed_over) {
    struct edge_quic *quic = socket->quic;
    bool begun = false;
    struct wire_quic_packet packet;
    struct wire_quic_place place;
    observe_count(quic->worker->metrics, OBSERVE_QUIC_RECEIVED);
    wire_quic_look(datagram, &packet);
    if (packet.kind == WIRE_QUIC_JUNK) return false;
    if (packet.kind == WIRE_QUIC_VERSION) {
        say_versions(socket, train, &packet);
        return false;
    }
    struct h3_conn *conn = edge_quic_ids_find(&quic->ids, &packet.to);
    if (!conn) {
        bool ours = wire_quic_id_read(quic->keys, &packet.to, &place);
        if (ours && !handed_over && belongs_elsewhere(socket, train, datagram, place)) return false;
        if (packet.kind == WIRE_QUIC_INITIAL)
            conn = begin(socket, train, &packet);
        else if (packet.kind == WIRE_QUIC_SHORT && ours)
            say_reset(socket, train, &packet);
        begun = conn;
    }
    if (conn) h3_receive(conn, train, datagram);
    return begun;
}

void quic_run_touched(struct edge_quic *quic) {
    struct sk_list *link;
    while ((link = sk_list_pop_front(&quic->touched))) h3_run(SK_CONTAINER_OF(link, struct h3_conn, touched));
}

/* --- life ------------------------------------------------------------------------------------------------- */

sk_err edge_quic_create(struct edge_worker *worker, struct edge_quic **out_quic) {
    struct edge_quic *quic = calloc(1, sizeof *quic);
    if (!quic) return SK_ERR_NO_MEMORY;
    quic->train = malloc(IO_TRAIN_BYTES);
    if (!quic->train || io_datagrams_create(&quic->room) != SK_OK) {
        free(quic->train);
        free(quic);
        return SK_ERR_NO_MEMORY;
    }
    quic->worker = worker;
    quic->keys = &worker->process->quic_keys;
    quic->place = (struct wire_quic_place){worker->process->quic_generation, (uint8_t)worker->index};
    wire_h3_room_init(&quic->h3);
    sk_list_init(&quic->sockets);
    sk_list_init(&quic->touched);
    *out_quic = quic;
    return SK_OK;
}

void edge_quic_free(struct edge_quic *quic) {
    if (!quic) return;
    SK_LIST_FOR_EACH(link, &quic->sockets)
    quic_socket_close(SK_CONTAINER_OF(link, struct edge_quic_socket, link));
    if (!quic->worker->connection_count) wire_h3_room_free(&quic->h3);
    edge_quic_ids_free(&quic->ids);
    io_datagrams_free(quic->room);
    free(quic->train);
    free(quic);
}
