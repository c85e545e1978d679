#include "wire/h2_abuse.h"

static const struct {
    int64_t cost;
    const char *text;
} costs[] = {
#define X(name, cost, text) {cost, text},
    WIRE_H2_COST_TABLE(X)
#undef X
};

static void pay_off(struct wire_h2_account *account, sk_time_ns now) {
    if (now <= account->at) return;
    sk_time_ns since = SK_MIN(now - account->at, 3600 * SK_NS_PER_S); /* no overflow below */
    int64_t paid = since * WIRE_H2_BUDGET_A_SECOND / SK_NS_PER_S;
    if (!paid) return; /* not yet worth a unit: the time goes on counting */
    account->spent = SK_MAX(account->spent - paid, 0);
    account->at = now;
}

bool wire_h2_charge(struct wire_h2_account *account, enum wire_h2_cost cost, sk_time_ns now) {
    if (account->over) return false;
    pay_off(account, now);
    account->spent += costs[cost].cost;
    if (account->spent <= WIRE_H2_BUDGET) return true;
    account->over = true;
    account->worst = cost;
    return false;
}

void wire_h2_credit(struct wire_h2_account *account) {
    account->spent = SK_MAX(account->spent - WIRE_H2_REQUEST_CREDIT, 0);
}

void wire_h2_credit_content(struct wire_h2_account *account, uint64_t bytes) {
    account->content += bytes;
    int64_t units = (int64_t)(account->content / WIRE_H2_CONTENT_CREDIT_BYTES);
    account->content %= WIRE_H2_CONTENT_CREDIT_BYTES;
    account->spent = SK_MAX(account->spent - units, 0);
}

const char *wire_h2_cost_text(enum wire_h2_cost cost) { return costs[cost].text; }
