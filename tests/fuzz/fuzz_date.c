/* Any bytes as a date: what is read is written as IMF-fixdate and reads back as the same second. */
#include "fuzz.h"
#include "http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const sk_unix_s clocks[] = {0, INT64_C(1700000000), INT64_C(4102444800)};
    if (bytes > 100) return 0;
    char *copy = exact_copy(data, bytes), out[HTTP_DATE_BYTES];
    for (size_t i = 0; i < SK_COUNT(clocks); i++) {
        sk_unix_s time, again;
        if (http_date_parse(sk_str_make(copy, bytes), clocks[i], &time)) continue;
        MUST(time >= INT64_C(-62167219200) && time <= INT64_C(253402300800)); /* with a leap second */
        http_date_format(time, out);
        MUST(http_date_parse(sk_str_make(out, sizeof(out)), clocks[i], &again) == SK_OK);
        MUST(again == time || time == INT64_C(253402300800));
    }
    free(copy);
    return 0;
}
