"""Where everybody is and how long light and its detours take: the truth that routers do not know."""

import math
import random
from dataclasses import dataclass, field

from cities import CITIES

LIGHT_KM_PER_MS = 200  # two thirds of the speed of light
CLIENT_NET, POP_NET = "10.9", "198.18.0"


@dataclass
class Pop:
    index: int
    name: str
    latitude: float
    longitude: float
    size: int
    capacity: int = 0  # requests a second
    address: str = ""
    admin: str = ""


@dataclass
class Client:
    """A network of clients, /24."""
    index: int
    city: str
    country: str
    as_number: int
    latitude: float
    longitude: float
    weight: float  # its share of all requests
    access_ms: float
    rtt_ms: list = field(default_factory=list)  # by PoP

    @property
    def prefix(self):
        return f"{CLIENT_NET}.{self.index}.0/24"


def distance_km(a, b):
    """On the great circle."""
    lat1, lon1, lat2, lon2 = map(math.radians, (a.latitude, a.longitude, b.latitude, b.longitude))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371 * math.asin(min(1, math.sqrt(half)))


def _way_ms(client, pop, seed):
    """The detour belongs to the way between a network's operator and a PoP: a fifth of all ways leave the region."""
    way = random.Random(f"{seed} {client.as_number} {client.country} {pop.name}")
    factor = way.uniform(1.15, 1.6)
    detour = way.uniform(15, 90) if way.random() < 0.2 else 0
    return 2 * distance_km(client, pop) / LIGHT_KM_PER_MS * factor + detour + client.access_ms + way.uniform(0.3, 1.5)


def make_pops(count):
    places = sorted((city for city in CITIES if city[5]), key=lambda city: -city[5])
    if count > len(places):
        raise ValueError(f"there are places for {len(places)} PoPs")
    if count < len(places):  # fewer ones, but on all continents
        places = [places[i * len(places) // count] for i in range(count)]
    return [Pop(i, name.lower().replace(" ", "-"), lat, lon, size, address=f"{POP_NET}.{i + 1}", admin=f"127.1.0.{i + 1}:9180")
            for i, (name, _, lat, lon, _, size) in enumerate(sorted(places))]


def make_clients(count, seed):
    """Networks of all cities in turn; the operators of a country are few."""
    dice = random.Random(f"{seed} clients")
    clients = []
    for i in range(count):
        name, country, lat, lon, people, _ = CITIES[i % len(CITIES)]
        operator = 64512 + sum(map(ord, country)) * 4 % 1000 + dice.randrange(3)
        clients.append(Client(i, name, country, operator, lat + dice.uniform(-0.7, 0.7), lon + dice.uniform(-0.7, 0.7),
                              people * dice.uniform(0.5, 1.5), dice.uniform(1, 9)))
    whole = sum(client.weight for client in clients)
    for client in clients:
        client.weight /= whole
    return clients


class World:
    def __init__(self, pops, clients, seed, rate):
        """RATE: requests a second in all. Each PoP was sized for those who are best served there, by people who guess: most
        have room, a few have too little."""
        self.seed = seed
        self.pops, self.clients = make_pops(pops), make_clients(clients, seed)
        for client in self.clients:
            client.rtt_ms = [_way_ms(client, pop, seed) for pop in self.pops]
        guess = random.Random(f"{seed} capacity")
        for pop in self.pops:
            expected = sum(rate * client.weight for client in self.clients if client.rtt_ms[pop.index] == min(client.rtt_ms))
            pop.capacity = max(round(rate / len(self.pops)), round(expected * guess.uniform(1.1, 2.5)))

    def by_address(self, address):
        return self.pops[int(address.rpartition(".")[2]) - 1]

    def best_ms(self, client, without=()):
        return min(rtt for pop, rtt in enumerate(client.rtt_ms) if pop not in without)

    def write_delays(self, path):
        path.write_text("".join(" ".join(f"{rtt:.3f}" for rtt in client.rtt_ms) + "\n" for client in self.clients))
