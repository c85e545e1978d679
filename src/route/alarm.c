#include "route/alarm.h"

#include "base/log.h"

static const struct {
    const char *text, *effect;
} alarms[] = {
#define X(name, text, effect) {text, effect},
    ROUTE_ALARM_TABLE(X)
#undef X
};

void route_alarm_set(struct route_process *process, enum route_alarm alarm, bool on) {
    uint32_t bit = UINT32_C(1) << alarm;
    if (on == ((process->alarms & bit) != 0)) return;
    process->alarms ^= bit;
    if (on)
        sk_log(SK_LOG_ERROR, "route", "%s: %s", alarms[alarm].text, alarms[alarm].effect);
    else
        sk_log(SK_LOG_INFO, "route", "no longer: %s", alarms[alarm].text);
}

unsigned route_alarm_count(const struct route_process *process) {
    return (unsigned)__builtin_popcount(process->alarms);
}

const char *route_alarm_status(const struct route_process *process) {
    for (size_t i = 0; i < ROUTE_ALARMS; i++)
        if (process->alarms >> i & 1) return alarms[i].text;
    return "ok";
}

sk_err route_alarm_json(const struct route_process *process, struct sk_buf *out) {
    const char *before = "[";
    sk_err err = SK_OK;
    for (size_t i = 0; i < ROUTE_ALARMS && !err; i++) {
        if (!(process->alarms >> i & 1)) continue;
        err = sk_buf_printf(out, "%s\"%s\"", before, alarms[i].text);
        before = ",";
    }
    return err ? err : sk_buf_printf(out, "%s", *before == '[' ? "[]" : "]");
}
