"""A ``List`` read in pieces: cut between two objects, decode, forget, read on.

The buffer holds one piece. The cut is looked for from its end: in indented output the line break and indentation
between two items, which nothing deeper has; in compact output the text that starts an object of the same form. A cut
in the wrong place leaves brackets open, so the decoder refuses it, and the piece is then read longer. Where no cut is
ever found, the rest of the file is decoded as a whole: slower in memory, never wrong.

What it does not know: what the objects mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from dsmodel.errors import InvalidDump
from dsmodel.io.dump_batches import Batch, decode_list, read_documents
from dsmodel.io.dump_objects import DumpDocument

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PIECE", "ByteStream", "read_pieces"]

# bytes of a piece: hundreds of objects, and small enough to stay in the processor's cache between copy and decode
PIECE: Final = 2 << 20

_ITEMS = re.compile(rb'"items"\s*:\s*\[(\s*)(?=\{)')
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


def read_pieces(stream: ByteStream, file: str, *, size: int = PIECE) -> Iterator[Batch]:
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
    Batch
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
        return
    kind, api_version, separators = opening
    passed = window.start - 1
    while not window.at_end:
        batch, after = _cut(window, file, separators, kind=kind, api_version=api_version)
        if batch is None:
            window.grow()
        else:
            yield batch
            passed += after - window.start
            window.advance(after)
        window.fill()
    rest = b'{"kind":"%sList","apiVersion":"%s","items":[' % (kind.encode(), api_version.encode())
    rest += window.rest()
    try:
        yield from read_documents(rest, file)
    except InvalidDump as error:
        raise InvalidDump(f"{error} (after {passed:,} bytes that were read)") from None


def _opening(window: _Window) -> tuple[str, str, tuple[bytes, ...]] | None:
    """Read what stands before the first object: kind and version of its list, and how objects are parted.

    Leaves the window at the first object; None where the stream does not begin with a list.
    """
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
    separators = (space + b"}," + space + b"{",) if space else _COMPACT
    return document.kind.removesuffix("List"), document.api_version, separators


def _cut(
    window: _Window, file: str, separators: tuple[bytes, ...], *, kind: str, api_version: str
) -> tuple[Batch | None, int]:
    """Decode up to the last cut that holds; return the batch and where the next object starts."""
    buffer, start = window.buffer, window.start
    for separator in separators:
        found = buffer.rfind(separator, start, window.end)
        if found < 0:
            continue
        comma = found + separator.index(b"},") + 1
        saved = buffer[start - 1], buffer[comma]
        buffer[start - 1], buffer[comma] = b"[]"
        try:
            batch = decode_list(memoryview(buffer)[start - 1 : comma + 1], file, kind=kind, api_version=api_version)
        except msgspec.DecodeError:
            buffer[start - 1], buffer[comma] = saved
            continue
        if not kind and any(not item.kind for item in batch.objects):
            # the list's kind may stand at its end
            buffer[start - 1], buffer[comma] = saved
            return None, start
        return batch, buffer.index(b"{", comma)
    return None, start
