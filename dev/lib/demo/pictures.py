"""Pictures of skerries: PNG files drawn from a number, so that the demonstration has images without carrying any."""

import math
import random
import struct
import zlib


def _mix(one, other, share):
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other))


def _chunk(kind, data):
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def _ridge(chance, width, height, peak):
    """The skyline of a rock in the middle: two waves under a bell."""
    phases = [chance.random() * 6 for _ in range(3)]
    centre, spread = width * chance.uniform(0.35, 0.65), width * chance.uniform(0.1, 0.2)
    line = []
    for x in range(width):
        bell = math.exp(-(((x - centre) / spread) ** 2))
        rough = 0.12 * math.sin(x / 9 + phases[0]) + 0.07 * math.sin(x / 4 + phases[1]) + 0.04 * math.sin(x / 2 + phases[2])
        line.append(max(0, int(height * peak * bell * (1 + rough))))
    return line


def draw(number, width=640, height=360):
    """The bytes of a PNG."""
    chance = random.Random(number)
    sky = _mix((20, 40, 90), (250, 180, 120), chance.random()), _mix((150, 190, 220), (255, 225, 180), chance.random())
    sea = _mix((10, 60, 90), (60, 90, 120), chance.random()), (12, 34, 56)
    rock, lit = (52, 48, 50), _mix((90, 80, 76), (140, 120, 100), chance.random())
    horizon = int(height * chance.uniform(0.5, 0.66))
    ridge = _ridge(chance, width, height, chance.uniform(0.2, 0.4))
    rows = []
    for y in range(height):
        if y < horizon:
            colour = _mix(sky[0], sky[1], y / horizon)
        else:
            glint = 0.1 * math.sin(y * 0.9 + number)
            colour = _mix(sea[0], sea[1], min(1, max(0, (y - horizon) / (height - horizon) + glint)))
        row = bytearray(bytes(colour) * width)
        if y <= horizon:
            shade = bytes(_mix(lit, rock, (horizon - y) / height * 2 % 1))
            for x, top in enumerate(ridge):
                if top > horizon - y:
                    row[3 * x : 3 * x + 3] = shade
        rows.append(b"\0" + bytes(row))
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image = zlib.compress(b"".join(rows), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", image) + _chunk(b"IEND", b"")


def draw_all(folder, count):
    """Draws COUNT pictures into FOLDER; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number in range(count):
        name = f"skerry-{number:02}.png"
        width = 640 if number % 4 else 960
        (folder / name).write_bytes(draw(number, width, width * 9 // 16))
        names.append(name)
    return names


def write_large(path, megabytes):
    """A file that is large and the same each time, but compresses to nothing shorter."""
    chance = random.Random(megabytes)
    block = chance.randbytes(1 << 20)
    with open(path, "wb") as file:
        for number in range(megabytes):
            file.write(struct.pack("!Q", number) + block[8:])
