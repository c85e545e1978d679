#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void sk_assert_failed(const char *expression, const char *file, int line) {
    dprintf(STDERR_FILENO, "skerry: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
