"""A ``List`` read in pieces: cut between two objects, decode, forget, read on.

A stream is copied piece by piece into one buffer, a file mapped into memory is cut where it lies. The cut is looked for
from the end of a piece: in indented output the line break and indentation between two items, which nothing deeper has;
in compact output the text that starts an object of the same form. A cut in the wrong place leaves brackets open, so the
decoder refuses it, and the piece is then read longer. Where no cut is ever found, the rest of the file is decoded as a
whole: slower in memory, never wrong.

What it does not know: what the objects mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from dsmodel.errors import InvalidDump
from dsmodel.io.dump_batches import Batch, PodBatch, decode_list, decode_pods, read_documents
from dsmodel.io.dump_objects import DumpDocument

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

__all__ = ["PIECE", "ByteStream", "read_mapped", "read_pieces"]

# bytes of a piece: hundreds of objects, and small enough to stay in the processor's cache between copy and decode
PIECE: Final = 1 << 20

_ITEMS = re.compile(rb'"items"\s*:\s*\[(\s*)(?=\{)')
# a mapped file without a cut in so many pieces is not cut
_MOST_PIECES: Final = 16
# the opening of a List must be this near to its beginning
_HEADER: Final = 1 << 16
_DOCUMENT = msgspec.json.Decoder(DumpDocument)
_COMPACT: Final = (
    b'},{"apiVersion":"v1","kind":"Pod","metadata":{',
    b'},{"metadata":{"name":"',
    b'},{"apiVersion":"v1","kind":"',
    b'},{"apiVersion":"',
    b'},{"kind":"',
    b'},{"',
)
# as Python's json and others write it
_SPACED: Final = tuple(
    separator.replace(b",{", b", {").replace(b":", b": ").replace(b',"', b', "') for separator in _COMPACT
)


class ByteStream(Protocol):
    """What a piece is read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer.

        Parameters
        ----------
        buffer : memoryview
            Writable.

        Returns
        -------
        int or None
            How many bytes were read; 0 or None at the end.

        Raises
        ------
        OSError
            If reading fails.
        """


class _Opening(NamedTuple):
    """What stands before the first object: its list's kind and version, how objects are parted; agents met behind."""

    kind: str
    api_version: str
    separators: tuple[bytes, ...]
    met: set[tuple[str, str]]


class _NoCut(Exception):
    """A mapped file cannot be cut."""


class _Window:
    """The part of a stream that is in memory: bytes `start` to `end` of `buffer`; `start` never is 0."""

    def __init__(self, stream: ByteStream, size: int) -> None:
        self.stream = stream
        self.buffer = bytearray(size)
        self.start = self.end = 1
        self.at_end = False

    def fill(self) -> None:
        """Read until the buffer is full or the stream ends."""
        with memoryview(self.buffer) as view:
            while self.end < len(view) and not self.at_end:
                count = self.stream.readinto(view[self.end :])
                self.at_end = not count
                self.end += count or 0

    def grow(self) -> None:
        """Double the buffer; its old bytes may still be looked at."""
        buffer = bytearray(2 * len(self.buffer))
        buffer[: self.end] = self.buffer[: self.end]
        self.buffer = buffer

    def advance(self, place: int) -> None:
        """Forget what lies before a place."""
        rest = self.buffer[place : self.end]
        self.start, self.end = 1, 1 + len(rest)
        self.buffer[1 : self.end] = rest

    def rest(self) -> bytes:
        """Read all that is left."""
        while not self.at_end:
            self.fill()
            if not self.at_end:
                self.grow()
        return bytes(self.buffer[self.start : self.end])


class _MappedWindow:
    """A part of a mapped file, looked at where it lies; `start` is 0 only before the opening is read."""

    def __init__(self, buffer: mmap.mmap, size: int) -> None:
        self.buffer, self.size = buffer, size
        self.start = self.end = 0
        self.at_end = False

    def fill(self) -> None:
        """Look at one piece from `start` on."""
        self.end = min(self.start + self.size, len(self.buffer))
        self.at_end = self.end == len(self.buffer)

    def grow(self) -> None:
        """Double the piece."""
        self.size *= 2
        if self.size > _MOST_PIECES * PIECE:
            raise _NoCut

    def advance(self, place: int) -> None:
        """Forget what lies before a place."""
        self.start = place

    def rest(self) -> bytes:
        """Copy all that is left."""
        return self.buffer[self.start :]


_AnyWindow: TypeAlias = _Window | _MappedWindow


