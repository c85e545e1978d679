"""The demonstration's site as curl and Chromium load it over each protocol: see dev/browse --help."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import chromium
import pages
import parts
import pictures

TOP = Path(__file__).resolve().parents[3]
HOST = "demo.skerry.test"
PICTURES = 24
HYBRID = "X25519MLKEM768"
# What each client is told, what the edge's log has to say then, and what Chromium calls it.
PROTOCOLS = [
    ("HTTP/1.1", ["--http1.1"], ["--disable-http2", "--disable-quic"], "http/1.1"),
    ("HTTP/2", ["--http2"], ["--disable-quic"], "h2"),
    ("HTTP/3", ["--http3-only"], ["--enable-quic", "--origin-to-force-quic-on={host}:{port}"], "h3"),
]


class Site:
    """The files, their origin, and an edge before it."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="skerry-browse-"))
        self.origin = self.edge = None
        self.seen = 0

    def start(self):
        root = self.directory / "site"
        root.mkdir()
        pages.make_site(TOP, root, pictures.draw_all(root, PICTURES))
        self.root = root
        self.certify()
        self.origin, origin_port = parts.start_origin(self.directory, root)
        self.port = parts.free_port()
        self.url = f"https://{HOST}:{self.port}"
        self.access_log = self.directory / "access.log"
        log = self.directory / "edge.log"
        file = self.directory / "edge.yaml"
        file.write_text(
            f"listen: https://127.0.0.1:{self.port}\nmemory: 64MiB\naccess_log: {{file: {self.access_log}}}\n"
            f"certificates: [{{cert: {self.directory}/leaf.pem, key: {self.directory}/leaf.key}}]\n"
            f"sites: [{{hosts: ['*'], origin: 'http://127.0.0.1:{origin_port}'}}]\n")
        with open(log, "wb") as out:
            program = TOP / "build" / os.environ.get("SKERRY_BUILD", "release") / "skerry"
            self.edge = parts.start([program, "edge", "-c", file], stdout=out, stderr=out)
        parts.wait_for_port(self.port, self.edge, log)

    def certify(self):
        """An authority of our own, and a certificate of it for the host."""
        (self.directory / "leaf.cnf").write_text(
            f"subjectAltName=DNS:{HOST}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
            "extendedKeyUsage=serverAuth\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for words in (
                ["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Demo CA"],
                ["req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={HOST}"],
                ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "20", "-out", "leaf.pem",
                 "-extfile", "leaf.cnf"]):
            subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)

    def stop(self):
        if self.edge:
            parts.end(self.edge)
        if self.origin:
            parts.end(self.origin, signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def logged(self, count):
        """The log's lines since the last call, once there are COUNT of them."""
        lines = []
        for _ in range(100):
            lines = self.access_log.read_text().splitlines()[self.seen:] if self.access_log.exists() else []
            if len(lines) >= count:
                break
            time.sleep(0.05)
        self.seen += len(lines)
        return [json.loads(line) for line in lines]

    def size(self, path):
        return (self.root / (path.lstrip("/") or "index.html")).stat().st_size


class Run:
    """One client's visit: what was asked of it, what it says, what the edge's log says."""

    def __init__(self, client, protocol, group):
        self.client, self.protocol, self.group = client, protocol, group
        self.says, self.requests, self.ms, self.wrong = "", 0, 0.0, []

    def compare(self, entries):
        """Every line of the log is of that protocol and group, and was answered."""
        if len(entries) < self.requests:
            self.wrong.append(f"the log has {len(entries)} of {self.requests} requests")
        self.logged = {(e["protocol"], e.get("tls_version", "none"), e.get("tls_group", "none")) for e in entries}
        for protocol, version, group in self.logged:
            if protocol != self.protocol or group.upper() != self.group or version != "TLSv1.3":
                self.wrong.append(f"the log says {protocol}, {version}, {group}")
        self.wrong += [f"{e['target']}: status {e['status']}" for e in entries if e["status"] != 200]

    def row(self):
        told = ", ".join(" ".join(each) for each in sorted(self.logged))
        return (f"| {self.client} | {self.protocol} | {self.says} | {told} | {self.requests} | {self.ms:.0f} | "
                f"{'; '.join(self.wrong) if self.wrong else 'right'} |")


def by_curl(site, protocol, arguments, group, name="curl"):
    """The page, its style and picture, and the pictures, on one connection; compared with the files."""
    run = Run(name, protocol, group)
    names = ["index.html", "style.css", "architecture.svg", *(f"skerry-{n:02}.png" for n in range(PICTURES))]
    out = site.directory / "out"
    out.mkdir()
    begin = time.monotonic()
    done = subprocess.run(
        ["curl", "-sS", *arguments, "--cacert", site.directory / "ca.pem", "--resolve", f"{HOST}:{site.port}:127.0.0.1",
         "--max-time", "30", "-w", "%{http_version} %{num_connects}\n", "--output-dir", out, "--remote-name-all",
         *(f"{site.url}/{each}" for each in names)], capture_output=True, text=True, timeout=60)
    run.ms, run.requests = (time.monotonic() - begin) * 1000, len(names)
    if done.returncode:
        run.wrong.append(done.stderr.strip())
    for each in names:
        if not (out / each).exists() or (out / each).read_bytes() != (site.root / each).read_bytes():
            run.wrong.append(f"{each} is not as the file")
    shutil.rmtree(out)
    run.says = ", ".join(sorted({f"HTTP/{line.split()[0]}" for line in done.stdout.splitlines()}))
    if run.says != {"HTTP/1.1": "HTTP/1.1", "HTTP/2": "HTTP/2", "HTTP/3": "HTTP/3"}[protocol]:
        run.wrong.append(f"curl says {run.says}")
    run.compare(site.logged(run.requests))
    return run


def look_at(run, page, received, failed, look, images, wanted):
    """One page as Chromium tells of it."""
    run.wrong += [f"{url}: {why}" for url, why in failed]
    run.wrong += [f"{url}: status {status}" for url, status, *_ in received if status != 200]
    if not look["styled"] or not look["title"]:
        run.wrong.append(f"{page} has no style or no title")
    if look["images"] != images or look["shown"] != images:
        run.wrong.append(f"{page} shows {look['shown']} of {look['images']} pictures, not {images}")
    for url, _, protocol, version, group in received:
        if protocol != wanted or group != run.group:
            run.wrong.append(f"Chromium says of {urlsplit(url).path}: {protocol}, {version}, {group}")


def by_chromium(site, home, protocol, arguments, wanted, screenshot):
    words = [word.format(host=HOST, port=site.port) for word in arguments]
    with chromium.Chromium(home, [f"--host-resolver-rules=MAP {HOST} 127.0.0.1", *words]) as browser:
        run = Run(re.sub(r"^(Headless)?Chrome/(\d+).*", r"Chromium \2", browser.version()), protocol, HYBRID)
        said = set()
        begin = time.monotonic()
        for page, images in (("pictures.html", PICTURES), ("", 1)):
            received, failed, look = browser.load(f"{site.url}/{page}")
            received = [each for each in received if not each[0].endswith("/favicon.ico")]  # there is none
            look_at(run, page or "index.html", received, failed, look, images, wanted)
            said |= {f"{each[2]}, {each[3]}, {each[4]}" for each in received}
            run.requests += len(received)
        run.ms = (time.monotonic() - begin) * 1000
        run.says = "; ".join(sorted(said))
        if screenshot:
            Path(screenshot).write_bytes(browser.screenshot())
    if run.requests < 2 + 2 + PICTURES + 1:
        run.wrong.append(f"only {run.requests} requests")
    run.compare([e for e in site.logged(run.requests) if e["target"] != "/favicon.ico"])
    return run


def visit(site, screenshot):
    home = site.directory / "home"
    chromium.trust(home, site.directory / "ca.pem")
    for protocol, arguments, _, _ in PROTOCOLS:
        yield by_curl(site, protocol, arguments, HYBRID)
    yield by_curl(site, "HTTP/2", ["--http2", "--curves", "X25519"], "X25519", "curl --curves X25519")
    for protocol, _, arguments, wanted in PROTOCOLS:
        yield by_chromium(site, home, protocol, arguments, wanted, screenshot if protocol == "HTTP/3" else None)


def main():
    parser = argparse.ArgumentParser(prog="dev/browse", description="The demonstration's site over each protocol.")
    parser.add_argument("--screenshot", metavar="FILE", help="the first page as Chromium shows it over HTTP/3, a PNG")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    site, wrong = Site(), 0
    try:
        site.start()
        print("| client | told to speak | what it says | what the edge's log says | requests | ms | |\n|---|---|---|---|---|---|---|")
        for run in visit(site, options.screenshot):
            print(run.row(), flush=True)
            wrong += len(run.wrong)
    except parts.Failed as failure:
        print(f"dev/browse: {failure}", file=sys.stderr)
        wrong += 1
    finally:
        site.stop()
    print("dev/browse: " + (f"{wrong} things are not as they should be" if wrong else "all as it should be"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
