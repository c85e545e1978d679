"""The servers that are compared over TLS, each with the same ECDSA P-256 certificate and one thread on the same core.
A job is (port, origin_port, folder, groups); groups are OpenSSL's names, in order of preference."""

import os
import subprocess

from lib.peers import started, write
from lib.processes import TOP, micro, which

HYBRID = "X25519MLKEM768:X25519"


def certificate(folder):
    """Paths of a certificate for bench.test and its key, made on first use."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=bench.test", "-addext",
                        "subjectAltName=DNS:bench.test,IP:127.0.0.1"], check=True, capture_output=True)
        (folder / "both.pem").write_text(cert.read_text() + key.read_text())
        for path in (cert, key, folder / "both.pem"):
            os.chmod(path, 0o644)
    return cert, key


def skerry(port, origin_port, folder, groups=HYBRID, pq=None):
    cert, key = certificate(folder)
    home = folder / f"skerry-{port}"
    home.mkdir()
    pq = pq or ("prefer" if "MLKEM" in groups else "off")
    config = write(home / "edge.yaml", f"""
listeners:
  - {{address: "127.0.0.1:{port}", pq: {pq}}}
certificates:
  - {{cert: {cert}, key: {key}}}
memory: 1GiB
threads: 1
admin: unix:{home}/admin.sock
limits: {{connections: 100000, connections_per_client: 0}}
timeouts: {{keep_alive: 1h, header: 1h}}
sites:
  - hosts: ["*"]
    origin: http://127.0.0.1:{origin_port}
""")
    binary = os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    return started([binary, "edge", "-c", config], port, home, "skerry")


def skerry_plain(port, origin_port, folder, groups=HYBRID):
    config = write(folder / f"plain-{port}.yaml", f"""
listen: 127.0.0.1:{port}
memory: 1GiB
threads: 1
admin: unix:{folder}/admin-{port}.sock
limits: {{connections: 100000, connections_per_client: 0}}
timeouts: {{keep_alive: 1h, header: 1h}}
sites:
  - hosts: ["*"]
    origin: http://127.0.0.1:{origin_port}
""")
    binary = os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    return started([binary, "edge", "-c", config], port, folder, f"plain-{port}")


def nginx(port, origin_port, folder, groups=HYBRID, quic=False):
    cert, key = certificate(folder)
    home = folder / f"nginx-{port}"
    (home / "cache").mkdir(parents=True)
    os.chmod(home, 0o777)
    listen_quic = f"listen 127.0.0.1:{port} quic reuseport; http3 on; quic_gso on;" if quic else ""
    config = write(home / "nginx.conf", f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; user root;
worker_rlimit_nofile 20000;
events {{ worker_connections 60000; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
  keepalive_timeout 3600s; client_header_timeout 3600s;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  proxy_cache_path {home}/cache levels=1:2 keys_zone=c:64m max_size=1024m inactive=1d use_temp_path=off;
  upstream o {{ server 127.0.0.1:{origin_port}; keepalive 64; }}
  ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ecdh_curve {groups}; ssl_session_tickets on; ssl_session_cache none; http2 on;
  server {{ listen 127.0.0.1:{port} ssl reuseport backlog=4096; {listen_quic}
    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache c; proxy_cache_lock on; add_header X-Cache $upstream_cache_status; }} }}
}}""")
    return started([which("nginx"), "-p", str(home), "-c", config], port, home, "nginx")


def haproxy(port, origin_port, folder, groups=HYBRID):
    certificate(folder)
    home = folder / f"haproxy-{port}"
    home.mkdir()
    config = write(home / "haproxy.cfg", f"""
global
  nbthread 1
  maxconn 9900
  tune.ssl.cachesize 0
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 60s
  timeout http-keep-alive 3600s
cache c
  total-max-size 1024
  max-object-size 1000000
  max-age 3600
frontend f
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem curves {groups} alpn h2,http/1.1 backlog 4096
  filter cache c
  http-request cache-use c
  http-response cache-store c
  default_backend b
backend b
  server s 127.0.0.1:{origin_port}
""")
    return started([which("haproxy"), "-db", "-f", config], port, home, "haproxy")


def clients(*arguments, core="1", **more):
    """The own TLS clients (bench/micro/tls_clients.c), as a process to talk to."""
    return subprocess.Popen(["taskset", "-c", core, micro("tls_clients"), *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, **more)


def nginx_h3(port, origin_port, folder, groups=HYBRID):
    return nginx(port, origin_port, folder, groups, quic=True)


def caddy(port, origin_port, folder, groups=HYBRID):
    """Has no cache: it serves the origin's files themselves, which are in memory."""
    cert, key = certificate(folder)
    home = folder / f"caddy-{port}"
    home.mkdir()
    config = write(home / "Caddyfile", f"""{{
  admin off
  auto_https off
  default_bind 127.0.0.1
  storage file_system {home}/storage
}}
https://bench.test:{port} {{
  tls {cert} {key}
  root * {folder}/origin/www
  file_server
}}
""")
    return started([which("env"), "GOMAXPROCS=1", f"HOME={home}", f"XDG_CONFIG_HOME={home}", f"XDG_DATA_HOME={home}",
                    which("caddy"), "run", "--config", config, "--adapter", "caddyfile"], port, home, "caddy")


def h3_clients(*arguments, core="1"):
    """The own HTTP/3 clients (bench/micro/h3_clients.c), as a process to talk to."""
    return subprocess.Popen(["taskset", "-c", core, micro("h3_clients"), *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
