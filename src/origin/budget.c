#include "origin/budget.h"

int64_t origin_budget_start(uint32_t percent) { return percent ? ORIGIN_BUDGET_START * 100 : 0; }

int64_t origin_budget_after_request(int64_t balance, uint32_t percent) {
    return SK_MIN(balance + percent, (int64_t)ORIGIN_BUDGET_MOST * 100);
}

bool origin_budget_allows_retry(int64_t balance) { return balance >= 100; }

int64_t origin_budget_after_retry(int64_t balance) { return balance - 100; }

void origin_budget_init(struct origin_budget *budget, uint32_t percent) {
    atomic_init(&budget->balance, origin_budget_start(percent));
}

void origin_budget_deposit(struct origin_budget *budget, uint32_t percent) {
    int64_t old = atomic_load_explicit(&budget->balance, memory_order_relaxed), next;
    do {
        next = origin_budget_after_request(old, percent);
        if (next == old) return; /* full: the usual state writes nothing */
    } while (!atomic_compare_exchange_weak_explicit(&budget->balance, &old, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

bool origin_budget_withdraw(struct origin_budget *budget) {
    int64_t old = atomic_load_explicit(&budget->balance, memory_order_relaxed);
    do {
        if (!origin_budget_allows_retry(old)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->balance, &old, origin_budget_after_retry(old),
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}
