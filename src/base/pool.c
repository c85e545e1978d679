#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/poison.h"

/* A free object's first word links it; the rest is poisoned. */
struct free_object {
    struct free_object *next;
};

void sk_pool_init(struct sk_pool *pool, size_t object_size, size_t keep) {
    *pool = (struct sk_pool){.object_size = SK_MAX(object_size, sizeof(struct free_object)), .keep = keep};
}

static void poison_tail(const struct sk_pool *pool, struct free_object *object) {
    SK_POISON(object + 1, pool->object_size - sizeof *object);
}

static struct free_object *pop_free(struct sk_pool *pool) {
    struct free_object *object = pool->free_list;
    pool->free_list = object->next;
    pool->free_count--;
    SK_UNPOISON(object, pool->object_size);
    return object;
}

void sk_pool_trim(struct sk_pool *pool, size_t count) {
    while (pool->free_count > count) free(pop_free(pool));
}

void sk_pool_free_all(struct sk_pool *pool) {
    SK_ASSERT(pool->live == 0);
    sk_pool_trim(pool, 0);
}

void *sk_pool_get_unset(struct sk_pool *pool) {
    void *object = pool->free_list ? pop_free(pool) : malloc(pool->object_size);
    if (object) pool->live++;
    return object;
}

void *sk_pool_get(struct sk_pool *pool) {
    void *object = sk_pool_get_unset(pool);
    return object ? memset(object, 0, pool->object_size) : NULL;
}

void sk_pool_put(struct sk_pool *pool, void *object) {
    SK_ASSERT(object != NULL && pool->live > 0);
    pool->live--;
    if (pool->free_count >= pool->keep) {
        free(object);
        return;
    }
    struct free_object *freed = object;
    freed->next = pool->free_list;
    pool->free_list = freed;
    pool->free_count++;
    poison_tail(pool, freed);
}
