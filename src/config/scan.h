/* A walk over the YAML's events beside the tables of options.h: every unknown key, wrong form and bad value,
 * each with its place, in one go. What passes is sure to load (raw.h). The walk also bounds what libcyaml
 * gets to see: no aliases, no deep nesting, no second document. */
#ifndef SK_CONFIG_SCAN_H
#define SK_CONFIG_SCAN_H

#include "config/problem.h"
#include "config/raw.h"

/* NAME stands in messages. SK_OK when there were no problems; SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err config_scan(sk_str text, const char *name, struct config_problems *problems,
                   struct config_raw_forms *out_forms);

/* The same walk beside the tables of another role, whose top section is TOP; HINT ("expected at least: ...") is said
 * of a file that is not even a mapping. */
sk_err config_scan_section(sk_str text, const char *name, const struct config_section *top, const char *hint,
                           struct config_problems *problems);

/* Where in a text that scans well the value with this path is ("sites[1].hosts[0]"); LINE is 0 when it is
 * not there (a default, say). PATH stays in the result. */
struct config_place config_locate(sk_str text, const char *name, const char *path);

/* Whether TEXT is a good value of OPTION; adds the problem if not. */
bool config_check_value(const struct config_option *option, sk_str text, struct config_place place,
                        struct config_problems *problems);

#endif
