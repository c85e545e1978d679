"""One headless Chromium with a profile of its own, driven by the DevTools protocol over a pair of pipes: it loads pages and
tells what it saw. It believes the authority that its profile's certificate store holds, and nobody else."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

import parts

PROGRAM = "chromium"
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
             "--no-proxy-server", "--window-size=1200,1400", "--remote-debugging-pipe"]
# What a page looks like to who reads it.
LOOK = """({title: document.title, styled: getComputedStyle(document.querySelector('nav')).borderBottomWidth != '0px',
images: [...document.images].length, shown: [...document.images].filter(i => i.complete && i.naturalWidth).length})"""


def trust(home, certificate):
    """A certificate store in HOME with one authority."""
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "demo", "-i", certificate]):
        subprocess.run(["certutil", *words, "-d", f"sql:{store}"], check=True, capture_output=True, timeout=60)


class Chromium:
    """`with Chromium(home, arguments) as browser`: HOME was made by trust()."""

    def __init__(self, home, arguments):
        self.home, self.number, self.data, self.events = home, 0, b"", []
        profile = home / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        # The browser reads its commands at descriptor 3 and answers at 4, so ours are kept out of their way.
        theirs_in, self.out = self._pipe()
        self.into, theirs_out = self._pipe()
        with open(home / "chromium.log", "ab") as log:
            self.process = parts.start(
                ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-', "bash", PROGRAM,
                 *ARGUMENTS, f"--user-data-dir={profile}", *arguments], stdout=log, stderr=log,
                pass_fds=(theirs_in, theirs_out), env={**os.environ, "HOME": str(home)})
        os.close(theirs_in)
        os.close(theirs_out)

    @staticmethod
    def _pipe():
        ends = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
        for end in ends:
            os.close(end)
        return high

    def __enter__(self):
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for name in ("Page", "Network", "Runtime"):
                self.ask(f"{name}.enable")
            self.ask("Network.setCacheDisabled", cacheDisabled=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._send("Browser.close", {}, None)
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its session: also what it left behind
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.into)
        os.close(self.out)

    # --- messages

    def _send(self, method, words, session):
        self.number += 1
        message = {"id": self.number, "method": method, "params": words, **({"sessionId": session} if session else {})}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        return self.number

    def _receive(self, until):
        while b"\0" not in self.data:
            if not select.select([self.into], [], [], max(0, until - time.monotonic()))[0]:
                raise parts.Failed("Chromium says nothing")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                log = (self.home / "chromium.log").read_text(errors="replace")
                raise parts.Failed(f"Chromium has ended:\n{log[-2000:]}")
            self.data += piece
        message, _, self.data = self.data.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, seconds=60, **words):
        number, until = self._send(method, words, session), time.monotonic() + seconds
        while True:
            message = self._receive(until)
            if message.get("id") == number:
                if "error" in message:
                    raise parts.Failed(f"Chromium on {method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def ask(self, method, **words):
        return self.call(method, self.session, **words)

    # --- pages

    def load(self, url, seconds=60):
        """What was received for the page and its parts, [(URL, status, protocol, version of TLS, group)], failures
        [(URL, why)], and how the page looks."""
        self.events.clear()
        answer, until = self.ask("Page.navigate", url=url), time.monotonic() + seconds
        if "errorText" in answer:
            raise parts.Failed(f"Chromium on {url}: {answer['errorText']}")
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive(until))
        look = self.ask("Runtime.evaluate", expression=LOOK, returnByValue=True)["result"]["value"]
        urls, received, failed = {}, [], []
        for event in self.events:
            words = event.get("params", {})
            match event.get("method"):
                case "Network.requestWillBeSent":
                    urls[words["requestId"]] = words["request"]["url"]
                case "Network.responseReceived":
                    response = words["response"]
                    details = response.get("securityDetails", {})
                    received.append((response["url"], response["status"], response.get("protocol"),
                                     details.get("protocol"), details.get("keyExchangeGroup")))
                case "Network.loadingFailed":
                    failed.append((urls.get(words["requestId"]), words["errorText"]))
        return received, failed, look

    def screenshot(self):
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def version(self):
        return self.call("Browser.getVersion")["product"]
