"""Trouble for the world: PoPs are killed, cut off, stopped, drained and upgraded at random while clients go on; and what
became of every request."""

import asyncio
import json
import random
import signal
import time
from collections import Counter

import report

GOAL = 0.9999
KINDS = ["kill", "cut", "stop", "drain", "upgrade", "upgrade"]


class Standstills:
    """When this whole machine stood still: this process, which only waits to be woken, was woken late by a second and more.
    Nobody of the world ran then, and what failed says nothing of it."""

    LATE_S = 1
    REACH_S = 10  # a request that began so long before may have had its time limits in it

    def __init__(self):
        self.spans = []

    async def watch(self):
        while True:
            due = time.monotonic() + 0.1
            await asyncio.sleep(0.1)
            if time.monotonic() - due > self.LATE_S:
                self.spans.append((due, time.monotonic()))

    def reached(self, visit):
        return any(began - self.REACH_S < visit.at < ended + self.LATE_S for began, ended in self.spans)

    def tell(self, visits):
        seconds = sum(ended - began for began, ended in self.spans)
        return (f"This machine stood still {len(self.spans)} times, {seconds:.0f} s in all: {sum(v.requests for v in visits)} "
                f"requests of those times are not counted, of which {sum(len(v.failures) for v in visits)} failed.")


class Trouble:
    def __init__(self, nodes, seed, first):
        self.nodes, self.dice = nodes, random.Random(f"{seed} trouble")
        self.events, self.complaints = [], []  # (seconds, kind, PoP)
        self.standstills = Standstills()
        self.most = max(1, len(nodes.edges) // 12)  # PoPs in trouble at a time

    async def make(self, seconds):
        self.began = time.monotonic()
        busy, under_way = set(), {asyncio.ensure_future(self.standstills.watch())}
        pause = max(1.5, min(6, seconds / 40))
        try:
            while True:
                await asyncio.sleep(self.dice.uniform(0.5, 1.5) * pause)
                free = [edge for edge in self.nodes.edges if edge.pop.index not in busy]
                if len(busy) >= self.most or time.monotonic() - self.began > seconds - 20:
                    continue
                edge, kind = self.dice.choice(free), self.dice.choice(KINDS)
                busy.add(edge.pop.index)
                self.events.append((time.monotonic(), kind, edge.pop))
                task = asyncio.ensure_future(getattr(self, kind)(edge))
                under_way.add(task)
                task.add_done_callback(lambda done, index=edge.pop.index: (busy.discard(index), under_way.discard(done),
                                                                           self.look_at(done)))
        finally:
            for task in under_way:
                task.cancel()

    def look_at(self, task):
        if not task.cancelled() and task.exception():
            self.complaints.append(f"trouble that could not be made: {task.exception()!r}")

    async def away(self):
        await asyncio.sleep(self.dice.uniform(4, 15))

    async def kill(self, edge):
        edge.signal(signal.SIGKILL)
        await self.away()
        edge.start()
        await asyncio.sleep(5)

    async def stop(self, edge):
        edge.signal(signal.SIGTERM)
        await self.away()
        edge.start()
        await asyncio.sleep(5)

    async def cut(self, edge):
        self.nodes.net.cut(edge.pop, True)
        try:
            await self.away()
        finally:
            self.nodes.net.cut(edge.pop, False)
        await asyncio.sleep(5)

    async def drain(self, edge):
        """As an operator does: no new clients, then it may be stopped."""
        await asyncio.to_thread(edge.ask, "POST", "/drain")
        await self.away()
        await asyncio.to_thread(edge.ask, "POST", "/undrain")

    async def upgrade(self, edge):
        old = edge.pid
        edge.signal(signal.SIGUSR2)
        for _ in range(100):
            await asyncio.sleep(0.2)
            try:
                told = json.loads(await asyncio.to_thread(edge.ask, "GET", "/health"))
            except (OSError, ValueError):
                continue
            if told["pid"] != old:
                edge.pid = told["pid"]
                return
        self.complaints.append(f"an upgrade of {edge.pop.name} did not come to its end")

    # --- what became of it

    def why(self, visit):
        """The trouble of the PoPs involved, in the seconds before."""
        near = [kind for at, kind, pop in self.events if pop.index in (visit.told, visit.pop) and -1 < visit.at - at < 30]
        return ", ".join(sorted(set(near))) or "none there"

    def tell(self, world, visits, counts):
        still = [visit for visit in visits if self.standstills.reached(visit)]
        visits = [visit for visit in visits if not self.standstills.reached(visit)]
        figures = report.figures(world, visits)
        good = 1 - figures["failed"] / max(1, figures["requests"])
        kinds = Counter(kind for _, kind, _ in self.events)
        lines = ["# Availability", "",
                 f"{figures['requests']} requests, {figures['failed']} failed: {100 * good:.4f} % succeeded; {figures['retried']} of "
                 "them by another address after the first failed amid the request.",
                 "Trouble: " + ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items())) + ".", ""]
        if self.standstills.spans:
            lines += [self.standstills.tell(still), ""]
        failures = Counter((text, self.why(visit)) for visit in visits for text in visit.failures)
        if failures:
            lines += [*report.table(["failures", "what clients saw", "trouble of that PoP"],
                                    [[count, *key] for key, count in failures.most_common()]), ""]
        if counts:
            lines += [*report.table(["times", "what clients got over"], [[count, text] for text, count in counts.most_common()]), ""]
        wrong = list(self.complaints)
        if good < GOAL:
            wrong.append(f"{100 * good:.4f} % of the requests succeeded, not {100 * GOAL} %")
        return lines, wrong
