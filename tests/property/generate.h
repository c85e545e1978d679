/* Random traces: the same seed and number give the same trace on every machine. */
#ifndef SK_TESTS_PROPERTY_GENERATE_H
#define SK_TESTS_PROPERTY_GENERATE_H

#include "trace.h"

/* Requests in one trace. */
#define GENERATE_EXCHANGES 100
#define GENERATE_OPS_MAX (GENERATE_EXCHANGES * 8)

/* Fills TRACE, whose ops have room for GENERATE_OPS_MAX. */
void generate(struct trace *trace);

#endif
