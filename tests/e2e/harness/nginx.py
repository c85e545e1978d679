"""nginx from Debian as an origin: a tree of files with a lifetime, with no service, no root and no fixed place."""

import os
import shutil
import signal
import subprocess

from .client import fetch
from .ports import Reservation
from .process import Family
from .scale import wait_until

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {access_log};
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type application/octet-stream;
    types {{ text/html html; image/svg+xml svg; image/png png; text/css css; }}
    keepalive_requests 1000000;
    sendfile on;
    server {{
        listen {listen} reuseport;
        root {root};
        add_header Cache-Control "max-age={max_age}";
        {more}
    }}
}}
"""


def available():
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is not None


class Nginx:
    def __init__(self, directory, root, max_age=3600, more="", access_log=False):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.reservation = Reservation()
        self.address = self.reservation.address
        self.url = f"http://{self.reservation}"
        self.access_log = directory / "access.log"
        file = directory / "nginx.conf"
        user = "user root;\n" if os.getuid() == 0 else ""
        file.write_text(user + CONFIGURATION.format(
            directory=directory, root=root, listen=self.reservation, max_age=max_age, more=more,
            access_log=self.access_log if access_log else "off"))
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        self.family = Family()
        self.process = subprocess.Popen(
            [program, "-p", str(directory), "-c", str(file), "-e", str(directory / "error.log")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.family.environment())
        wait_until(self._answers, 10, "nginx to answer")

    def _answers(self):
        assert self.process.poll() is None, (self.directory / "error.log").read_text()
        try:
            return fetch(self.address, "/", timeout=1)
        except (OSError, AssertionError):
            return None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        self.family.kill()
        self.reservation.close()
