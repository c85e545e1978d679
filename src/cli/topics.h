/* The pages of `skerry help` that are written by hand. */
#ifndef SK_CLI_TOPICS_H
#define SK_CLI_TOPICS_H

extern const char cli_text_reasons[];
extern const char cli_text_access_log[];
extern const char cli_text_admin[];
extern const char cli_text_signals[];
extern const char cli_text_exit_codes[];
extern const char cli_text_examples[];

#endif
