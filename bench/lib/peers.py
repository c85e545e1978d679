"""The servers that are compared: each is one function that writes its configuration for a job and starts it.

All get one worker thread on the same core, no access log, and memory for the whole working set; otherwise what
their documentation recommends for speed. A job is (port, origin_port, folder, memory_mib)."""

import os
import pathlib
import subprocess

from lib.processes import Running, wait_for_port, which

TOP = pathlib.Path(__file__).resolve().parents[2]


def write(path, text):
    path.write_text(text)
    return str(path)


def started(argv, port, folder, name):
    running = Running(argv, log=str(folder / f"{name}.log"))
    try:
        wait_for_port(port, running)
    except Exception:
        running.stop()
        print((folder / f"{name}.log").read_text()[-2000:])
        raise
    return running


def floor(port, origin_port, folder, memory_mib):
    del origin_port, memory_mib
    program = folder / "floor"
    subprocess.run(["gcc", "-O2", "-o", program, TOP / "bench/floor.c"], check=True)
    return started([str(program), str(port)], port, folder, "floor")


def skerry(port, origin_port, folder, memory_mib, binary=None):
    binary = binary or os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    return started([binary, "edge", "--listen", f"127.0.0.1:{port}", "--origin", f"http://127.0.0.1:{origin_port}",
                    "--memory", f"{memory_mib}MiB", "--threads", "1", "--admin", f"unix:{folder}/skerry.sock"],
                   port, folder, "skerry")


def nginx(port, origin_port, folder, memory_mib):
    home = folder / "nginx"
    (home / "cache").mkdir(parents=True)
    os.chmod(home, 0o777)
    config = write(home / "nginx.conf", f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; user root;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  proxy_cache_path {home}/cache levels=1:2 keys_zone=c:64m max_size={memory_mib}m inactive=1d use_temp_path=off;
  upstream o {{ server 127.0.0.1:{origin_port}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache c; proxy_cache_lock on; add_header X-Cache $upstream_cache_status; }} }}
}}""")
    return started([which("nginx"), "-p", str(home), "-c", config], port, folder, "nginx")


def origin(port, folder, files):
    """The origin of every benchmark: nginx with files in memory and a lifetime of an hour."""
    home = folder / "origin"
    (home / "www").mkdir(parents=True)
    for name, size in files.items():
        (home / "www" / name).write_bytes(os.urandom(size))
    config = write(home / "nginx.conf", f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; user root;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {home}/www; add_header Cache-Control "public, max-age=3600";
    location /z/ {{ rewrite ^ /1k break; }} }} }}""")
    running = Running([which("nginx"), "-p", str(home), "-c", config], core="1", log=str(home / "log"))
    wait_for_port(port, running)
    return running


def haproxy(port, origin_port, folder, memory_mib):
    config = write(folder / "haproxy.cfg", f"""
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 60s
  timeout http-keep-alive 300s
cache c
  total-max-size {min(memory_mib, 4095)}
  max-object-size {min(memory_mib, 4095) * 1024 * 1024 // 2 - 1}
  max-age 3600
frontend f
  bind 127.0.0.1:{port} backlog 4096
  filter cache c
  http-request cache-use c
  http-response cache-store c
  default_backend b
backend b
  server s 127.0.0.1:{origin_port}
""")
    return started([which("haproxy"), "-db", "-f", config], port, folder, "haproxy")


def varnish(port, origin_port, folder, memory_mib):
    vcl = write(folder / "bench.vcl", f"""vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin_port}"; }}
""")
    return started([which("varnishd"), "-F", "-j", "none", "-n", str(folder / "varnish"), "-f", vcl,
                    "-a", f"127.0.0.1:{port}", "-s", f"default,{memory_mib}m", "-p", "thread_pools=1",
                    "-p", "thread_pool_min=20", "-p", "thread_pool_max=1000", "-p", "timeout_idle=300",
                    "-p", "vsl_buffer=16k"],
                   port, folder, "varnish")


HTTP_PEERS = {"floor": floor, "skerry": skerry, "nginx": nginx, "haproxy": haproxy, "varnish": varnish}
