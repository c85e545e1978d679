/* Answers in a content coding: which form of a stored response a client gets, and its fields (edge/coding.h,
 * edge/dictionary.h). On the connection's thread. */
#ifndef SK_EDGE_ANSWER_CODED_H
#define SK_EDGE_ANSWER_CODED_H

#include "edge/exchange.h"

/* Answers with a coded form of OBJECT, which is codable, where one is wanted. False: in identity, nothing was answered.
 * BORROWED: only held by the section that the caller is in; else its reference goes with the answer. *out_missing:
 * inside a section a form can only be found, and this one is not there. */
bool edge_answer_coded(struct edge_exchange *exchange, struct cache_object *object, bool borrowed,
                       bool *out_missing);

#endif
