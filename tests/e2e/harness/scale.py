"""Time and size of a run. SKERRY_TEST_SLOW stretches what a slow build takes longer for; SKERRY_TEST_PATIENCE stretches
limits beyond which something is broken, for a machine whose host takes its time away; SKERRY_TEST_LONG=1 chooses the
long forms."""

import os
import time

SLOW = float(os.environ.get("SKERRY_TEST_SLOW", "1"))
PATIENCE = float(os.environ.get("SKERRY_TEST_PATIENCE", "3"))
LONG = os.environ.get("SKERRY_TEST_LONG", "") not in ("", "0")


def seconds(value):
    """A time that is part of what a test does: a slow build has more of it."""
    return value * SLOW


def limit(value):
    """The longest that something may take where a test is not about how long it takes. To wait for it costs nothing when
    all is well, so it is generous."""
    return value * SLOW * PATIENCE


def duration(value):
    """The same as seconds(), as a configuration writes it."""
    return f"{int(value * SLOW * 1000)}ms"


def pick(short, long):
    return long if LONG else short


def wait_until(condition, timeout=10, what="the condition"):
    """Polls CONDITION until it gives something true, which is returned."""
    deadline = time.monotonic() + limit(timeout)
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit(timeout):.1f} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
