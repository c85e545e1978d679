/* Free lists of equal-sized structs, so that a connection or a fiber costs no malloc in steady state. One
 * owner thread. Freed memory is poisoned under ASan. */
#ifndef SK_BASE_POOL_H
#define SK_BASE_POOL_H

#include "base/base.h"

struct sk_pool {
    void *free_list;
    size_t object_size; /* bytes, at least sizeof(void *) */
    size_t free_count;
    size_t keep; /* at most this many are kept free */
    size_t live; /* handed out now */
};

void sk_pool_init(struct sk_pool *pool, size_t object_size, size_t keep);
/* Frees what is kept; SK_ASSERTs that nothing is handed out any more. */
void sk_pool_free_all(struct sk_pool *pool);
/* Zeroed; NULL when out of memory. */
void *sk_pool_get(struct sk_pool *pool);
/* The same with anything in it: for what is mostly a buffer. */
void *sk_pool_get_unset(struct sk_pool *pool);
void sk_pool_put(struct sk_pool *pool, void *object);
/* Frees what is kept beyond COUNT objects. */
void sk_pool_trim(struct sk_pool *pool, size_t count);

#endif
