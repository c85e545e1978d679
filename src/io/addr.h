/* Socket addresses and prefixes: parse, print, compare, match. Pure; any thread. */
#ifndef SK_IO_ADDR_H
#define SK_IO_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/str.h"

struct io_addr {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
};

#define IO_ADDR_TEXT_BYTES 128

/* "127.0.0.1:8080", "[::1]:8080", ":8080" (all addresses, IPv6 socket that takes IPv4 too), "unix:/path".
 * Numeric only. SK_ERR_MALFORMED, SK_ERR_TOO_LARGE (port, path). */
sk_err io_addr_parse(sk_str text, struct io_addr *out_addr);
/* From bytes: 4 or 16, network order; PORT in host order. */
sk_err io_addr_from_ip(const void *ip, size_t ip_bytes, uint16_t port, struct io_addr *out_addr);
/* The inverse of parse; NUL-terminated, returns the length. */
size_t io_addr_format(const struct io_addr *addr, char out[IO_ADDR_TEXT_BYTES]);
/* Only the IP, without port or brackets ("unix" for local sockets). */
size_t io_addr_format_ip(const struct io_addr *addr, char out[IO_ADDR_TEXT_BYTES]);
uint16_t io_addr_port(const struct io_addr *addr);
bool io_addr_eq(const struct io_addr *a, const struct io_addr *b);

/* An IPv4 or IPv6 prefix; IPv4 is kept as ::ffff:a.b.c.d so that one comparison serves both. */
struct io_prefix {
    uint8_t ip[16];
    uint8_t bits; /* 0 to 128 */
};
/* "10.0.0.0/8", "2001:db8::/32", a bare address means all its bits. SK_ERR_MALFORMED. */
sk_err io_prefix_parse(sk_str text, struct io_prefix *out_prefix);
bool io_prefix_match(const struct io_prefix *prefix, const struct io_addr *addr);
/* The address as 16 bytes (IPv4 mapped); false for local sockets. */
bool io_addr_ip16(const struct io_addr *addr, uint8_t out[16]);

#endif
