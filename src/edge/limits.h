/* How many connections there may be, in the process and from one client. Shared by all threads; touched when
 * a connection comes and goes, never by a request. A client is an IPv4 address or an IPv6 /64. */
#ifndef SK_EDGE_LIMITS_H
#define SK_EDGE_LIMITS_H

#include "io/addr.h"

struct edge_limits;

sk_err edge_limits_create(struct edge_limits **out_limits);
void edge_limits_destroy(struct edge_limits *limits);
/* MAXIMUM connections in all, PER_CLIENT of one client; 0 means no limit. Any thread. */
void edge_limits_set(struct edge_limits *limits, uint32_t maximum, uint32_t per_client);

/* Counts a new connection in. SK_ERR_FULL (the process), SK_ERR_DENIED (the client), SK_ERR_NO_MEMORY;
 * then nothing was counted. */
sk_err edge_limits_enter(struct edge_limits *limits, const struct io_addr *client);
void edge_limits_leave(struct edge_limits *limits, const struct io_addr *client);
uint32_t edge_limits_count(const struct edge_limits *limits);

#endif
