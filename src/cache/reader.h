/* What the channels must know of readers. */
#ifndef SK_CACHE_READER_H
#define SK_CACHE_READER_H

#include "cache/internal.h"

/* Peek would not answer WAIT. */
bool reader_ready(const struct cache_reader *reader);

#endif
