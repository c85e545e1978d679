"""Measuring on a machine whose host gives its processors to others now and then: latencies of such moments are the
host's, so a run that met one is made again."""

from lib.report import processor_times

MOST_PERCENT = 0.5
TRIES = 5
again = {"runs": 0, "repeated": 0, "disturbed": 0}


def calm(run):
    """RUN's result from a time in which the host took at most half a per cent; after TRIES, of the calmest of them."""
    best, least = None, None
    for attempt in range(TRIES):
        again["repeated" if attempt else "runs"] += 1
        total, stolen = processor_times()
        result = run()
        now, taken = processor_times()
        percent = 100 * (taken - stolen) / max(now - total, 1)
        if least is None or percent < least:
            best, least = result, percent
        if percent <= MOST_PERCENT:
            break
    again["disturbed"] += least > MOST_PERCENT
    return best


def calm_note():
    """For the report, once all is measured."""
    return (f"A run in which the machine's host took more than {MOST_PERCENT} % of the processors' time was made again: "
            f"{again['repeated']} times for {again['runs']} runs; {again['disturbed']} were never calm and are the calmest "
            f"of {TRIES}.")
