/* Writes one problem, in the form that every problem has. */
#ifndef SK_CONFIG_PROBLEM_H
#define SK_CONFIG_PROBLEM_H

#include "config/load.h"

#define CONFIG_PROBLEMS_MAX 20

/* Where it is: file and position (LINE 0: none, counted from 1), and the key's path ("" for none). */
struct config_place {
    const char *name;
    size_t line, column;
    const char *path;
};

/* "NAME:LINE:COLUMN: PATH: text". After CONFIG_PROBLEMS_MAX only counts. Text from outside goes through
 * config_quote. */
void config_problem(struct config_problems *problems, struct config_place place, const char *format, ...)
    SK_PRINTF(3, 4);

/* TEXT in double quotes, with \xNN for what is not printable ASCII or valid where it stands, cut to fit. */
#define CONFIG_QUOTE_BYTES 96
const char *config_quote(sk_str text, char out[CONFIG_QUOTE_BYTES]);

#endif
