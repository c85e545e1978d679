/* The program that the ACME client runs for each challenge: it passes the question on to the edge that started the
 * client, over the descriptor that it has inherited, and ends with the answer (acme/hook.h). */
#include <stdlib.h>
#include <string.h>

#include "acme/hook.h"
#include "cli/command.h"

bool cli_is_acme_hook(int argc) {
    const char *descriptor = getenv(ACME_HOOK_VARIABLE);
    return argc == 6 && descriptor && !strcmp(descriptor, "3");
}

int cli_acme_hook(char **argv) {
    const char *const words[5] = {argv[1], argv[2], argv[3], argv[4], argv[5]};
    return acme_hook_ask(ACME_HOOK_FD, words) ? CLI_FINE : CLI_FAILED;
}
