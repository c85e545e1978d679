"""What happens to the world, one thing after the other, and what is told of it at the end."""

import asyncio
import sys
import time

import report
from availability import Trouble
from nodes import WEIGHTS_OF_GEOGRAPHY
from traffic import REQUESTS_OF_A_VISIT, Traffic

REPORTS = {"interval": "2s"}
SHED_S = 40  # after which shedding has found its measure
SURGE = 1.8  # of its capacity is what clients want of the loaded PoP


class Run:
    def __init__(self, world, nodes, options):
        self.world, self.nodes, self.options = world, nodes, options
        self.ttl_s = 5 if options.minutes < 8 else 10
        self.traffic = Traffic(world, options.rate, options.seed)
        self.phase, self.began = "", time.monotonic()
        self.lines, self.wrong = [], []
        self.plain, self.loaded = {}, {}
        self.visits = []  # of all phases

    # --- time

    async def during(self, phase, seconds):
        """The visits that ended meanwhile."""
        self.phase, first = phase, len(self.traffic.visits)
        await asyncio.sleep(seconds)
        return self.traffic.visits[first:]

    async def watch(self):
        """Lines for people while it runs; on a terminal they stay in place."""
        rows = 0
        while True:
            await asyncio.sleep(2)
            recent = [visit for visit in self.traffic.visits[-5000:] if visit.at > time.monotonic() - 5]
            now = report.figures(self.world, recent)
            loads = sorted(((sum(v.requests for v in recent if v.pop == pop.index) / 5 / pop.capacity, pop.name)
                            for pop in self.world.pops), reverse=True)[:6]
            lines = [f"{time.monotonic() - self.began:6.0f} s  {self.phase:<32} {now['requests'] / 5:5.0f} requests/s",
                     f"          best PoP {100 * now['best']:5.1f} %   p50 {now['p50']:6.1f} ms   p99 {now['p99']:6.1f} ms   "
                     f"retried {now['retried']}   failed {now['failed']}",
                     "          busiest: " + "  ".join(f"{name} {load:.2f}" for load, name in loads)]
            if not sys.stdout.isatty():
                lines = [" ".join(" ".join(lines[:2]).split())]
            elif rows:
                print(f"\033[{rows}A", end="")
            rows = len(lines)
            for line in lines:
                print(f"\033[K{line}" if sys.stdout.isatty() else line, flush=True)

    # --- policies

    def surge_pop(self):
        """The one that most networks are best served by: a network is sent elsewhere as a whole, so that a PoP of few could
        not shed a part."""
        nearest = [client.rtt_ms.index(min(client.rtt_ms)) for client in self.world.clients]
        return max(self.world.pops, key=lambda pop: (nearest.count(pop.index), pop.capacity))

    def surge(self, pop):
        crowd = [client for client in self.world.clients if client.rtt_ms[pop.index] == min(client.rtt_ms)]
        usual = sum(self.options.rate * client.weight for client in crowd)
        self.traffic.surge = {client.index: SURGE * pop.capacity / usual for client in crowd}

    async def policy(self, name, routers, plain_s, loaded_s, learn_s=0):
        """LEARN_S: a time at the beginning that is told by itself."""
        self.traffic.use(routers)
        if learn_s:
            learning = await self.during(f"{name}: learning", learn_s)
            self.plain[f"{name}, its first {learn_s:.0f} s"] = report.figures(self.world, learning)
        else:
            await self.during(f"{name}: settling", self.ttl_s + 2)
        self.plain[name] = report.figures(self.world, await self.during(name, plain_s))
        self.surge(self.surge_pop())
        began = time.monotonic()
        visits = await self.during(f"{name}: one PoP loaded", loaded_s)
        self.traffic.surge = {}
        self.loaded[name] = report.figures(self.world, visits)
        return visits, began

    async def policies(self, seconds):
        ttl, start = self.ttl_s, self.nodes.start_router
        unit = seconds / 100
        geo = start("geography", ttl, weights=WEIGHTS_OF_GEOGRAPHY)
        await self.policy("geography only", [geo], 5 * unit, 10 * unit)
        seed = start("seed", ttl, reports={**REPORTS, "round_trips": False})
        await self.policy("seed weights", [seed], 5 * unit, 10 * unit)
        self.full = [start(f"full-{i}", ttl, reports=REPORTS) for i in (1, 2)]
        self.nodes.stop_router("geography")
        self.nodes.stop_router("seed")
        visits, began = await self.policy("full decision", self.full, 12 * unit, 15 * unit, learn_s=28 * unit)
        self.loaded[f"full decision, from {SHED_S} s on"] = report.figures(
            self.world, [visit for visit in visits if visit.at > began + SHED_S])
        self.tell_shedding(visits, began, 15 * unit)
        await self.during("after the load", 5 * unit)
        await self.kill(10 * unit)

    def tell_shedding(self, visits, began, seconds):
        pop = self.surge_pop()
        step = max(2, seconds / 12)
        rows = [[f"{at:.0f}", f"{rate:.0f}", f"{rate / pop.capacity:.2f}"]
                for at, rate in report.share_over_time(visits, pop.index, began, step) if 0 <= at <= seconds - step]
        self.shedding = [f"{pop.name}: its clients want {SURGE:.1f} times its capacity of {pop.capacity} requests a second.", "",
                         *report.table(["seconds", "requests/s served there", "of its capacity"], rows)]

    async def kill(self, seconds):
        """The busiest edge, by SIGKILL; it comes back afterwards."""
        recent = self.traffic.visits[-3000:]
        pop = max(self.world.pops, key=lambda pop: sum(visit.pop == pop.index for visit in recent))
        clients = {visit.client for visit in recent if visit.told == pop.index}
        edge, began = self.nodes.edges[pop.index], time.monotonic()
        edge.process.kill()
        visits = await self.during(f"{pop.name} was killed", max(seconds, 20))
        later = [visit for visit in visits if visit.told == pop.index and visit.at > began]
        self.last_moved_s = max((visit.at - began for visit in later), default=0)
        figures = report.figures(self.world, visits)
        self.killed = (f"{pop.name}, the busiest PoP ({len(clients)} networks), was killed: the last client that was told to go "
                       f"there began {self.last_moved_s:.1f} s later (answers live {self.ttl_s} s). Of {figures['requests']} "
                       f"requests of all clients meanwhile {figures['retried']} were answered by another address after the first "
                       f"failed amid it, {figures['failed']} failed.")
        edge.start()

    # --- all of it

    async def run(self):
        seconds = 60 * self.options.minutes
        self.traffic.use([])
        shares = {None: (0.6, 0.4), "policies": (1, 0), "availability": (0, 1)}[self.options.only]
        self.lines += [f"{len(self.world.pops)} PoPs, {len(self.world.clients)} networks of clients, "
                       f"{self.options.rate:.0f} requests a second in visits of {REQUESTS_OF_A_VISIT} over one connection, seed "
                       f"{self.options.seed}, {self.options.minutes:g} minutes.", ""]
        watching = None
        try:
            if shares[0]:
                first = self.nodes.start_router("begin", self.ttl_s, weights=WEIGHTS_OF_GEOGRAPHY)
                self.traffic.use([first])
                self.traffic.start()
                watching = asyncio.ensure_future(self.watch())
                await self.during("caches become warm", min(20, seconds / 20))
                await self.policies(seconds * shares[0] * 0.95)
                self.tell_policies()
            if shares[1]:
                if not shares[0]:
                    self.full = [self.nodes.start_router(f"full-{i}", self.ttl_s, reports=REPORTS) for i in (1, 2)]
                    self.traffic.use(self.full)
                    self.traffic.start()
                    watching = asyncio.ensure_future(self.watch())
                await self.during("before trouble", 8)
                await self.availability(seconds * shares[1])
        finally:
            if watching:
                watching.cancel()
            await self.traffic.stop()
        return "\n".join(self.lines), self.wrong

    def tell_policies(self):
        geo, full = self.plain["geography only"], self.plain["full decision"]
        plain = {**self.plain, "(who knows every way)": report.truth(self.world)}
        self.lines += ["# Where clients go", "", *report.policy_table(plain), "", "# With one PoP loaded", "",
                       *report.policy_table(self.loaded), "", *self.shedding, "", "# One PoP killed", "", self.killed, ""]
        if full["p99"] >= geo["p99"]:
            self.wrong.append(f"p99 of the full decision ({full['p99']:.1f} ms) is not below geography's ({geo['p99']:.1f} ms)")
        if full["best"] <= geo["best"]:
            self.wrong.append(f"the full decision sends {100 * full['best']:.1f} % to the best PoP, geography {100 * geo['best']:.1f} %")
        if full["near_p99"] >= 50:
            self.wrong.append(f"p99 of clients with a PoP within 40 ms is {full['near_p99']:.1f} ms, not below 50 ms")
        over = [results["overloaded"] for results in (self.loaded["geography only"], self.loaded["full decision"])]
        if over[1] >= over[0]:
            self.wrong.append(f"overloaded share of the full decision {over[1]:.3f}, of geography {over[0]:.3f}")

    async def availability(self, seconds):
        trouble = Trouble(self.nodes, self.options.seed, len(self.traffic.visits))
        task = asyncio.ensure_future(trouble.make(seconds))
        visits = await self.during("kills, drains and upgrades", seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        lines, wrong = trouble.tell(self.world, visits, self.traffic.counts)
        self.lines += lines
        self.wrong += wrong


async def run_all(world, nodes, options):
    return await Run(world, nodes, options).run()
