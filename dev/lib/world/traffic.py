"""The clients: they ask a router by DNS, as their resolvers would with their network in the question, keep the answer for
its time, go where they are told, and take the second address when the first fails, as browsers do."""

import asyncio
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, field

import dns.edns
import dns.message
import dns.rdatatype

NAME = "www.world.example"
REQUESTS_OF_A_VISIT = 2  # over one connection
NEXT_ADDRESS_S = 0.25  # RFC 8305 5: how long a client waits before it tries the next address as well
CONNECT_S, ANSWER_S = 5.0, 5.0
BODY = b"x" * 1000
TARGETS = [f"/{i}.html" for i in range(12)]


@dataclass
class Visit:
    """What became of one connection and its requests."""
    at: float
    client: int
    told: int  # PoP of the first address, -1: none
    pop: int  # that served, -1: none
    rtt_ms: float  # of the connection, as the client saw it
    requests: int = 0
    retried: int = 0  # of the requests: by another address
    failures: list = field(default_factory=list)  # a text for each request that failed


class Resolver:
    """One for each network of clients."""

    def __init__(self, traffic, client):
        self.traffic, self.client = traffic, client
        self.addresses, self.until = [], 0.0

    async def ask(self):
        if time.monotonic() < self.until:
            return self.addresses
        network, _, bits = self.client.prefix.partition("/")
        query = dns.message.make_query(NAME, "A", use_edns=0, options=[dns.edns.ECSOption(network, int(bits))])
        for router in [*self.traffic.routers, *self.traffic.routers]:
            try:
                answer = await self._send(query, router)
                rrset = next(rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A)
            except (OSError, TimeoutError, StopIteration):
                self.traffic.counts["DNS tries that failed"] += 1
                continue
            self.addresses = [record.address for record in rrset]
            self.until = time.monotonic() + rrset.ttl
            return self.addresses
        return self.addresses  # what it knew

    async def _send(self, query, router):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            s.connect((router, 53))
            await loop.sock_sendall(s, query.to_wire())
            return dns.message.from_wire(await asyncio.wait_for(loop.sock_recv(s, 4096), 1))


class Connection:
    def __init__(self, sock, address, rtt_ms):
        self.socket, self.address, self.rtt_ms = sock, address, rtt_ms

    async def get(self, target):
        """Raises OSError or ValueError with a text for people."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, f"GET {target} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data or len(data) < data.index(b"\r\n\r\n") + 4 + len(BODY):
            piece = await asyncio.wait_for(loop.sock_recv(self.socket, 65536), ANSWER_S)
            if not piece:
                raise ConnectionResetError("closed before the answer" if not data else "closed amid the answer")
            data += piece
            if data[:13] != b"HTTP/1.1 200 "[: len(data)]:
                raise ValueError(f"status {data[9:12].decode('latin-1')}")
        return b"\r\nconnection: close" in data.partition(b"\r\n\r\n")[0].lower()

    def close(self):
        self.socket.close()


async def _connect_one(source, address):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((source, 0))
        began = time.monotonic()
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(s, (address, 80)), CONNECT_S)
        return Connection(s, address, (time.monotonic() - began) * 1000)
    except BaseException:
        s.close()
        raise


async def connect(source, addresses):
    """The first of ADDRESSES that answers; the next one is tried when one fails or is silent. OSError."""
    waiting, left, error = set(), list(addresses), OSError("no address")
    try:
        while waiting or left:
            if left:
                waiting.add(asyncio.ensure_future(_connect_one(source, left.pop(0))))
            done, waiting = await asyncio.wait(waiting, timeout=NEXT_ADDRESS_S if left else None,
                                               return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.exception():
                    return task.result()
                error = task.exception()
        raise error
    finally:
        for task in waiting:
            task.add_done_callback(lambda late: late.cancelled() or late.exception() or late.result().close())
            task.cancel()


def name_of(error):
    text = str(error) if isinstance(error, ValueError) or not getattr(error, "errno", None) else error.strerror
    return text or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


class Traffic:
    def __init__(self, world, rate, seed):
        self.world, self.rate = world, rate
        self.routers = []
        self.visits, self.counts = [], Counter()
        self.surge = {}  # client index -> factor
        self.dice = random.Random(f"{seed} traffic")
        self.tasks = []

    def start(self):
        self.tasks = [asyncio.ensure_future(self._client(client)) for client in self.world.clients]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def use(self, routers):
        """From now on; what resolvers know is forgotten."""
        self.routers = routers
        for resolver in getattr(self, "resolvers", []):
            resolver.until = 0

    async def _client(self, client):
        resolver = Resolver(self, client)
        self.resolvers = [*getattr(self, "resolvers", []), resolver]
        pause = REQUESTS_OF_A_VISIT / (self.rate * client.weight)
        at = time.monotonic() + self.dice.uniform(0, pause)
        under_way = set()
        while True:
            await asyncio.sleep(max(0, at - time.monotonic()))
            task = asyncio.ensure_future(self._visit(client, resolver))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            at = max(at, time.monotonic() - pause) + pause / self.surge.get(client.index, 1) * self.dice.uniform(0.6, 1.4)

    async def _visit(self, client, resolver):
        addresses = await resolver.ask()
        told = self.world.by_address(addresses[0]).index if addresses else -1
        visit = Visit(time.monotonic(), client.index, told, -1, float("nan"))
        source = f"{client.prefix.rpartition('.')[0]}.{self.dice.randrange(1, 255)}"
        connection = None
        try:
            for _ in range(REQUESTS_OF_A_VISIT):
                target = self.dice.choice(TARGETS)
                visit.requests += 1
                connection = await self._request(visit, connection, source, addresses, target)
        finally:
            if connection:
                connection.close()
            self.visits.append(visit)

    async def _request(self, visit, connection, source, addresses, target):
        """Gives the connection for the next one."""
        left, error = list(addresses), None
        while left or connection:
            try:
                if not connection:
                    connection = await connect(source, left)
                    if visit.pop < 0:
                        visit.rtt_ms = connection.rtt_ms
                    visit.pop = self.world.by_address(connection.address).index
                if await connection.get(target):
                    connection.close()
                    connection = None
                visit.retried += error is not None
                return connection
            except (OSError, TimeoutError, ValueError) as failure:
                error = failure
                self.counts[f"retried: {name_of(failure)}"] += 1
                if connection is None:
                    break  # all addresses failed
                left = [address for address in left if address != connection.address]
                connection.close()
                connection = None
        visit.failures.append(f"{name_of(error) if error else 'no address'}")
        return None
