"""The weights of a page: numbers of 9 or 16 bits, as text. `html/weights.js` reads them.

Nine bits, ten for the tokens' vectors, with a scale for each group of 32 values are what a default
model has room for in 4 MB. Compression takes 6 % off, since small numbers are more frequent than
large ones. The text has 13 bits in two characters of 91, and is 23 % longer than the bytes; base64
would be 33 % longer.
"""

import zlib
from typing import Any

import numpy as np

# Values of a row that share a scale.
GROUP_SIZE = 32
# A matrix of the dtype int9 has this many bits. The tokens' vectors have more: an error there
# reaches every position and every choice of a token.
BITS = 9
TOKEN_BITS = 10
TOKEN_MATRICES = ("embed_tokens.weight", "lm_head.weight")
BYTES_PER_WEIGHT = {"int9": 9 / 8, "f16": 2}
# Printable ASCII without "<" and "/", so that the text ends no element and has no address.
ALPHABET = np.array([code for code in range(33, 126) if chr(code) not in "</"], dtype=np.uint8)
PAIR_BITS = 13
CHUNK_BYTES = PAIR_BITS << 16  # encoded at a time, a whole number of pairs


def encode_tensor(name: str, values_RC: np.ndarray, dtype: str) -> tuple[dict[str, Any], bytes]:
    """Return a tensor's entry in the layout, and its bytes.

    A matrix of int9 or int10 starts with its scales, in float16. Then come the highest eight bits
    of all numbers, and then their other bits, one number after the other. Norms stay in float32.
    """
    if len(values_RC) == 1:
        dtype = "f32"
    rows, columns = values_RC.shape
    bits = TOKEN_BITS if name in TOKEN_MATRICES else BITS
    if dtype == "int9":
        dtype = f"int{bits}"
    entry = {"name": name, "rows": rows, "columns": columns, "dtype": dtype}
    if dtype == "f32":
        return entry, values_RC.astype("<f4").tobytes()
    if dtype == "f16":
        return entry, values_RC.astype("<f2").tobytes()
    scales_RG, numbers_RC = quantize(values_RC, bits)
    high = (numbers_RC >> (bits - 8)).astype(np.int8)
    low = numbers_RC.reshape(-1, 1) >> np.arange(bits - 8)[::-1] & 1
    data = (scales_RG.astype("<f2"), high, np.packbits(low.astype(bool)))
    return entry, b"".join(array.tobytes() for array in data)


def quantize(values_RC: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a float16 scale (R, G) for each group of GROUP_SIZE values of a row, and the values as
    multiples of it, int16 of so many bits."""
    R, C = values_RC.shape
    largest = 2 ** (bits - 1) - 1
    padded_RGN = np.pad(values_RC, ((0, 0), (0, -C % GROUP_SIZE))).reshape(R, -1, GROUP_SIZE)
    scales_RG = (np.abs(padded_RGN).max(axis=2) / largest).astype(np.float16)
    scales_RG[scales_RG == 0] = 1  # a group of zeros
    numbers_RGN = np.rint(padded_RGN / scales_RG[:, :, None].astype(np.float32))
    numbers_RC = numbers_RGN.clip(-largest, largest).reshape(R, -1)[:, :C]
    return scales_RG, numbers_RC.astype(np.int16)


def compress(data: bytes) -> bytes:
    """Return bytes as a zlib stream after its length, four bytes, lowest first. A browser reads a
    stream only if it ends exactly there."""
    packed = zlib.compress(data, level=9)
    return len(packed).to_bytes(4, "little") + packed


def to_text(data: bytes) -> str:
    """Return bytes as text: each 13 bits as two digits of base 91, the last ones filled with
    zeros."""
    chunks = range(0, len(data), CHUNK_BYTES)
    return "".join(_chunk_to_text(data[start : start + CHUNK_BYTES]) for start in chunks)


def _chunk_to_text(data: bytes) -> str:
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    padded_N13 = np.pad(bits, (0, -len(bits) % PAIR_BITS)).reshape(-1, PAIR_BITS)
    numbers_N = padded_N13 @ (1 << np.arange(PAIR_BITS)[::-1])
    digits_N2 = np.stack(np.divmod(numbers_N, len(ALPHABET)), axis=1)
    return ALPHABET[digits_N2].tobytes().decode("ascii")
