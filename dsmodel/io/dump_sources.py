"""Where a dump's bytes come from: a file, a folder of files, gzip, YAML, stdin, an open file.

A plain file is mapped into memory and decoded whole, or read in pieces; what is compressed, or comes from a pipe, is
read in pieces unless told otherwise. Gzip and UTF-16 (what a Windows shell writes) are told by their first bytes, YAML
by the name or by its first words. Secrets in YAML are cut out of the syntax tree before any value is made of them.

What it does not know: what the objects mean.
"""

from __future__ import annotations

import gzip
import io
import mmap
import os
import re
import sys
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

import msgspec

from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.dump_batches import Batch, PodBatch, read_documents
from dsmodel.io.dump_pieces import PIECE, read_mapped, read_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dsmodel.io.dump_pieces import ByteStream

    Place = str | os.PathLike[str] | IO[Any]

__all__ = ["STREAM_FROM", "DumpSource", "find_sources", "read_source"]

# plain files above this size are read in pieces when the caller leaves the choice
STREAM_FROM: Final = 64 << 20
# suffixes that are looked at in a folder
SUFFIXES: Final = (".json", ".json.gz", ".yaml", ".yml", ".yaml.gz", ".yml.gz")

# mapped files above this size are decoded piece by piece
_CUT_FROM: Final = 4 * PIECE

_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_YAML_HEAD = re.compile(rb"\s*(#[^\n]*\n\s*)*(---|%YAML|- )|(?m:^(apiVersion|kind|items|metadata):)")
_TABLE_HEAD = re.compile(rb"\s*(NAMESPACE|NAME) {2,}")
_BROKEN = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class DumpSource:
    """One stream of bytes to read.

    Parameters
    ----------
    name : str
        For messages and findings.
    path : pathlib.Path, optional
        None for an open file.
    stream : file object, optional
        None for a path.
    asked_for : bool
        Named by the caller, rather than found in a folder: then it must be a dump.
    """

    name: str
    path: Path | None = None
    stream: IO[Any] | None = None
    asked_for: bool = True

    @property
    def size(self) -> int | None:
        """Bytes on disk, None where nobody knows."""
        return self.path.stat().st_size if self.path is not None else None


def find_sources(places: Place | Iterable[Place]) -> list[DumpSource]:
    """List what there is to read.

    Parameters
    ----------
    places : path, file object, "-", or iterable of these
        ``"-"`` is stdin. A folder stands for every dump file below it, in the order of their names.

    Returns
    -------
    list of DumpSource
        In the order asked for.

    Raises
    ------
    InvalidDump
        If a path does not exist, or a folder holds no file with a suffix of a dump.
    InvalidInput
        If nothing is asked for, or it is neither path nor file.

    Examples
    --------
    >>> import io
    >>> [source.name for source in find_sources(["-", io.StringIO("{}")])]
    ['<stdin>', '<stream>']
    """
    single = isinstance(places, str | os.PathLike) or hasattr(places, "read")
    listed = [cast("Place", places)] if single else list(cast("Iterable[Place]", places))
    if not listed:
        raise InvalidInput("no dump is named; give a file, a folder, or '-' for standard input")
    found: list[DumpSource] = []
    for place in listed:
        if isinstance(place, str) and place == "-":
            found.append(DumpSource("<stdin>", stream=sys.stdin))
        elif isinstance(place, str | os.PathLike):
            found += _below(Path(place))
        elif hasattr(place, "read"):
            name = getattr(place, "name", None)
            found.append(DumpSource(name if isinstance(name, str) else "<stream>", stream=place))
        else:
            raise InvalidInput(f"{place!r} is neither a path nor an open file; give a file, a folder, or '-'")
    return found


def read_source(
    source: DumpSource, *, streaming: bool | None = None, advance: Callable[[int], object] = int
) -> Iterator[Batch | PodBatch]:
    """Decode everything a source holds.

    Parameters
    ----------
    source : DumpSource
        What to read.
    streaming : bool, optional
        True for pieces, False for the whole at once; None chooses by size.
    advance : callable
        Told how many bytes of the source were read, from time to time.

    Yields
    ------
    Batch or PodBatch
        Its raw fields are valid until the next one is asked for.

    Raises
    ------
    InvalidDump
        If it cannot be read, is empty, or is no dump; the message names the file and, where known, the object.

    Examples
    --------
    >>> import io
    >>> [batch.objects[0].kind for batch in read_source(DumpSource("x", stream=io.StringIO('{"kind": "Node"}')))]
    ['Node']
    """
    try:
        with _opened(source) as stream:
            yield from _read_stream(stream, source, streaming=streaming, advance=advance)
    except _BROKEN as error:
        raise InvalidDump(f"{source.name}: gzip data is damaged or cut short: {error}; write the dump again") from None
    except OSError as error:
        raise InvalidDump(f"{source.name}: cannot be read: {error.strerror or error}") from None


def _below(path: Path) -> list[DumpSource]:
    """List one path, or the files below a folder."""
    if not path.exists():
        raise InvalidDump(f"{path}: no such file or folder")
    if not path.is_dir():
        return [DumpSource(str(path), path=path)]
    files = sorted(p for p in path.rglob("*") if p.name.lower().endswith(SUFFIXES) and p.is_file())
    if not files:
        raise InvalidDump(f"{path}: the folder holds no dump; its files would end in {', '.join(SUFFIXES)}")
    return [DumpSource(str(p), path=p, asked_for=False) for p in files]


