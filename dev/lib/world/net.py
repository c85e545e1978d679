"""Two network namespaces with a wide sea between them: clients live in one, PoPs and routers in the other. What goes from
one to the other passes a process (tests/tools/wan) that holds each packet for half the round trip time of its pair, so
that the kernels at both ends measure what they would measure in the world."""

import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import parts

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ROUTER_ADDRESSES = [f"198.18.1.{i}" for i in range(1, 9)]


class Unavailable(Exception):
    """This machine does not allow what the world needs, with a text for people."""


def enter(directory):
    """Goes on in a child that is the first process of a namespace of its own: when it ends, all that it started ends. The
    parent stays to pass on signals and the exit code, and to remove DIRECTORY. An ordinary user becomes root of what he
    made."""
    flags = os.CLONE_NEWPID | os.CLONE_NEWNET | os.CLONE_NEWNS
    user, group = os.getuid(), os.getgid()
    try:
        os.unshare(flags if user == 0 else flags | os.CLONE_NEWUSER)
    except OSError as error:
        raise Unavailable(f"namespaces are not allowed here (unshare: {error.strerror})") from None
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(parts.PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child as well
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        try:
            _, status = os.waitpid(child, 0)
            break
        except InterruptedError:
            continue
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(os.waitstatus_to_exitcode(status) % 256)


def _tun(name):
    try:
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        raise Unavailable(f"/dev/net/tun is not usable here ({error.strerror})") from None
    os.set_inheritable(device, True)
    return device


def _ip(*lines):
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"ip: {done.stderr.strip()}")


class Net:
    """The calling process ends up on the clients' side."""

    def __init__(self, world, program, directory):
        world.write_delays(directory / "delays")
        pops = _tun("pops")
        _ip("link set lo up", "link set pops up", "addr add 198.18.255.1/32 dev pops", "route add 10.9.0.0/16 dev pops",
            *(f"addr add {address}/32 dev lo" for address in ROUTER_ADDRESSES),
            *(f"addr add {pop.address}/32 dev lo" for pop in world.pops))
        self.pops_side = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        os.unshare(os.CLONE_NEWNET)
        clients = _tun("clients")
        _ip("link set lo up", "link set clients up", "addr add 10.9.255.1/32 dev clients", "route add 198.18.0.0/15 dev clients",
            "route add local 10.9.0.0/16 dev lo")
        self.wan = parts.start([program, clients, pops, directory / "delays"], pass_fds=(clients, pops))
        os.close(clients)
        os.close(pops)

    def start(self, command, log):
        """A process on the PoPs' side."""
        def enter_side():
            parts._follow_us()
            os.setns(self.pops_side, os.CLONE_NEWNET)
        with open(log, "ab") as out:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    start_new_session=True, preexec_fn=enter_side)

    def on_pops_side(self, act):
        """ACT() there; sockets that it makes stay there."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            os.setns(self.pops_side, os.CLONE_NEWNET)
            return act()
        finally:
            os.setns(here, os.CLONE_NEWNET)
            os.close(here)

    def cut(self, pop, off):
        """A PoP off the net answers nobody, as when its power fails: not even a refusal."""
        word = "del" if off else "add"
        self.on_pops_side(lambda: _ip(f"addr {word} {pop.address}/32 dev lo"))
