"""Numbers to text bytes: the writers behind `dsmodel.addresses.text`, a chunk of rows at a time.

Promises: without its padding, a row is exactly what `dsmodel.addresses.cidr.format_address` writes, except that
IPv4-mapped addresses come out in plain groups; `is_mapped` finds them, and the caller writes those.

Method: tables give each pair of octets, or each 16-bit group, as text in one 64-bit word. A row is a few such words
joined by shifts, with NUL bytes as padding between the pieces, which the caller filters out in one go. Groups that are
the same in a whole chunk (the cluster's prefix, the run of zeros) are joined once and become constant bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.columns import family_of
from dsmodel.addresses.literals import IPFamily
from dsmodel.addresses.reading import GROUP_COUNT, SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]

__all__ = ["LONGEST", "Spelled", "is_mapped", "spelled_chunks"]

LONGEST = {IPFamily.IPV4: 15, IPFamily.IPV6: 39}  # bytes of the longest text

_CHUNK = 1 << 15  # rows: large enough to hide the cost of calls, small enough for the caches
_WORD = np.dtype("<u8")  # the first character is the lowest byte
_COLON = ord(":")
# what group k writes besides its digits: indices behind the 65,536 texts of a table
_TEXT, _ONE_COLON, _TWO_COLONS, _NOTHING = 0, 65536, 65537, 65538


@dataclass(frozen=True)
class Spelled:
    """A chunk of rows as padded text.

    Attributes
    ----------
    padded : numpy.ndarray of uint8
        The rows, all of one width, NUL where there is no character.
    kept : numpy.ndarray of uint8
        One bit a byte of `padded`, lowest bit first: whether it is a character.
    lengths : numpy.ndarray of uint8
        Number of characters of each row.
    """

    padded: npt.NDArray[np.uint8]
    kept: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.uint8]


def spelled_chunks(column: npt.NDArray[Any]) -> Iterator[Spelled]:
    """Spell a column, chunk by chunk.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    iterator of Spelled
        The rows in order.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> [chunk.padded.tobytes().replace(bytes(1), b"") for chunk in spelled_chunks(np.array([167772161], np.uint32))]
    [b'10.0.0.1']
    """
    spell = _spell_ipv4 if family_of(column) is IPFamily.IPV4 else _spell_ipv6
    whole = np.ascontiguousarray(column)
    return (spell(whole[start : start + _CHUNK]) for start in range(0, whole.size, _CHUNK))


def is_mapped(column: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Mark the IPv4-mapped rows of an IPv6 column.

    Parameters
    ----------
    column : numpy.ndarray
        IPv6 column.

    Returns
    -------
    numpy.ndarray of bool or None
        True where the address lies in ``::ffff:0:0/96``; None when there is no such row.

    Raises
    ------
    None
        Every IPv6 column has an answer.
    """
    if column["hi"].all():  # one cheap look settles nearly every column
        return None
    marks = (column["hi"] == 0) & (column["lo"] >> np.uint64(32) == 0xFFFF)
    return marks if marks.any() else None


def _spell_ipv4(column: npt.NDArray[np.uint32]) -> Spelled:
    """Spell one chunk of IPv4 rows: two words a row."""
    words, kept = _octet_pairs()
    pairs = np.empty((column.size, 2), np.intp)
    pairs[:, 0] = column >> np.uint32(16)
    pairs[:, 1] = column & np.uint32(0xFFFF)
    pairs[:, 1] += 65536
    bits = kept.take(pairs)
    lengths = np.bitwise_count(bits.view(np.uint16).reshape(-1))
    return Spelled(words.take(pairs).reshape(-1).view(np.uint8), bits.reshape(-1), lengths)


