#include "wire/memory.h"

#include <stdlib.h>
#include <string.h>

/* Of the smallest class, head included; each is twice the one before. */
#define SMALLEST 64
/* Free blocks of a class that are kept. */
#define KEPT 256

/* Before each block. */
struct head {
    size_t room;    /* bytes that it may hold */
    unsigned class; /* WIRE_MEMORY_CLASSES: it is the system's */
};
static_assert(sizeof(struct head) == 16, "blocks are aligned as malloc's are");

void wire_memory_init(struct wire_memory *memory) {
    for (unsigned i = 0; i < WIRE_MEMORY_CLASSES; i++)
        sk_pool_init(&memory->classes[i], (size_t)SMALLEST << i, KEPT);
}

void wire_memory_free(struct wire_memory *memory) {
    for (unsigned i = 0; i < WIRE_MEMORY_CLASSES; i++) sk_pool_free_all(&memory->classes[i]);
}

static unsigned class_of(size_t bytes) {
    size_t units = (bytes + sizeof(struct head) - 1) / SMALLEST;
    return units ? SK_MIN(64 - (unsigned)__builtin_clzl(units), (unsigned)WIRE_MEMORY_CLASSES) : 0;
}

void *wire_memory_get(size_t bytes, void *user) {
    struct wire_memory *memory = user;
    if (bytes > SIZE_MAX - sizeof(struct head)) return NULL;
    unsigned class = class_of(bytes);
    bool ours = class < WIRE_MEMORY_CLASSES;
    struct head *head =
        ours ? sk_pool_get_unset(&memory->classes[class]) : malloc(sizeof(struct head) + bytes);
    if (!head) return NULL;
    *head = (struct head){ours ? ((size_t)SMALLEST << class) - sizeof *head : bytes, class};
    return head + 1;
}

void wire_memory_put(void *block, void *user) {
    struct wire_memory *memory = user;
    if (!block) return;
    struct head *head = (struct head *)block - 1;
    if (head->class < WIRE_MEMORY_CLASSES)
        sk_pool_put(&memory->classes[head->class], head);
    else
        free(head);
}

void *wire_memory_get_zeros(size_t count, size_t bytes, void *user) {
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all)) return NULL;
    void *block = wire_memory_get(all, user);
    return block ? memset(block, 0, all) : NULL;
}

void *wire_memory_resize(void *block, size_t bytes, void *user) {
    if (!block) return wire_memory_get(bytes, user);
    const struct head *head = (const struct head *)block - 1;
    if (bytes <= head->room) return block;
    void *larger = wire_memory_get(bytes, user);
    if (!larger) return NULL;
    memcpy(larger, block, head->room);
    wire_memory_put(block, user);
    return larger;
}
