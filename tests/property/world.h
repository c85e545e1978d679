/* The world around Skerry's request path in one thread: clients that are an edge_exchange_ops, an origin behind
 * the interface of src/origin, clocks that stand still until they are moved. What is tested, the edge and the
 * cache, is the real thing. Everything that happens is told to the model. */
#ifndef SK_TESTS_PROPERTY_WORLD_H
#define SK_TESTS_PROPERTY_WORLD_H

#include "model.h"

struct world;

/* Once a process: configuration, loop and worker. NULL: it could not be set up, and says why on stderr. */
struct world *world_create(void);
void world_destroy(struct world *world);
/* Plays TRACE on an empty cache against a model of its own, up to the first disagreement. True: none; else the
 * complaint, and how many operations were played, are in the world until the next run. */
bool world_play(struct world *world, const struct trace *trace);
/* The same, telling on stdout what happens. */
bool world_tell(struct world *world, const struct trace *trace);
const char *world_complaint(const struct world *world);

#endif
