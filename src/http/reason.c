#include "http/reason.h"

static const sk_str reason_names[HTTP_REASON_COUNT_] = {
#define X(name, text, help) [HTTP_REASON_##name] = SK_STR_INIT(text),
    HTTP_REASON_TABLE(X)
#undef X
};

static const sk_str reason_helps[HTTP_REASON_COUNT_] = {
#define X(name, text, help) [HTTP_REASON_##name] = SK_STR_INIT(help),
    HTTP_REASON_TABLE(X)
#undef X
};

sk_str http_reason_name(enum http_reason reason) {
    SK_ASSERT(reason < HTTP_REASON_COUNT_);
    return reason_names[reason];
}

sk_str http_reason_help(enum http_reason reason) {
    SK_ASSERT(reason < HTTP_REASON_COUNT_);
    return reason_helps[reason];
}
