"""Ways to damage the bytes of a file. Each takes the bytes and a random generator, and gives other bytes."""

import re
import struct
import zlib

EXTREMES = (0, 1, -1, 127, 255, 32767, 65535, 60000, 2**31 - 1, -(2**31), 2**32 - 1, 10**10, 10**12, 2**63 - 1)
WORDS = (b"0", b"-1", b"1000000000000", b"10000000000", b"99999999", b"1e999", b"nan", b"-inf", b"", b"x", b"1e-320")


def flip_bits(content, rng):
    """1 to 8 bits, anywhere."""
    return _flipped(content, rng, len(content))


def flip_head(content, rng):
    """Bits of the first 400 bytes, where headers are."""
    return _flipped(content, rng, min(400, len(content)))


def _flipped(content, rng, end):
    changed = bytearray(content)
    for place in rng.integers(0, end, rng.integers(1, 9)):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncate(content, rng):
    return content[: rng.integers(0, len(content))]


def insert(content, rng):
    """A run of zeros, ones or noise."""
    at, count = (int(rng.integers(0, end)) for end in (len(content), 300))
    run = (bytes(count), b"\xff" * count, rng.bytes(count))[rng.integers(3)]
    return content[:at] + run + content[at:]


def swap(content, rng):
    a, b, c = sorted(int(place) for place in rng.integers(0, len(content) + 1, 3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def repeat(content, rng):
    a, b = sorted(int(place) for place in rng.integers(0, len(content) + 1, 2))
    return content[:b] + content[a:b] + content[b:]


def remove(content, rng):
    at = int(rng.integers(0, len(content)))
    return content[:at] + content[at + int(rng.integers(1, 64)) :]


def overwrite(content, rng, end=None):
    """A binary integer with an extreme one."""
    width = int(rng.choice([1, 2, 4, 8]))
    number = EXTREMES[rng.integers(len(EXTREMES))] % 2 ** (8 * width)
    at = int(rng.integers(0, max(1, (end or len(content)) - width)))
    order = ("little", "big")[rng.integers(2)]
    return content[:at] + number.to_bytes(width, order) + content[at + width :]


def overwrite_head(content, rng):
    return overwrite(content, rng, min(400, len(content)))


def word(content, rng, end=None):
    """A number that is written as text with an extreme one."""
    numbers = list(re.finditer(rb"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?", content[:end]))
    if not numbers:
        return overwrite(content, rng, end)
    found = numbers[rng.integers(len(numbers))]
    return content[: found.start()] + WORDS[rng.integers(len(WORDS))] + content[found.end() :]


def word_of_head(content, rng):
    return word(content, rng, 200)


def lines(content, rng):
    """A line less, or one twice, or two exchanged."""
    parts = content.split(b"\n")
    at, other = (int(place) for place in rng.integers(0, len(parts), 2))
    what = rng.integers(3)
    if what == 0:
        del parts[at]
    elif what == 1:
        parts.insert(other, parts[at])
    else:
        parts[at], parts[other] = parts[other], parts[at]
    return b"\n".join(parts)


def several(content, rng):
    for _ in range(rng.integers(2, 6)):
        content = MUTATIONS[rng.integers(len(MUTATIONS) - 1)](content, rng) if content else content
    return content


MUTATIONS = (
    flip_bits, flip_head, truncate, insert, swap, repeat, remove, overwrite, overwrite_head, word, word_of_head, lines,
    several,
)  # fmt: skip


def mutated(content: bytes, rng) -> bytes:
    """The bytes with one of all damages; one in a hundred is nothing but noise, or empty."""
    if rng.random() < 0.01:
        return rng.bytes(rng.integers(0, 200)) if rng.random() < 0.5 else b""
    return MUTATIONS[rng.integers(len(MUTATIONS))](content, rng) if content else content


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks say what their checksums should be, so that damage is not found by these."""
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out)
