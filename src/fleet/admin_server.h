/* The admin socket of a role: a small HTTP/1.1 server on the main loop, a fiber a connection, requests in a row.
 * On a Unix socket its file mode decides who may ask; on TCP every request needs the token (Authorization:
 * Bearer). A role gives a table of endpoints; what they answer is its own. */
#ifndef SK_FLEET_ADMIN_SERVER_H
#define SK_FLEET_ADMIN_SERVER_H

#include "fleet/admin_request.h"

struct fleet_admin_server;

struct fleet_admin_answer {
    uint16_t status;  /* 200 unless the handler says otherwise */
    const char *type; /* application/json, the same */
    sk_str location;  /* of a redirect, from the request's arena; empty: none */
    struct sk_buf body;
};
/* Fills ANSWER; an error becomes a 500. Runs on the loop's own stack, so it may go deep (reading YAML, say),
 * and must not park; that of an endpoint that parks runs on the visit's fiber. */
typedef sk_err fleet_admin_handler(void *role, struct fleet_admin_request *request,
                                   struct fleet_admin_answer *answer);

struct fleet_admin_endpoint {
    enum http_method method; /* GET answers HEAD too */
    sk_str path;
    fleet_admin_handler *handle;
    const char *help;
    bool parks;
};

struct fleet_admin_options {
    const char *role_name; /* constant: in log lines */
    sk_str where;          /* "unix:PATH" or an IP address with port */
    int inherited_fd;      /* a listening socket, used if it is bound to WHERE, else closed; -1: none */
    const struct fleet_admin_endpoint *endpoints; /* live as long as the server */
    size_t endpoint_count;
    void *role;
    sk_str (*token)(void *role); /* the one in force; empty: nobody may ask on TCP; NULL: anybody may */
    /* Instead of `token`, for who has more to say about it: false with ANSWER filled in. On the fiber, may park. */
    bool (*allow)(void *role, const struct fleet_admin_endpoint *endpoint,
                  struct fleet_admin_request *request, struct fleet_admin_answer *answer);
    SSL_CTX *(*tls)(void *role);   /* the context in force, borrowed; NULL: none is spoken */
    fleet_admin_handler *fallback; /* for all other paths, with any method; NULL: 404 */
    unsigned connections_max;      /* at a time; 0: 64 */
};

/* Listens and serves on LOOP, which calls this or does not run yet. SK_ERR_EXISTS, SK_ERR_DENIED and others of
 * io_listen (logged), SK_ERR_NO_MEMORY. */
sk_err fleet_admin_start(struct io_loop *loop, const struct fleet_admin_options *options,
                         struct fleet_admin_server **out_server);
/* The listening socket; -1 after it was handed over. */
int fleet_admin_fd(const struct fleet_admin_server *server);
/* Where it listens, as io_addr_format writes it, after "http://" or "https://" where that is TCP. */
sk_err fleet_admin_text(const struct fleet_admin_server *server, struct sk_buf *out);
/* Another process answers from now on. */
void fleet_admin_hand_over(struct fleet_admin_server *server);
/* Closes; removes a Unix socket's file unless it was handed over. After the loop has ended. NULL is allowed. */
void fleet_admin_stop(struct fleet_admin_server *server);

/* "TEXT\n" as plain text with STATUS. */
sk_err fleet_admin_say(struct fleet_admin_answer *answer, uint16_t status, const char *text);

#endif
