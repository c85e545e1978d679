/* The configuration: any text gives a configuration or at least one problem. What the scan lets pass,
 * libcyaml must read. */
#include <stdlib.h>

#include "config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config_problems problems;
    struct config *config = NULL;
    config_problems_init(&problems);
    sk_err err = config_parse(sk_str_make((const char *)data, size), "f", &config, &problems);
    if ((err == SK_OK) != (problems.count == 0)) abort();
    sk_str text = sk_buf_str(&problems.text);
    if (sk_str_starts_with(text, SK_STR("f: cannot be read as YAML"))) abort();
    if (config) {
        config_site_for(config, sk_str_make((const char *)data, SK_MIN(size, 64)));
        config_unref(config);
    }
    config_problems_free(&problems);
    return 0;
}
