#include "route/sockets.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "io/socket.h"

/* --- what an earlier process had ---------------------------------------------------------------------- */

bool route_inherited_take(struct route_inherited *inherited, sk_str name, const int *fds, size_t count,
                          sk_err *out_err) {
    struct route_inherited_set set = {.tcp = sk_str_starts_with(name, SK_STR("tcp:")), .count = count};
    if (!set.tcp && !sk_str_starts_with(name, SK_STR("udp:"))) return false;
    *out_err = io_addr_parse(sk_str_slice(name, 4, name.len), &set.addr) ? SK_ERR_MALFORMED : SK_OK;
    if (*out_err) return true;
    struct route_inherited_set *sets = realloc(inherited->sets, (inherited->count + 1) * sizeof *sets);
    if (sets) inherited->sets = sets;
    set.fds = malloc(count * sizeof *fds);
    if (!sets || !set.fds) {
        free(set.fds);
        *out_err = SK_ERR_NO_MEMORY;
        return true;
    }
    memcpy(set.fds, fds, count * sizeof *fds);
    sets[inherited->count++] = set;
    return true;
}

static bool same_addr(const struct io_addr *a, const struct io_addr *b) {
    return io_addr_eq(a, b) && io_addr_port(a) == io_addr_port(b);
}

unsigned route_inherited_threads(const struct route_inherited *inherited, const struct config_route *config) {
    size_t most = 0;
    for (size_t i = 0; i < inherited->count; i++)
        for (uint32_t k = 0; k < config->listener_count; k++)
            if (same_addr(&inherited->sets[i].addr, &config->listeners[k]))
                most = SK_MAX(most, inherited->sets[i].count);
    return (unsigned)most;
}

/* The first of ADDR that nobody has taken; -1: none. */
static int take_inherited(struct route_inherited *inherited, const struct io_addr *addr, bool tcp) {
    for (size_t i = 0; i < inherited->count; i++) {
        struct route_inherited_set *set = &inherited->sets[i];
        if (set->tcp != tcp || !same_addr(&set->addr, addr)) continue;
        for (size_t k = 0; k < set->count; k++) {
            int fd = set->fds[k];
            set->fds[k] = -1;
            if (fd >= 0) return fd;
        }
    }
    return -1;
}

void route_inherited_free(struct route_inherited *inherited) {
    for (size_t i = 0; i < inherited->count; i++) {
        for (size_t k = 0; k < inherited->sets[i].count; k++)
            if (inherited->sets[i].fds[k] >= 0) close(inherited->sets[i].fds[k]);
        free(inherited->sets[i].fds);
    }
    free(inherited->sets);
    *inherited = (struct route_inherited){0};
}

/* --- opening ------------------------------------------------------------------------------------------ */

/* Both sockets of CONFIGURED; a port 0 gets the same port for all of BOUND. */
static sk_err open_pair(const struct io_addr *configured, struct io_addr *bound,
                        struct route_inherited *inherited, int *out_udp, int *out_tcp) {
    struct io_listen_options options = {.reuse_port = true};
    *out_udp = take_inherited(inherited, configured, false);
    *out_tcp = take_inherited(inherited, configured, true);
    sk_err err = *out_udp >= 0 ? SK_OK : io_bind_datagram(bound, &options, out_udp);
    if (!err) err = io_socket_local_addr(*out_udp, bound);
    if (!err && *out_tcp < 0) err = io_listen(bound, &options, out_tcp);
    return err;
}

static sk_err open_all(struct route_sockets *sockets, struct io_addr *bound,
                       struct route_inherited *inherited) {
    sk_err err = SK_OK;
    for (size_t i = 0; !err && i < (size_t)sockets->threads * sockets->listeners; i++) {
        char text[IO_ADDR_TEXT_BYTES];
        size_t listener = i % sockets->listeners;
        err = open_pair(&sockets->addrs[listener], &bound[listener], inherited, &sockets->udp[i],
                        &sockets->tcp[i]);
        io_addr_format(&bound[listener], text);
        if (err) sk_log(SK_LOG_ERROR, "route", "cannot listen on %s: %s", text, sk_err_text(err));
        if (!err && i < sockets->listeners) sk_log(SK_LOG_INFO, "route", "answering on %s", text);
    }
    return err;
}

sk_err route_sockets_open(struct route_sockets *sockets, const struct config_route *config, unsigned threads,
                          struct route_inherited *inherited) {
    size_t count = (size_t)threads * config->listener_count,
           bytes = config->listener_count * sizeof(struct io_addr);
    *sockets = (struct route_sockets){.threads = threads,
                                      .listeners = config->listener_count,
                                      .udp = malloc(count * sizeof(int)),
                                      .tcp = malloc(count * sizeof(int)),
                                      .addrs = malloc(bytes)};
    struct io_addr *bound = malloc(bytes);
    if (!sockets->udp || !sockets->tcp || !sockets->addrs || !bound) {
        free(bound);
        return SK_ERR_NO_MEMORY;
    }
    memcpy(sockets->addrs, config->listeners, bytes);
    memcpy(bound, config->listeners, bytes);
    for (size_t i = 0; i < count; i++) sockets->udp[i] = sockets->tcp[i] = -1;
    sk_err err = open_all(sockets, bound, inherited);
    free(bound);
    return err;
}

/* --- handing over ------------------------------------------------------------------------------------- */

sk_err route_sockets_package(const struct route_sockets *sockets, struct io_upgrade_package *package) {
    sk_err err = SK_OK;
    int *fds = malloc(sockets->threads * sizeof *fds);
    if (!fds) return SK_ERR_NO_MEMORY;
    for (unsigned i = 0; !err && i < 2 * sockets->listeners; i++) {
        char text[4 + IO_ADDR_TEXT_BYTES] = "udp:";
        unsigned listener = i / 2;
        bool tcp = i % 2;
        if (tcp) memcpy(text, "tcp:", 4);
        size_t bytes = 4 + io_addr_format(&sockets->addrs[listener], text + 4);
        for (unsigned k = 0; k < sockets->threads; k++)
            fds[k] = (tcp ? sockets->tcp : sockets->udp)[k * sockets->listeners + listener];
        err = io_upgrade_package_add(package, sk_str_make(text, bytes), fds, sockets->threads);
    }
    free(fds);
    return err;
}

void route_sockets_close(struct route_sockets *sockets) {
    bool opened = sockets->udp && sockets->tcp;
    for (size_t i = 0; opened && i < (size_t)sockets->threads * sockets->listeners; i++) {
        if (sockets->udp[i] >= 0) close(sockets->udp[i]);
        if (sockets->tcp[i] >= 0) close(sockets->tcp[i]);
    }
    free(sockets->udp);
    free(sockets->tcp);
    free(sockets->addrs);
}