def read_pieces(stream: ByteStream, file: str, *, size: int = PIECE) -> Iterator[Batch | PodBatch]:
    """Decode a stream in pieces.

    Parameters
    ----------
    stream : ByteStream
        JSON text, as a binary file gives it.
    file : str
        Name for messages.
    size : int
        Bytes of a piece.

    Yields
    ------
    Batch or PodBatch
        Its raw fields are valid until the next one is asked for: the buffer is used again.

    Raises
    ------
    InvalidDump
        Where the bytes are no JSON; the message says at which byte, and in which object.

    Examples
    --------
    >>> import io
    >>> items = ",".join('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p%d"}}' % i for i in range(4))
    >>> text = '{"apiVersion":"v1","items":[' + items + '],"kind":"List"}'
    >>> [len(batch.objects) for batch in read_pieces(io.BytesIO(text.encode()), "x", size=160)]
    [1, 1, 2]
    """
    window = _Window(stream, max(size, 64))
    window.fill()
    opening = _opening(window)
    if opening is None:
        yield from read_documents(window.rest(), file)
    else:
        yield from _read_list(window, file, opening)


def read_mapped(buffer: mmap.mmap, file: str, *, size: int = PIECE) -> list[Batch | PodBatch] | None:
    """Decode a mapped file piece by piece, which is quicker than at once: a piece stays in the processor's cache.

    Parameters
    ----------
    buffer : mmap.mmap
        Mapped with ``ACCESS_COPY``: brackets are written where it is cut, the file stays as it is.
    file : str
        Name for messages.
    size : int
        Bytes of a piece.

    Returns
    -------
    list of Batch and PodBatch, or None
        None where the file is no ``List`` that can be cut, is damaged, or holds an object that cannot be used: then
        `dsmodel.io.dump_batches.read_documents` reads it, or says what is wrong and where.

    Raises
    ------
    OSError
        If reading fails.
    """
    window = _MappedWindow(buffer, size)
    window.fill()
    opening = _opening(window)
    if opening is None:
        return None
    try:
        batches = list(_read_list(window, file, opening))
    except (_NoCut, InvalidDump):
        return None
    refused = any(batch.refusals for batch in batches if isinstance(batch, Batch))
    return None if refused else batches


def _read_list(window: _AnyWindow, file: str, opening: _Opening) -> Iterator[Batch | PodBatch]:
    """Decode a list from its first object on."""
    passed = window.start - 1
    while not window.at_end:
        batch, after = _cut(window, file, opening)
        if batch is None:
            window.grow()
        else:
            yield batch
            passed += after - window.start
            window.advance(after)
        window.fill()
    rest = b'{"kind":"%sList","apiVersion":"%s","items":[' % (opening.kind.encode(), opening.api_version.encode())
    rest += window.rest()
    try:
        yield from read_documents(rest, file)
    except InvalidDump as error:
        raise InvalidDump(f"{error} (after {passed:,} bytes that were read)") from None


def _opening(window: _AnyWindow) -> _Opening | None:
    """Read what stands before the first object, and leave the window there; None where no list begins."""
    match = _ITEMS.search(window.buffer, window.start, min(window.end, _HEADER))
    if match is None:
        return None
    try:
        document = _DOCUMENT.decode(window.buffer[window.start : match.end()] + b"]}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if document.items != [] or not (document.kind or "List").endswith("List"):
        return None
    space = match.group(1)
    window.start = match.end()
    separators = _SPACED if b": " in match.group() else _COMPACT
    if space:
        separators = (space + b"}," + space + b"{",)
    return _Opening(document.kind.removesuffix("List"), document.api_version, separators, set())


def _cut(window: _AnyWindow, file: str, opening: _Opening) -> tuple[Batch | PodBatch | None, int]:
    """Decode up to the last cut that holds; return the batch and where the next object starts."""
    buffer, start = window.buffer, window.start
    for separator in opening.separators:
        found = buffer.rfind(separator, start, window.end)
        if found < 0:
            continue
        comma = found + separator.index(b"},") + 1
        saved = buffer[start - 1], buffer[comma]
        buffer[start - 1], buffer[comma] = b"[]"
        batch = _decode(memoryview(buffer)[start - 1 : comma + 1], file, opening)
        if batch is not None:
            return batch, buffer.find(b"{", comma)
        buffer[start - 1], buffer[comma] = saved
    return None, start


def _decode(data: memoryview, file: str, opening: _Opening) -> Batch | PodBatch | None:
    """Decode one piece; None if it is cut in the wrong place, or the kind of its objects may stand behind it."""
    pods = decode_pods(data, file, met=opening.met)
    if pods is not None:
        return pods
    try:
        batch = decode_list(data, file, kind=opening.kind, api_version=opening.api_version)
    except msgspec.DecodeError:
        return None
    return batch if opening.kind or "" not in [item.kind for item in batch.objects] else None
