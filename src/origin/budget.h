/* The retry budget: retries are a share of requests, so that a failing origin is not asked twice as much
 * just when it can least bear it. One a group, shared by all threads; the rules are pure. */
#ifndef SK_ORIGIN_BUDGET_H
#define SK_ORIGIN_BUDGET_H

#include <stdatomic.h>

#include "base/base.h"

#define ORIGIN_BUDGET_START 10 /* retries to begin with: a quiet site may repeat its first requests */
#define ORIGIN_BUDGET_MOST 100 /* retries that can be saved up */

/* Balances are in hundredths of a retry, PERCENT is the share allowed (0: never). */
int64_t origin_budget_start(uint32_t percent);
int64_t origin_budget_after_request(int64_t balance, uint32_t percent);
bool origin_budget_allows_retry(int64_t balance);
int64_t origin_budget_after_retry(int64_t balance);

struct origin_budget {
    _Atomic int64_t balance; /* any thread; no order with anything else is needed: relaxed */
};
void origin_budget_init(struct origin_budget *budget, uint32_t percent);
/* For each request, once. */
void origin_budget_deposit(struct origin_budget *budget, uint32_t percent);
/* Takes one retry; false when there is none. */
bool origin_budget_withdraw(struct origin_budget *budget);

#endif