def _spell_ipv6(column: npt.NDArray[Any]) -> Spelled:
    """Spell one chunk of IPv6 rows."""
    pieces = _pieces(column)
    width = sum(width for _, width in pieces)
    count = -(-width // 8)
    words: list[Words | np.uint64] = [np.uint64(0)] * (count + 1)
    place = 0
    for piece, piece_width in pieces:
        word, shift = divmod(place, 8)
        words[word] = words[word] | piece << np.uint64(8 * shift)
        if shift + piece_width > 8:
            words[word + 1] = piece >> np.uint64(64 - 8 * shift)
        place += piece_width
    rows = np.empty((column.size, count), _WORD)
    for word in range(count):
        rows[:, word] = words[word]
    padded = rows.reshape(-1).view(np.uint8)
    kept = np.packbits(padded != 0, bitorder="little")
    counts = np.bitwise_count(kept.reshape(-1, count))
    lengths = counts[:, 0]
    for word in range(1, count):
        lengths = lengths + counts[:, word]
    return Spelled(padded, kept, lengths)


def _pieces(column: npt.NDArray[Any]) -> list[tuple[Words | np.uint64, int]]:
    """Return what each group writes, as a word or a column of words, with its greatest width in bytes."""
    groups = column.view(np.uint16).reshape(-1, GROUP_COUNT)
    changed = [int(np.bitwise_or.reduce(column[half] ^ column[half][0])) for half in ("hi", "lo")]
    varies = [bool(changed[group // 4] >> 48 - group % 4 * 16 & 0xFFFF) for group in range(GROUP_COUNT)]
    pattern = _zero_patterns(groups, varies)
    present = np.flatnonzero(np.bincount(pattern, minlength=256))
    pieces: list[tuple[Words | np.uint64, int]] = []
    for group in range(GROUP_COUNT):
        words = _group_words(is_first=group == 0)
        emits = _shapes()[group].take(present)
        emits = emits[0] if (emits == emits[0]).all() else _shapes()[group].take(pattern)
        numbers = groups[:, SLOTS[group]] if varies[group] else groups[0, SLOTS[group]]
        index = numbers.astype(np.intp) + emits if emits.any() else numbers.astype(np.intp)
        width = len(f"{int(numbers.max()):x}") + (group > 0)
        if index.ndim == 0:
            width = {_ONE_COLON: 1, _TWO_COLONS: 2, _NOTHING: 0}.get(int(index), width)
            pieces.append((words[index], width))
        else:
            pieces.append((words.take(index), max(width, 2)))
    return pieces


def _zero_patterns(groups: npt.NDArray[np.uint16], varies: list[bool]) -> npt.NDArray[np.uint8]:
    """Return which groups are zero (bit k = group k): a pattern a row, or only one where all rows have it."""
    fixed = sum(1 << group for group in range(GROUP_COUNT) if not varies[group] and not groups[0, SLOTS[group]])
    pattern = np.full(1, fixed, np.uint8)
    for group in range(GROUP_COUNT):
        if varies[group] and not groups[:, SLOTS[group]].all():
            pattern = pattern | (groups[:, SLOTS[group]] == 0).astype(np.uint8) << np.uint8(group)
    return pattern


@cache
def _octet_pairs() -> tuple[Words, npt.NDArray[np.uint8]]:
    """Return the texts of ``a.b.`` and, behind them, of ``c.d``, and which of their bytes are characters."""
    texts = np.array([f"{octet}".encode() for octet in range(256)], "S8").view(_WORD)
    lengths = np.array([len(f"{octet}") for octet in range(256)], np.uint64)
    left, right = np.divmod(np.arange(65536), 256)
    dot, byte = np.uint64(ord(".")), np.uint64(8)
    pairs = texts[left] | dot << byte * lengths[left] | texts[right] << byte * (lengths[left] + np.uint64(1))
    width = lengths[left] + lengths[right] + np.uint64(1)
    words = np.concatenate([pairs | dot << byte * width, pairs]).astype(_WORD)
    widths = np.concatenate([width + np.uint64(1), width])
    return words, ((np.uint64(1) << widths) - np.uint64(1)).astype(np.uint8)


@cache
def _group_words(*, is_first: bool) -> Words:
    """Return the texts of all groups with a colon before them (none before the first), then ``:``, ``::``, nothing."""
    digits = np.array([f"{group:x}".encode() for group in range(65536)], "S8").view(_WORD)
    if not is_first:
        digits = digits << np.uint64(8) | np.uint64(_COLON)
    return np.append(digits, np.array([_COLON, _COLON << 8 | _COLON, 0], _WORD)).astype(_WORD)


@cache
def _shapes() -> npt.NDArray[np.intp]:
    """Return, for each group and each pattern of zero groups (bit k = group k), what the group writes.

    The first longest run of at least two zero groups writes ``:`` at its start, or ``::`` when it reaches the end, and
    nothing after; every later group brings its own colon.
    """
    shapes = np.full((GROUP_COUNT, 256), _TEXT, np.intp)
    for pattern in range(256):
        runs = [
            (length, -start)
            for start in range(GROUP_COUNT)
            for length in range(2, GROUP_COUNT - start + 1)
            if all(pattern >> group & 1 for group in range(start, start + length))
        ]
        if runs:
            length, start = max(runs)
            end = length - start
            shapes[-start:end, pattern] = _NOTHING
            shapes[-start, pattern] = _TWO_COLONS if end == GROUP_COUNT else _ONE_COLON
    return shapes
