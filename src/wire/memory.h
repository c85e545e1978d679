/* Memory for what the libraries under wire/ make and drop with each request: fields, frames, queues. Free lists of a few
 * sizes, so that in steady state nothing is asked of the system; what is larger, is. One owner thread; freed memory is
 * poisoned under ASan. */
#ifndef SK_WIRE_MEMORY_H
#define SK_WIRE_MEMORY_H

#include "base/pool.h"

#define WIRE_MEMORY_CLASSES 6

struct wire_memory {
    struct sk_pool classes[WIRE_MEMORY_CLASSES];
};

void wire_memory_init(struct wire_memory *memory);
/* Nothing is handed out any more. */
void wire_memory_free(struct wire_memory *memory);

/* As malloc, free, calloc and realloc are, in the libraries' order of arguments; MEMORY is a struct wire_memory. */
void *wire_memory_get(size_t bytes, void *memory);
void wire_memory_put(void *block, void *memory);
void *wire_memory_get_zeros(size_t count, size_t bytes, void *memory);
void *wire_memory_resize(void *block, size_t bytes, void *memory);

#endif