@contextmanager
def _opened(source: DumpSource) -> Iterator[IO[bytes]]:
    """Open a source for reading bytes."""
    if source.path is not None:
        with source.path.open("rb") as file:
            yield file
        return
    stream = source.stream
    yield getattr(stream, "buffer", None) or cast("IO[bytes]", _Encoded(cast("IO[Any]", stream)))


class _Encoded(io.RawIOBase):
    """A file object of text or bytes, read as bytes."""

    def __init__(self, stream: IO[Any]) -> None:
        super().__init__()
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # a character takes at most four bytes
        data = self.stream.read(max(1, len(buffer) // 4))
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data or b""
        buffer[: len(data)] = data
        return len(data)


class _Counted(io.RawIOBase):
    """A binary file with its first bytes put back, telling how far it is read."""

    def __init__(self, head: bytes, stream: IO[bytes], advance: Callable[[int], object]) -> None:
        super().__init__()
        self.head, self.stream, self.advance = head, stream, advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.head:
            count = min(len(buffer), len(self.head))
            buffer[:count], self.head = self.head[:count], self.head[count:]
        else:
            count = cast("io.RawIOBase", self.stream).readinto(buffer) or 0
        self.advance(count)
        return count


def _read_stream(
    stream: IO[bytes], source: DumpSource, *, streaming: bool | None, advance: Callable[[int], object]
) -> Iterator[Batch | PodBatch]:
    """Decode an open binary file."""
    head = _read_head(stream)
    if not head:
        raise InvalidDump(f"{source.name}: is empty")
    packed = head.startswith(_GZIP)
    reader: Any = io.BufferedReader(_Counted(head, stream, advance), 1 << 16)
    if packed:
        reader = gzip.GzipFile(fileobj=reader)
        head = reader.peek(512)[:512]
    if not head.strip():
        raise InvalidDump(f"{source.name}: holds nothing but white space")
    if not _is_json(head, source):
        yield from read_documents(_json_of_text(reader.read(), source), source.name)
        advance(0)
    elif _in_pieces(source, packed=packed, streaming=streaming):
        yield from read_pieces(cast("ByteStream", reader), source.name)
    elif packed or source.path is None:
        yield from read_documents(reader.read(), source.name)
    else:
        yield from _read_mapped(stream, source)
        advance(source.size or 0)


def _read_head(stream: IO[bytes]) -> bytes:
    """Read enough of a file to tell what it is."""
    head = b""
    while len(head) < 512:
        part = stream.read(512 - len(head))
        if not part:
            break
        head += part
    return head


def _in_pieces(source: DumpSource, *, packed: bool, streaming: bool | None) -> bool:
    """Choose between pieces and the whole."""
    if streaming is not None:
        return streaming
    return packed or source.size is None or source.size >= STREAM_FROM


def _is_json(head: bytes, source: DumpSource) -> bool:
    """Tell JSON from other text by its beginning."""
    suffix = source.name.lower().removesuffix(".gz")
    return head.lstrip()[:1] in {b"{", b"["} and not suffix.endswith((".yaml", ".yml"))


def _read_mapped(stream: IO[bytes], source: DumpSource) -> Iterator[Batch | PodBatch]:
    """Decode a plain file where the operating system maps it."""
    # not closed by hand: views of it live as long as the batch in use
    cuttable = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    batches = read_mapped(cuttable, source.name) if len(cuttable) > _CUT_FROM else None
    if batches is not None:
        batches.reverse()
        while batches:
            yield batches.pop()
        return
    yield from read_documents(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), source.name)


def _json_of_text(data: bytes, source: DumpSource) -> bytes:
    """Turn UTF-16 and YAML into JSON; refuse the rest."""
    name = source.name
    if data.startswith(_UTF16):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError as error:
            raise InvalidDump(f"{name}: begins as UTF-16 and is none: {error}") from None
    data = data.removeprefix(_UTF8_MARK)
    yaml_name = name.lower().removesuffix(".gz").endswith((".yaml", ".yml"))
    if data.lstrip()[:1] in {b"{", b"["} and not yaml_name:
        return data
    if _TABLE_HEAD.match(data):
        raise InvalidDump(f"{name}: is the table kubectl prints for people; write the dump with -o json")
    if yaml_name or _YAML_HEAD.search(data[:4096]):
        return _json_of_yaml(data, name)
    raise InvalidDump(f"{name}: is neither JSON nor YAML: begins with {data[:24]!r}; write the dump with -o json")


def _json_of_yaml(data: bytes, name: str) -> bytes:
    """Turn YAML documents into JSON ones, Secrets left out."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    parts = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None and _without_secrets(node):
                parts.append(msgspec.json.encode(loader.construct_document(node)))
    except yaml.YAMLError as error:
        raise InvalidDump(f"{name}: is no YAML: {' '.join(str(error).split())}") from None
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InvalidDump(f"{name}: YAML holds what JSON cannot: {error}") from None
    finally:
        loader.dispose()
    if not parts:
        raise InvalidDump(f"{name}: holds no object")
    return b"\n".join(parts)


def _without_secrets(node: Any) -> bool:
    """Cut the content out of Secrets in a syntax tree; False for an empty document."""
    if node.id == "scalar" and node.tag == "tag:yaml.org,2002:null":
        return False
    waiting, seen = [node], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if part.id == "mapping":
            values = {key.value: value for key, value in part.value if key.id == "scalar"}
            if "kind" in values and values["kind"].value == "Secret":
                part.value = [(key, value) for key, value in part.value if key.value in ("apiVersion", "kind")]
            elif "items" in values:
                waiting.append(values["items"])
        elif part.id == "sequence":
            waiting += part.value
    return True
