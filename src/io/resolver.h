/* Names to addresses by c-ares (hosts file, then DNS; A and AAAA together), with a per-loop cache that
 * honours TTLs (1 s to 5 min), serves stale for 30 s when servers fail, and joins equal lookups. Numeric
 * addresses never leave the process. That a name does not exist is remembered for 1 s. Fibers only, own
 * thread. */
#ifndef SK_IO_RESOLVER_H
#define SK_IO_RESOLVER_H

#include "io/addr.h"
#include "io/fiber.h"

#define IO_RESOLVE_MAX 16

struct io_resolver;

/* SERVERS: "1.2.3.4:53,[::1]:53" or NULL for resolv.conf. SK_ERR_INVALID when they cannot be read. */
sk_err io_resolver_create(struct io_loop *loop, const char *servers, struct io_resolver **out_resolver);
/* Fibers that wait are woken with SK_ERR_CANCELLED. NULL is allowed. Before the loop is destroyed. */
void io_resolver_destroy(struct io_resolver *resolver);
/* Fills up to IO_RESOLVE_MAX addresses in RFC 6724 order with PORT set. SK_ERR_NAME_NOT_FOUND,
 * SK_ERR_NAME_SERVER, SK_ERR_TIMEOUT, SK_ERR_CANCELLED. */
sk_err io_resolve(struct io_resolver *resolver, sk_str host, uint16_t port, sk_time_ns deadline,
                  struct io_addr out_addrs[IO_RESOLVE_MAX], size_t *out_count);

#endif
