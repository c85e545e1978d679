"""A geographic database of the synthetic world, in the format of MaxMind's DB files (version 2.0)."""

import ipaddress
import struct

U16, U64 = 5, 9


def _control(kind, size):
    if kind > 7:
        return bytes([size, kind - 7])
    return bytes([kind << 5 | size])


def _value(value):
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_value(key) + _value(each) for key, each in value.items())
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return _control(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return _control(6, 4) + struct.pack(">I", value)
    if isinstance(value, tuple):  # an integer of a given type
        return _control(value[0], 1) + bytes([value[1]])
    if isinstance(value, list):
        return _control(11, 0)
    raise TypeError(value)


def write(path, networks):
    """NETWORKS: {"10.9.0.0/24": {...}}. IPv4 lies at ::/96, as in the usual files."""
    nodes, data = [[None, None]], b""
    for network, record in networks.items():
        network = ipaddress.ip_network(network)
        bits = f"{int(network.network_address):0128b}"[: 96 + network.prefixlen]
        node = 0
        for bit in bits[:-1]:
            if nodes[node][int(bit)] is None:
                nodes.append([None, None])
                nodes[node][int(bit)] = len(nodes) - 1
            node = nodes[node][int(bit)]
        nodes[node][int(bits[-1])] = ("data", len(data))
        data += _value(record)
    count = len(nodes)

    def pointer(record):
        if record is None:
            return count
        return count + 16 + record[1] if isinstance(record, tuple) else record

    tree = b"".join(pointer(record).to_bytes(3, "big") for node in nodes for record in node)
    meta = {"node_count": count, "record_size": (U16, 24), "ip_version": (U16, 6), "database_type": "Skerry-World",
            "binary_format_major_version": (U16, 2), "binary_format_minor_version": (U16, 0), "build_epoch": (U64, 1),
            "languages": [], "description": {}}
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _value(meta))
