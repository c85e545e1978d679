"""The servers of `dev/bench disk`: each with the same RAM budget, a disk that holds everything, and one thread that
serves (what reads and writes the disk may have others), on one core. A job is (port, origin_port, folder, ram_mib,
disk_mib); FOLDER is on the file system that is measured."""

import os
import pathlib
import subprocess

from lib.peers import TOP, started, write
from lib.processes import Running, wait_for_port, which

HOST = "bench.example"
SIZES_KIB = [8, 2, 32, 8, 16, 2, 64, 8, 2, 16, 32, 8, 2, 16, 64, 2, 8, 16, 2, 256]  # of object i: i modulo their number
MEAN_BYTES = sum(SIZES_KIB) * 1024 / len(SIZES_KIB)


def origin(port, folder):
    """nginx with a file of each size in memory; /o/SIZE/ANYTHING. It counts what it is asked: /status."""
    home = folder / "origin"
    (home / "www").mkdir(parents=True)
    for size in set(SIZES_KIB):
        (home / "www" / f"{size}").write_bytes(os.urandom(size * 1024))
    config = write(home / "nginx.conf", f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; user root;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000000; open_file_cache max=100;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {home}/www;
    add_header Cache-Control "public, max-age=86400";
    location = /status {{ stub_status; }}
    location ~ ^/o/(?<size>[0-9]+)/ {{ rewrite ^ /$size break; }} }} }}""")
    running = Running([which("nginx"), "-p", str(home), "-c", config], core="1", log=str(home / "log"))
    wait_for_port(port, running)
    return running


def skerry(port, origin_port, folder, ram_mib, disk_mib, name="skerry"):
    home = folder / name
    home.mkdir()
    disk = f"disk: {{path: {home}/store, size: {disk_mib}MiB}}" if disk_mib else ""
    config = write(home / "edge.yaml", f"""
listen: 127.0.0.1:{port}
admin: unix:{home}/admin.sock
memory: {ram_mib}MiB
threads: 1
log_level: warn
{disk}
sites:
  - {{name: bench, hosts: [{HOST}], origin: "http://127.0.0.1:{origin_port}"}}
""")
    binary = os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    return started([binary, "edge", "-c", config], port, folder, name)


def nginx(port, origin_port, folder, ram_mib, disk_mib, aio="off"):
    del ram_mib  # the page cache, which is trimmed to it
    home = folder / f"nginx-{aio}"
    (home / "cache").mkdir(parents=True)
    os.chmod(home, 0o777)
    config = write(home / "nginx.conf", f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log; user root;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000; aio {aio};
  keepalive_timeout 300s; proxy_buffers 16 32k;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  proxy_cache_path {home}/cache levels=1:2 keys_zone=c:16m max_size={disk_mib}m inactive=1d use_temp_path=off;
  upstream o {{ server 127.0.0.1:{origin_port}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache c; proxy_cache_lock on; }} }}
}}""")
    return started([which("nginx"), "-p", str(home), "-c", config], port, folder, f"nginx-{aio}")


def nginx_threads(*job):
    return nginx(*job, aio="threads")


def squid(port, origin_port, folder, ram_mib, disk_mib):
    home = folder / "squid"
    (home / "cache").mkdir(parents=True)
    for path in (home, home / "cache"):
        os.chmod(path, 0o777)
    config = write(home / "squid.conf", f"""
http_port 127.0.0.1:{port} accel defaultsite={HOST} no-vhost
cache_peer 127.0.0.1 parent {origin_port} 0 no-query no-digest originserver name=o
cache_peer_access o allow all
never_direct allow all
http_access allow all
cache_mem {ram_mib} MB
maximum_object_size_in_memory 512 KB
cache_dir aufs {home}/cache {disk_mib} 16 256
maximum_object_size 4 MB
collapsed_forwarding on
access_log none
cache_store_log none
cache_log {home}/cache.log
logfile_rotate 0
netdb_filename none
icon_directory /usr/share/squid/icons
mime_table /usr/share/squid/mime.conf
pid_filename {home}/squid.pid
coredump_dir {home}
max_filedescriptors 16384
shutdown_lifetime 0 seconds
""")
    program = which("squid")
    subprocess.run([program, "-N", "-z", "-f", config], check=True, cwd=home, capture_output=True)
    return started([program, "-N", "-f", config], port, folder, "squid")


SERVERS = {"skerry": skerry, "nginx": nginx, "nginx-aio": nginx_threads, "squid": squid}
CACHE_FOLDERS = {"nginx": "nginx-off/cache", "nginx-aio": "nginx-threads/cache", "squid": "squid/cache"}


def page_cache(name, folder, limit_bytes):
    """What keeps the page cache of a peer's files at the limit; None where nothing is read through it."""
    if name not in CACHE_FOLDERS:
        return None
    program = pathlib.Path(folder) / "page_cache"
    if not program.exists():
        subprocess.run(["gcc", "-O2", "-o", program, TOP / "bench/page_cache.c"], check=True)
    return Running([str(program), str(folder / CACHE_FOLDERS[name]), str(limit_bytes)], core="1",
                   log=str(folder / f"{name}.page_cache"))
