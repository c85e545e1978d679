"""Time and size of a run: SKERRY_TEST_SLOW stretches every time limit, SKERRY_TEST_LONG=1 chooses the long forms."""

import os
import time

SLOW = float(os.environ.get("SKERRY_TEST_SLOW", "1"))
LONG = os.environ.get("SKERRY_TEST_LONG", "") not in ("", "0")


def seconds(value):
    """A time limit that a slow build may stretch."""
    return value * SLOW


def duration(value):
    """The same as a configuration writes it."""
    return f"{int(value * SLOW * 1000)}ms"


def pick(short, long):
    return long if LONG else short


def wait_until(condition, timeout=10, what="the condition"):
    """Polls CONDITION until it gives something true, which is returned."""
    deadline = time.monotonic() + seconds(timeout)
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds(timeout):.1f} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
