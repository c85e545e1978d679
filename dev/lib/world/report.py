"""What the visits of a time tell: figures, tables."""

from collections import Counter, defaultdict

WINDOW_S = 5  # over which a PoP's requests are held against its capacity


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def figures(world, visits, near_ms=40):
    """Of one policy. Times are those of the ways that packets took; one value for each request."""
    times, near, best, over, requests, failed, retried = [], [], 0, 0.0, 0, 0, 0
    for visit in visits:
        requests += visit.requests
        failed += len(visit.failures)
        retried += visit.retried
        if visit.pop < 0:
            continue
        client = world.clients[visit.client]
        rtt, least = client.rtt_ms[visit.pop], world.best_ms(client)
        times += [rtt] * visit.requests
        best += visit.requests * (rtt == least)
        over += visit.requests * (rtt - least)
        if least <= near_ms:
            near += [rtt] * visit.requests
    return {"requests": requests, "failed": failed, "retried": retried, "best": best / requests if requests else 0,
            "over": over / max(1, len(times)), "p50": percentile(times, 0.5), "p99": percentile(times, 0.99), "near_p99": percentile(near, 0.99),
            "overloaded": overloaded(world, visits)}


def truth(world, near_ms=40):
    """What a router could reach at most that knows every way and minds no load."""
    ways = sorted((world.best_ms(client), client.weight) for client in world.clients)
    near = [way for way in ways if way[0] <= near_ms]

    def quantile(ways, share):
        seen, whole = 0.0, sum(weight for _, weight in ways)
        for rtt, weight in ways:
            seen += weight
            if seen >= share * whole:
                return rtt
        return float("nan")
    return {"requests": "-", "failed": "-", "best": 1, "over": 0.0, "p50": quantile(ways, 0.5), "p99": quantile(ways, 0.99),
            "near_p99": quantile(near, 0.99), "overloaded": None}


def overloaded(world, visits):
    """Share of the requests that went to a PoP which got more than it can serve just then."""
    windows = defaultdict(int)
    for visit in visits:
        if visit.pop >= 0:
            windows[visit.pop, int(visit.at / WINDOW_S)] += visit.requests
    over = sum(count for (pop, _), count in windows.items() if count > WINDOW_S * world.pops[pop].capacity)
    return over / max(1, sum(windows.values()))


def share_over_time(visits, pop, began, step_s):
    """[(seconds since BEGAN, requests a second to POP)]"""
    counts = Counter()
    for visit in visits:
        counts[int((visit.at - began) / step_s)] += visit.requests * (visit.pop == pop)
    return [(step * step_s, counts[step] / step_s) for step in sorted(counts)]


def table(head, rows):
    """Lines of text, in columns; also a table in Markdown."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def policy_table(results):
    head = ["policy", "requests", "best PoP", "mean ms over the best", "p50 ms", "p99 ms", "p99 ms, PoP within 40 ms",
            "overloaded", "failed"]
    return table(head, [[name, f["requests"], f"{100 * f['best']:.1f} %", f"{f['over']:.1f}", f"{f['p50']:.1f}",
                         f"{f['p99']:.1f}", f"{f['near_p99']:.1f}",
                         "-" if f["overloaded"] is None else f"{100 * f['overloaded']:.2f} %", f["failed"]]
                        for name, f in results.items()])
