"""A fleet is hurt at random while clients ask, purges are made and configurations change; then its history is judged.

No edge that has acknowledged a purge may serve an older body; every purge that control acknowledged is in force, or what it
meant is asked about, at every edge that lives, within the silence that is allowed; no edge goes back to an older
configuration; clients see no error. In the manner of Jepsen: faults are kills, stops, cut and held links, steps of wall
clocks, and a failover that loses the tail of the stream and steps its ids back."""

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP / "tests/e2e"), str(Path(__file__).resolve().parent)]

from harness.origin import Origin  # noqa: E402
from harness.scale import seconds  # noqa: E402
from history import AFTER_STOP_S, HOST, KEYS, History  # noqa: E402
from world import World, ask_control, number_of  # noqa: E402


HEAL_S = 60  # for a purge to be everywhere again after the last fault, and as long for a configuration


class Run:
    def __init__(self, options, directory):
        self.options, self.rng = options, random.Random(options.seed)
        self.history = History(options.edges, options.seed)
        self.origin = Origin()
        self.origin.default = self.history.answer
        self.origin.start()
        self.world = World(directory, options.edges, self.origin)
        self.down, self.lives = [False] * options.edges, [0] * options.edges
        self.stopping = threading.Event()
        self.threads, self.healing, self.busy, self.faults = [], [], set(), {}
        self.begun = time.monotonic()
        self.latest_s = self.healed_s = 0.0

    def log(self, text):
        if self.options.verbose:
            print(f"{time.monotonic():.3f} {text}", flush=True)

    # --- what goes on meanwhile

    def client(self, i):
        rng, connection, life = random.Random(self.options.seed * 100 + i), None, -1
        while not self.stopping.is_set():
            if self.down[i]:
                time.sleep(0.02)
                continue
            if life != self.lives[i] or connection is None:
                life, connection = self.lives[i], http.client.HTTPConnection(*self.world.edges[i].address, timeout=30)
            key = rng.choice(KEYS)
            required, begun = self.history.required(i, key), time.monotonic()
            try:
                connection.request("GET", key, headers={"Host": HOST})
                answer = connection.getresponse()
                self.history.judge(i, key, required, answer.status, answer.read())
            except (OSError, http.client.HTTPException) as error:
                # One that stands still answers late; on a busy machine it may be a while until it is woken.
                late = isinstance(error, TimeoutError) and self.history.excused[i] > begun
                if not late and not self.down[i] and life == self.lives[i]:
                    self.history.complain(f"e{i}: a request for {key} failed: {error!r}")
                connection = None
            time.sleep(1 / self.options.rate)

    def purger(self):
        while not self.stopping.is_set():
            wish, versions = self.history.change()
            status, answer = ask_control(self.world.control, "POST", "/purge", wish)
            if status == 200:
                self.history.acknowledge((answer["epoch"], answer["sequence"]), versions)
            time.sleep(0.05)

    def waiter(self):
        while not self.stopping.is_set():
            wish, versions = self.history.change()
            status, answer = ask_control(self.world.control, "POST", "/purge?wait_ms=8000", wish)
            if status == 200:
                self.history.acknowledge((answer["epoch"], answer["sequence"]), versions)
                if not answer["behind"]:
                    self.history.wait_ended(versions)
            time.sleep(0.3)

    def watcher(self):
        while not self.stopping.is_set():
            for i, position in self.world.positions().items():
                self.history.tell_position(i, position)
            time.sleep(0.02)

    def numbers(self):
        while not self.stopping.is_set():
            for i, edge in enumerate(self.world.edges):
                life, number = self.lives[i], None if self.down[i] else number_of(edge)
                if number is not None and life == self.lives[i]:
                    self.history.tell_number(i, number)
            time.sleep(0.3)

    def pacer(self):
        """How late somebody is who wants to run each fiftieth second: on a machine that gives no time, nothing is prompt."""
        while not self.stopping.is_set():
            due = time.monotonic() + 0.02
            time.sleep(0.02)
            self.latest_s = max(self.latest_s, time.monotonic() - due)

    def look_whether_all_run(self):
        """Who ended by itself says so in its log, which is kept."""
        for i, edge in enumerate(self.world.edges):
            if not self.down[i] and edge.process.poll() is not None:
                self.history.complain(f"e{i} has ended by itself")
        if "control" not in self.busy and self.world.control.process.poll() is not None:
            self.history.complain(f"control has ended by itself: {self.world.control.process.returncode}")
        if "valkey" not in self.busy and self.world.primary.process.poll() is not None:
            self.history.complain("Valkey has ended by itself")

    # --- faults: each returns how it is healed, and what it holds meanwhile

    def kill_edge(self):
        i = self.rng.randrange(self.options.edges)
        if not self.take(f"e{i}"):
            return None
        self.down[i] = True
        self.world.kill_edge(i)

        def heal():
            self.lives[i] += 1
            self.world.start_edge(i)
            self.down[i] = False
        return heal

    def stop_edge(self):
        i = self.rng.randrange(self.options.edges)
        if not self.take(f"e{i}"):
            return None
        self.history.excused[i] = float("inf")
        self.world.signal_edge(i, signal.SIGSTOP)

        def heal():
            self.world.signal_edge(i, signal.SIGCONT)
            self.history.excused[i] = time.monotonic() + AFTER_STOP_S
        return heal

    def step_clock(self):
        i = self.rng.randrange(self.options.edges)
        if not self.take(f"clock {i}"):
            return None
        self.world.clocks[i].step(self.rng.choice([-7200, -400, -5, 5, 400, 7200]))
        return lambda: self.world.clocks[i].step(0)

    def link(self, link, name, state):
        if not self.take(name):
            return None
        link.set(state)
        return lambda: link.set("open")

    def cut_bus(self):
        i = self.rng.randrange(self.options.edges)
        return self.link(self.world.bus[i], f"bus {i}", "cut")

    def hold_bus(self):
        i = self.rng.randrange(self.options.edges)
        return self.link(self.world.bus[i], f"bus {i}", "held")

    def cut_control(self):
        return self.link(self.world.control_bus, "control's bus", self.rng.choice(["cut", "held"]))

    def kill_control(self):
        if not self.take("control"):
            return None
        self.world.control.kill()
        return self.world.control.launch  # it waits for Valkey, which may be stopped itself

    def stop_control(self):
        if not self.take("control"):
            return None
        pid = self.world.control.process.pid
        os.kill(pid, signal.SIGSTOP)
        return lambda: os.kill(pid, signal.SIGCONT)

    def stop_valkey(self):
        if not self.take("valkey"):
            return None
        server = self.world.primary
        server.process.send_signal(signal.SIGSTOP)
        return lambda: server.process.send_signal(signal.SIGCONT)

    def fail_over(self):
        if not self.world.replica.in_step() or not self.take("valkey"):
            return None
        deaf = [i for i in range(self.options.edges) if self.rng.random() < 0.5 and f"bus {i}" not in self.busy]
        self.world.fail_over(self.rng.random() < 0.5, self.rng.uniform(0.1, 2), deaf)
        return lambda: None

    def replay(self):
        """Somebody who can write to Valkey sends an old entry again."""
        entries = self.world.primary.try_ask("XRANGE", "skerry:purges", "-", "+", "COUNT", "1000") or []
        if entries:
            _, fields = self.rng.choice(entries)
            self.world.primary.try_ask("XADD", "skerry:purges", "*", *fields)
        return lambda: None

    def configure(self):
        self.world.apply()
        return lambda: None

    def take(self, what):
        if what in self.busy:
            return False
        self.busy.add(what)
        self.taken = what
        return True

    # --- the run

    def hurt_once(self):
        kinds = [self.kill_edge, self.stop_edge, self.step_clock, self.cut_bus, self.hold_bus, self.cut_control,
                 self.kill_control, self.stop_control, self.stop_valkey, self.fail_over, self.replay, self.configure]
        kind = self.rng.choice(kinds)
        self.taken = None
        heal = kind()
        if heal is None:
            return
        self.faults[kind.__name__] = self.faults.get(kind.__name__, 0) + 1
        self.log(f"{kind.__name__} {self.taken or ''}")
        self.healing.append((time.monotonic() + self.rng.choice([0.2, 0.5, 1, 2, 4, 7]), heal, self.taken))

    def heal_due(self, now):
        for one in [one for one in self.healing if one[0] <= now]:
            self.healing.remove(one)
            self.log(f"healed: {one[2]}")
            one[1]()
            self.busy.discard(one[2])

    def begin(self):
        stories = [self.purger, self.waiter, self.watcher, self.numbers, self.pacer]
        self.threads = [threading.Thread(target=story) for story in stories]
        self.threads += [threading.Thread(target=self.client, args=(i,)) for i in range(self.options.edges)]
        for thread in self.threads:
            thread.start()

    def hurt(self):
        end = self.begun + self.options.minutes * 60
        while (now := time.monotonic()) < end and not self.history.wrong:
            self.heal_due(now)
            if len(self.healing) < 4:
                self.hurt_once()
            self.look_whether_all_run()
            self.origin.forget()
            time.sleep(self.rng.uniform(0.1, 1.2))
        self.heal_due(float("inf"))

    def settle(self):
        """Healed, all have all: the last purge, the last configuration, and nothing older than any purge."""
        history, healed, answer, number = self.history, time.monotonic(), None, None
        end = healed + seconds(HEAL_S)
        while time.monotonic() < end and not (answer and answer["living"] == self.options.edges and not answer["behind"]):
            _, answer = ask_control(self.world.control, "POST", "/purge?wait_ms=5000", {"tag": "none"})
        if not answer or answer["behind"] or answer["living"] != self.options.edges:
            history.complain(f"healed, the last purge is not everywhere: {answer}")
        self.healed_s = time.monotonic() - healed
        self.look_whether_all_run()
        end = time.monotonic() + seconds(HEAL_S)
        while number is None and time.monotonic() < end:
            number = self.world.apply()
        while time.monotonic() < end and any(number_of(edge) != number for edge in self.world.edges):
            time.sleep(0.2)
        have = [number_of(edge) for edge in self.world.edges]
        if any(each != number for each in have):
            history.complain(f"healed, configuration {number} is not everywhere: {have}")
        for i, edge in enumerate(self.world.edges):
            if edge.fetch("/a/1", host=f"s{self.world.applied_configurations}.example").status != 200:
                history.complain(f"healed, e{i} has another configuration {number} than the one of that number")
            for key in KEYS:
                body = edge.fetch(key, host=HOST).body
                if int(body) < history.everywhere[key]:
                    history.complain(f"healed, e{i} serves {key} version {body} instead of {history.everywhere[key]}")

    def end(self):
        self.stopping.set()
        self.heal_due(float("inf"))
        for thread in self.threads:
            thread.join(40)
        with contextlib.suppress(AssertionError, OSError) if self.history.wrong else contextlib.nullcontext():
            self.world.stop()
        self.origin.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=None, help="another one each time, unless said; it is told")
    parser.add_argument("--edges", type=int, default=3)
    parser.add_argument("--rate", type=float, default=30, help="requests a second at each edge (default 30)")
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs")
    parser.add_argument("--verbose", action="store_true", help="tell each fault")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(3), "big")
    print(f"seed {options.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="skerry-fault-"))
    run = Run(options, directory)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        run.begin()
        run.hurt()
        run.log("all healed")
        run.settle()
    except BaseException:
        run.history.complain("the run itself ended")
        raise
    finally:
        run.end()
        if not (options.keep or run.history.wrong):
            shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps({"seed": options.seed, "seconds": round(time.monotonic() - run.begun), **run.history.counts,
                      "faults": run.faults, "healed_s": round(run.healed_s, 1), "latest_s": round(run.latest_s, 2),
                      "wrong": len(run.history.wrong)}))
    for line in run.history.wrong[:20]:
        print(line)
    if run.history.wrong:
        print(f"logs are left in {directory}")
    return 1 if run.history.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
