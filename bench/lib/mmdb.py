"""Writes small MMDB files (MaxMind DB format 2.0, IPv4, records of 24 bits): networks to country codes, or to anything."""

import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"


U16, U32, U64 = 5, 6, 9  # types of numbers, which are (type, value)


def _encode(value):
    if isinstance(value, str):
        data = value.encode()
        assert len(data) < 29
        return bytes([2 << 5 | len(data)]) + data
    if isinstance(value, dict):
        assert len(value) < 29
        return bytes([7 << 5 | len(value)]) + b"".join(_encode(k) + _encode(v) for k, v in value.items())
    if isinstance(value, list):
        assert len(value) < 29
        return bytes([len(value), 4]) + b"".join(map(_encode, value))  # extended type 11
    kind, number = value
    data = number.to_bytes({5: 2, 6: 4, 9: 8}[kind], "big")
    return (bytes([kind << 5 | len(data)]) if kind < 8 else bytes([len(data), kind - 7])) + data


def write_countries(path, networks):
    """NETWORKS is {"20.0.0.0/14": "AA"}."""
    write_records(path, networks,
                  {code: {"country": {"iso_code": code}, "continent": {"code": "EU"}} for code in networks.values()})


def write_records(path, networks, records):
    """NETWORKS is {"20.0.0.0/14": NAME}, RECORDS {NAME: record}."""
    tree, data, places = [[None, None]], b"", {}
    for code in sorted(records):
        places[code] = len(data)
        data += _encode(records[code])
    for text, code in networks.items():
        network = ipaddress.ip_network(text)
        bits, node = int(network.network_address), 0
        for depth in range(network.prefixlen):
            side = bits >> (31 - depth) & 1
            if depth == network.prefixlen - 1:
                tree[node][side] = code
                break
            if tree[node][side] is None:
                tree.append([None, None])
                tree[node][side] = len(tree) - 1
            node = tree[node][side]
    count = len(tree)

    def record(value):
        if value is None:
            value = count
        elif isinstance(value, str):
            value = count + 16 + places[value]
        return struct.pack("!I", value)[1:]

    metadata = {"binary_format_major_version": (U16, 2), "binary_format_minor_version": (U16, 0),
                "build_epoch": (U64, 1700000000), "database_type": "Skerry-Bench-Country",
                "description": {"en": "bench"}, "ip_version": (U16, 4), "languages": ["en"],
                "node_count": (U32, count), "record_size": (U16, 24)}
    with open(path, "wb") as out:
        for left, right in tree:
            out.write(record(left) + record(right))
        out.write(bytes(16) + data + MARKER + _encode(metadata))
