#include "io/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped_head[12] = {[10] = 0xff, [11] = 0xff};

sk_err io_addr_from_ip(const void *ip, size_t ip_bytes, uint16_t port, struct io_addr *out_addr) {
    struct io_addr addr = {0};
    if (ip_bytes == 4) {
        addr.len = sizeof addr.v4;
        addr.v4.sin_family = AF_INET;
        addr.v4.sin_port = htons(port);
        memcpy(&addr.v4.sin_addr, ip, 4);
    } else if (ip_bytes == 16) {
        addr.len = sizeof addr.v6;
        addr.v6.sin6_family = AF_INET6;
        addr.v6.sin6_port = htons(port);
        memcpy(&addr.v6.sin6_addr, ip, 16);
    } else {
        return SK_ERR_INVALID;
    }
    *out_addr = addr;
    return SK_OK;
}

/* The 4 or 16 bytes of a numeric address; 0 when TEXT is none. */
static size_t parse_ip(sk_str text, uint8_t out[16]) {
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof copy || sk_str_find_byte(text, '\0') < text.len) return 0;
    if (text.len) memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, out) == 1) return 4;
    return inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

static sk_err parse_port(sk_str text, uint16_t *out_port) {
    uint64_t port;
    sk_err err = sk_str_to_u64(text, &port);
    if (err) return err;
    if (port > UINT16_MAX) return SK_ERR_TOO_LARGE;
    *out_port = (uint16_t)port;
    return SK_OK;
}

static sk_err parse_local(sk_str path, struct io_addr *out_addr) {
    struct io_addr addr = {0};
    if (path.len == 0 || sk_str_find_byte(path, '\0') < path.len) return SK_ERR_MALFORMED;
    if (path.len >= sizeof addr.local.sun_path) return SK_ERR_TOO_LARGE;
    addr.local.sun_family = AF_UNIX;
    memcpy(addr.local.sun_path, path.data, path.len);
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *out_addr = addr;
    return SK_OK;
}

sk_err io_addr_parse(sk_str text, struct io_addr *out_addr) {
    if (sk_str_starts_with(text, SK_STR("unix:")))
        return parse_local(sk_str_slice(text, 5, text.len), out_addr);
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':') colon--;
    if (colon == 0) return SK_ERR_MALFORMED;
    sk_str host = sk_str_slice(text, 0, colon - 1);
    uint8_t ip[16] = {0};
    uint16_t port = 0;
    sk_err err = parse_port(sk_str_slice(text, colon, text.len), &port);
    if (err) return err;
    if (host.len == 0) return io_addr_from_ip(ip, 16, port, out_addr);
    bool bracketed = host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (bracketed) host = sk_str_slice(host, 1, host.len - 1);
    size_t ip_bytes = parse_ip(host, ip);
    if (ip_bytes != (bracketed ? 16 : 4)) return SK_ERR_MALFORMED;
    return io_addr_from_ip(ip, ip_bytes, port, out_addr);
}

bool io_addr_ip16(const struct io_addr *addr, uint8_t out[16]) {
    if (addr->any.sa_family == AF_INET) {
        memcpy(out, mapped_head, sizeof mapped_head);
        memcpy(out + 12, &addr->v4.sin_addr, 4);
        return true;
    }
    if (addr->any.sa_family != AF_INET6) return false;
    memcpy(out, &addr->v6.sin6_addr, 16);
    return true;
}

static bool is_mapped(const uint8_t ip[16]) { return memcmp(ip, mapped_head, sizeof mapped_head) == 0; }

size_t io_addr_format_ip(const struct io_addr *addr, char out[IO_ADDR_TEXT_BYTES]) {
    uint8_t ip[16];
    if (!io_addr_ip16(addr, ip))
        snprintf(out, IO_ADDR_TEXT_BYTES, "unix");
    else if (is_mapped(ip))
        inet_ntop(AF_INET, ip + 12, out, IO_ADDR_TEXT_BYTES);
    else
        inet_ntop(AF_INET6, ip, out, IO_ADDR_TEXT_BYTES);
    return strlen(out);
}

/* An unnamed socket (one end of a pair, a client) has no path. */
static size_t format_local(const struct io_addr *addr, char out[IO_ADDR_TEXT_BYTES]) {
    size_t head = offsetof(struct sockaddr_un, sun_path);
    int room = addr->len > head ? (int)(addr->len - head) : 0;
    return (size_t)snprintf(out, IO_ADDR_TEXT_BYTES, "unix:%.*s", room, addr->local.sun_path);
}

size_t io_addr_format(const struct io_addr *addr, char out[IO_ADDR_TEXT_BYTES]) {
    uint8_t ip[16];
    char text[IO_ADDR_TEXT_BYTES];
    if (!io_addr_ip16(addr, ip)) return format_local(addr, out);
    io_addr_format_ip(addr, text);
    return (size_t)snprintf(out, IO_ADDR_TEXT_BYTES, is_mapped(ip) ? "%.64s:%u" : "[%.64s]:%u", text,
                            io_addr_port(addr));
}

uint16_t io_addr_port(const struct io_addr *addr) {
    if (addr->any.sa_family == AF_INET) return ntohs(addr->v4.sin_port);
    return addr->any.sa_family == AF_INET6 ? ntohs(addr->v6.sin6_port) : 0;
}

bool io_addr_eq(const struct io_addr *a, const struct io_addr *b) {
    uint8_t ip_a[16], ip_b[16];
    bool is_ip = io_addr_ip16(a, ip_a);
    if (is_ip != io_addr_ip16(b, ip_b)) return false;
    if (is_ip) return memcmp(ip_a, ip_b, 16) == 0 && io_addr_port(a) == io_addr_port(b);
    return a->len == b->len && memcmp(&a->local, &b->local, a->len) == 0;
}

/* Clears what lies behind the first BITS. */
static void mask_ip(uint8_t ip[16], unsigned bits) {
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits > i * 8 ? SK_MIN(bits - i * 8, 8u) : 0;
        ip[i] = (uint8_t)(ip[i] & 0xff00u >> kept);
    }
}

sk_err io_prefix_parse(sk_str text, struct io_prefix *out_prefix) {
    size_t slash = sk_str_find_byte(text, '/');
    uint8_t ip[16];
    size_t ip_bytes = parse_ip(sk_str_slice(text, 0, slash), ip);
    if (ip_bytes == 0) return SK_ERR_MALFORMED;
    uint64_t bits = ip_bytes * 8;
    sk_str bits_text = sk_str_slice(text, slash + 1, text.len);
    if (slash < text.len && (sk_str_to_u64(bits_text, &bits) || bits > ip_bytes * 8)) return SK_ERR_MALFORMED;
    struct io_prefix prefix = {.bits = (uint8_t)(128 - ip_bytes * 8 + bits)};
    if (ip_bytes == 4) memcpy(prefix.ip, mapped_head, sizeof mapped_head);
    memcpy(prefix.ip + 16 - ip_bytes, ip, ip_bytes);
    mask_ip(prefix.ip, prefix.bits);
    *out_prefix = prefix;
    return SK_OK;
}

bool io_prefix_match(const struct io_prefix *prefix, const struct io_addr *addr) {
    uint8_t ip[16];
    if (!io_addr_ip16(addr, ip)) return false;
    mask_ip(ip, prefix->bits);
    return memcmp(ip, prefix->ip, 16) == 0;
}
