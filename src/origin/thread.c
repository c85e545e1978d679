/* A thread joins: its pools, its resolver, its spare exchanges. */
#include <stdlib.h>

#include "origin/exchange.h"
#include "origin/pool.h"

#define SPARE_CONNECTIONS 64

sk_err origin_thread_join(struct origin_registry *registry, struct io_loop *loop,
                          struct observe_thread *metrics, const char *resolver_servers,
                          struct origin_thread **out_thread) {
    struct origin_thread *thread = calloc(1, sizeof *thread);
    if (!thread) return SK_ERR_NO_MEMORY;
    thread->magic = ORIGIN_THREAD_MAGIC;
    thread->registry = registry;
    thread->loop = loop;
    thread->metrics = metrics;
    sk_list_init(&thread->pools);
    sk_list_init(&thread->checks);
    sk_pool_init(&thread->connections, sizeof(struct origin_connection), SPARE_CONNECTIONS);
    sk_err err = origin_registry_take_slot(registry, &thread->slot);
    if (!err) err = io_resolver_create(loop, resolver_servers, &thread->resolver);
    if (err) {
        if (err != SK_ERR_FULL) origin_registry_give_slot(registry, thread->slot);
        free(thread);
        return err;
    }
    *out_thread = thread;
    return SK_OK;
}

void origin_thread_leave(struct origin_thread *thread) {
    if (!thread) return;
    SK_CHECK_MAGIC(thread, ORIGIN_THREAD_MAGIC);
    SK_ASSERT(thread->exchanges == 0 && sk_list_empty(&thread->checks));
    origin_pools_close(thread);
    origin_exchange_free_spares(thread);
    sk_pool_free_all(&thread->connections);
    io_resolver_destroy(thread->resolver);
    origin_registry_give_slot(thread->registry, thread->slot);
    thread->magic = 0;
    free(thread);
}
