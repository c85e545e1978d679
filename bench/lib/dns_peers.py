"""The name servers that are compared: each function writes its configuration for the same zone and starts it. All get
one thread on the same core, no query log and no rate limit; otherwise their defaults.

The zone: NAMES static names, and one routed name whose answer follows the client's network (NETWORKS to SITES)."""

import os
import pathlib

from lib.mmdb import write_countries
from lib.processes import Running, wait_for_port, which

TOP = pathlib.Path(__file__).resolve().parents[2]
ZONE = "example.com"
NAMES = 1000
SITES = {"AA": "203.0.113.1", "BB": "203.0.113.2", "CC": "203.0.113.3", "DD": "203.0.113.4"}
FALLBACK = "127.0.0.0/8"


def networks():
    """1,024 networks of 14 bits over the four sites, and loopback for who tells none."""
    codes = list(SITES)
    found = {f"{20 + i // 64}.{i % 64 * 4}.0.0/14": codes[i * 7 % 4] for i in range(1024)}
    found[FALLBACK] = codes[0]
    return found


def zone_text(routed=""):
    lines = ["$TTL 300", f"$ORIGIN {ZONE}.", "@ SOA ns1 hostmaster 1 3600 900 604800 300", "@ NS ns1",
             "ns1 A 127.0.0.1"]
    lines += [f"h{i} A 192.0.2.{i % 250 + 1}" for i in range(NAMES)]
    return "\n".join(lines + [routed]) + "\n"


def write(path, text):
    path.write_text(text)
    return str(path)


def started(argv, port, folder, name):
    running = Running(argv, log=str(folder / f"{name}.log"))
    try:
        wait_for_port(port, running)
    except Exception:
        running.stop()
        print((folder / f"{name}.log").read_text()[-3000:])
        raise
    return running


def skerry(port, folder, signed=False):
    home = folder / ("skerry-signed" if signed else "skerry")
    home.mkdir()
    write(home / "zone", zone_text())
    names = {code: code.lower() for code in SITES}
    sites = "\n".join(f"  - {{name: {names[c]}, edges: [{ip}]}}" for c, ip in SITES.items())
    overrides = "\n".join(f"  - {{prefix: {net}, sites: [{names[c]}]}}" for net, c in networks().items())
    config = write(home / "route.yaml", f"""
listen: 127.0.0.1:{port}
threads: 1
rate_limit: {{answers: 0, no_data: 0, no_name: 0, referrals: 0, errors: 0, large: 0}}
zones:
  - {{name: {ZONE}, file: zone{", keys: keys" if signed else ""}}}
weights: {{answer_sites: 1}}
sites:
{sites}
names:
  - {{name: www.{ZONE}, ttl: 30s}}
overrides:
{overrides}
""")
    binary = os.environ.get("SKERRY_BIN", str(TOP / "build/release/skerry"))
    return started([binary, "route", "-c", config], port, folder, home.name)


def skerry_signed(port, folder):
    return skerry(port, folder, signed=True)


def gdnsd(port, folder):
    home = folder / "gdnsd"
    (home / "zones").mkdir(parents=True)
    for name in ("run", "state"):
        (home / name).mkdir()
    write(home / "zones" / ZONE, zone_text("www 30 DYNA geoip!www"))
    nets = "\n".join(f"{net} => [{code}]," for net, code in networks().items())
    sites = ", ".join(f"{code} => {ip}" for code, ip in SITES.items())
    write(home / "config", f"""
options => {{
  listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1, run_dir => {home}/run, state_dir => {home}/state
}}
plugins => {{ geoip => {{
  maps => {{ m => {{ datacenters => [{", ".join(SITES)}], nets => {{ {nets} }} }} }}
  resources => {{ www => {{ map => m, service_types => up, dcmap => {{ {sites} }} }} }}
}} }}
""")
    return started([which("gdnsd"), "-c", str(home), "start"], port, folder, "gdnsd")


def knot(port, folder):
    home = folder / "knot"
    home.mkdir()
    write(home / "zone", zone_text("www 30 A 203.0.113.1"))
    write(home / "geo.conf", f"www.{ZONE}:\n" +
          "".join(f"  - net: {net}\n    A: {SITES[code]}\n" for net, code in networks().items()))
    config = write(home / "knot.conf", f"""
server:
  listen: 127.0.0.1@{port}
  rundir: {home}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  edns-client-subnet: on
database:
  storage: {home}
mod-geoip:
  - id: geo
    config-file: {home}/geo.conf
    ttl: 30
    mode: subnet
zone:
  - domain: {ZONE}
    file: {home}/zone
    zonefile-sync: -1
    journal-content: none
    module: mod-geoip/geo
""")
    return started([which("knotd"), "-c", config], port, folder, "knot")


def nsd(port, folder):
    home = folder / "nsd"
    home.mkdir()
    write(home / "zone", zone_text("www 30 A 203.0.113.1"))
    config = write(home / "nsd.conf", f"""
server:
  ip-address: 127.0.0.1@{port}
  do-ip6: no
  server-count: 1
  username: ""
  zonesdir: "{home}"
  pidfile: "{home}/pid"
  xfrdfile: "{home}/xfrd"
  zonelistfile: "{home}/zones"
  xfrdir: "{home}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: zone
""")
    return started([which("nsd"), "-d", "-c", config], port, folder, "nsd")


def powerdns(port, folder):
    home = folder / "pdns"
    home.mkdir()
    write_countries(home / "places.mmdb", networks())
    records = [f"    {ZONE}:\n      - soa: ns1.{ZONE} hostmaster.{ZONE} 1 3600 900 604800 300\n      - ns: ns1.{ZONE}",
               f"    ns1.{ZONE}:\n      - a: 127.0.0.1"]
    records += [f"    {c.lower()}.site.{ZONE}:\n      - a: {ip}" for c, ip in SITES.items()]
    records += [f"    h{i}.{ZONE}:\n      - a: 192.0.2.{i % 250 + 1}" for i in range(NAMES)]
    write(home / "zones.yml", f"domains:\n- domain: {ZONE}\n  ttl: 30\n  records:\n" + "\n".join(records) +
          f"\n  services:\n    www.{ZONE}: '%cc.site.{ZONE}'\n")
    write(home / "pdns.conf", f"""
launch=geoip
geoip-database-files=mmdb:{home}/places.mmdb
geoip-zones-file={home}/zones.yml
edns-subnet-processing=yes
local-address=127.0.0.1
local-port={port}
receiver-threads=1
distributor-threads=1
socket-dir={home}
loglevel=3
webserver=no
api=no
zone-cache-refresh-interval=0
""")
    return started([which("pdns_server"), f"--config-dir={home}", "--daemon=no", "--guardian=no"], port, folder, "pdns")


DNS_PEERS = {"skerry": skerry, "skerry-signed": skerry_signed, "gdnsd": gdnsd, "knot": knot, "nsd": nsd,
             "powerdns": powerdns}
