"""dev/scan: testssl.sh against a listener with default settings; fails when it finds anything above LOW. The certificate
is made here, by an authority that the scanner is told of, and has what public authorities put into theirs; the headers
that tell browsers what a site allows are the origin's, and this one sends them."""

import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
BAD = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
ENOUGH = 100  # findings that a whole scan has; fewer: it was cut short


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Strict-Transport-Security", "max-age=31536000")
        self.send_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder):
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "300", "-subj", "/CN=Scan CA")
    openssl(folder, "req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
    (folder / "leaf.cnf").write_text(
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
        "extendedKeyUsage=serverAuth\ncrlDistributionPoints=URI:http://crl.scan.test/ca.crl\n")
    openssl(folder, "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "80", "-out",
            "leaf.pem", "-extfile", "leaf.cnf")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(folder, origin_port):
    port = free_port()
    (folder / "edge.yaml").write_text(
        f"listen: https://127.0.0.1:{port}\nadmin: unix:{folder}/admin.sock\nmemory: 64MiB\n"
        f"certificates: [{{cert: {folder}/leaf.pem, key: {folder}/leaf.key}}]\n"
        f"sites: [{{hosts: ['*'], origin: 'http://127.0.0.1:{origin_port}'}}]\n")
    binary = os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    log = open(folder / "edge.log", "wb")
    edge = subprocess.Popen([binary, "edge", "-c", str(folder / "edge.yaml")], stdout=log, stderr=log)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return edge, port
        except OSError:
            time.sleep(0.05)
    raise RuntimeError((folder / "edge.log").read_text())


def scan(folder, port):
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if not program:
        sys.exit("testssl.sh is not there: run dev/scan, which installs it")
    report = folder / "report.json"
    subprocess.run([program, "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--add-ca",
                    str(folder / "ca.pem"), "--jsonfile", str(report), f"localhost:{port}"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder, timeout=1200)
    return json.loads(report.read_text())


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skerry-scan-"))
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    edge = None
    try:
        certificate(folder)
        edge, port = start(folder, origin.server_port)
        findings = scan(folder, port)
    finally:
        if edge:
            edge.terminate()
            edge.wait(30)
        origin.shutdown()
        shutil.rmtree(folder)
    counts = {}
    for finding in findings:
        counts[finding["severity"]] = counts.get(finding["severity"], 0) + 1
    bad = [f for f in findings if f["severity"] in BAD]
    for finding in findings:
        if finding["severity"] in (*BAD, "LOW", "WARN") or finding["id"].startswith(("overall_grade", "FS_KEMs")):
            print(f"{finding['severity']:8} {finding['id']}: {finding['finding']}")
    print("scan: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    if len(findings) < ENOUGH:
        sys.exit(f"scan: only {len(findings)} findings: it did not go through")
    sys.exit(f"scan: {len(bad)} above LOW" if bad else 0)


if __name__ == "__main__":
    main()
