"""The processes of the demonstration: origin, edge, load. Each is started in a session of its own, so that Ctrl-C
reaches only us, and ended by its id; should we die without a word, the kernel ends them."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
    uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
    types {{ text/html html; text/css css; image/svg+xml svg; image/png png; }}
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen {host}:{port};
        root {root};
        index index.html;
        add_header Cache-Control "max-age=3600";
    }}
}}
"""


class Failed(Exception):
    """Something could not be started, with a text for people."""


def _follow_us():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, **more):
    return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, start_new_session=True,
                            preexec_fn=_follow_us, **more)


def end(process, number=signal.SIGTERM, timeout=10):
    """Ends one process and returns its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def free_port(wanted=0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, log):
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise Failed(f"{process.args[0]} does not answer:\n{log.read_text() if log.exists() else ''}")


def start_origin(directory, root):
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    file, log = directory / "nginx.conf", directory / "error.log"
    file.write_text(NGINX.format(user=user, directory=directory, host="127.0.0.1", port=port, root=root))
    process = start(["nginx", "-p", directory, "-c", file, "-e", log], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_port(port, process, log)
    return process, port


def start_edge(program, directory, origin_port, port, memory):
    log = directory / "edge.log"
    admin = directory / "admin.sock"
    with open(log, "wb") as out:
        process = start([program, "edge", "--listen", f"127.0.0.1:{port}", "--origin", f"http://127.0.0.1:{origin_port}",
                         "--memory", memory, "--admin", f"unix:{admin}"], stdout=out, stderr=out)
    wait_for_port(port, process, log)
    return process, admin, log


class LoadClient:
    """The load, and what it tells each second."""

    def __init__(self, program, port, targets, connections, rate, host=None):
        self.process = start([program, *([f"--host={host}"] if host else []), f"--connections={connections}", f"--rate={rate}", f"--file={targets}", "--zipf=0.9",
                              "--interval=1000", "127.0.0.1", port], stdout=subprocess.PIPE, text=True)
        self.lines, self.total = [], None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            entry = json.loads(line)
            if entry["kind"] == "total":
                self.total = entry
            else:
                self.lines.append(entry)

    def stop(self):
        end(self.process)
        self.thread.join(5)
        return self.total


def admin_get(path, target):
    """The body of one GET over the admin socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    return data.partition(b"\r\n\r\n")[2].decode()


def metrics(path):
    """{'name{labels}': value} of the edge."""
    values = {}
    for line in admin_get(path, "/metrics").splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values
