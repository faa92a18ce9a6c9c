"""From bytes to batches of objects: whole documents at once, and one object at a time where a type is wrong.

A document is a ``List`` (or ``PodList`` and the like), one object, a bare array of objects, or several of these one
after another. The fast way decodes all objects of a document in one call. When that fails because one field of one
object has a wrong type, the same bytes are decoded object by object: the good ones are kept, each bad one becomes a
`Refusal` that names it. Bytes that are no JSON raise `dsmodel.errors.InvalidDump` with the place and the object begun.

What it does not know: where the bytes come from (`dsmodel.io.dump_sources`) and what the objects mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from dsmodel.errors import InvalidDump
from dsmodel.io.dump_kinds import SYSTEM_NAMESPACES, agents_among, is_handled, is_kept, runs_component
from dsmodel.io.dump_objects import (
    ABSENT,
    DumpDocument,
    DumpObject,
    Identity,
    Metadata,
    PodObject,
    RawDocument,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterator

    Buffer = bytes | bytearray | memoryview | mmap.mmap

__all__ = ["Batch", "PodBatch", "Refusal", "WholeObject", "decode_list", "decode_pods", "read_documents"]

# objects of a whole document that are handed on together, so that they can be freed as they are used
CHUNK: Final = 8192

_DOCUMENT = msgspec.json.Decoder(DumpDocument)
_OBJECT = msgspec.json.Decoder(DumpObject)
_OBJECTS = msgspec.json.Decoder(list[DumpObject])
_PODS = msgspec.json.Decoder(list[PodObject])
_RAW_DOCUMENT = msgspec.json.Decoder(RawDocument)
_RAW = msgspec.json.Decoder(Raw)
_RAWS = msgspec.json.Decoder(list[Raw])
_IDENTITY = msgspec.json.Decoder(Identity)
_METADATA = msgspec.json.Decoder(Metadata)
_TEXT = msgspec.json.Decoder(str)

_FAILURES = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_BYTE = re.compile(r"\(byte (\d+)\)")
_SPACE = b" \t\r\n\x00"
_BEGUN = re.compile(rb'"kind"\s*:\s*"(\w+)"\s*,\s*"metadata"\s*:\s*\{')
_NAME = re.compile(rb'"name"\s*:\s*"([^"]+)"')


@dataclass(frozen=True)
class Refusal:
    """An object that could not be used: what it calls itself, and why."""

    kind: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class WholeObject:
    """An object of a kind that is kept whole, still raw; kind and version may come from its list."""

    kind: str
    api_version: str
    raw: Raw


@dataclass
class Batch:
    """Objects of one file that are read together; raw ones are valid until the next batch is asked for."""

    file: str
    objects: list[DumpObject]
    refusals: list[Refusal] = field(default_factory=list)
    whole: list[WholeObject] = field(default_factory=list)


@dataclass
class PodBatch:
    """Pods of one file that are read together, none of which is looked into."""

    file: str
    objects: list[PodObject]


def read_documents(data: Buffer, file: str) -> Iterator[Batch]:
    """Decode every document in a buffer.

    Parameters
    ----------
    data : bytes-like
        One or more JSON documents, white space between them.
    file : str
        Name for messages.

    Yields
    ------
    Batch
        At most some thousands of objects each, in the order of the file.

    Raises
    ------
    InvalidDump
        Where the bytes are no JSON; the message says at which byte, and in which object.

    Examples
    --------
    >>> text = b'{"kind": "Node", "metadata": {"name": "a"}} {"kind": "Pod", "metadata": {"name": 7}}'
    >>> for batch in read_documents(text, "two.json"):
    ...     print([o.metadata.name for o in batch.objects], [(r.kind, r.message) for r in batch.refusals])
    ['a'] []
    [] [('Pod', 'Expected `str`, got `int` - at `$.metadata.name`')]
    """
    view = memoryview(data)
    done = 0
    while True:
        done = _next_document(view, done)
        if done == len(view):
            return
        try:
            batch, done = _decode_first(view, done, file)
        except msgspec.DecodeError as error:
            raise InvalidDump(_damage(view, file, str(error), start=done)) from None
        yield from _in_chunks(batch)


def decode_list(data: Buffer, file: str, *, kind: str = "", api_version: str = "") -> Batch:
    """Decode a JSON array of objects.

    Parameters
    ----------
    data : bytes-like
        The array, brackets included.
    file : str
        Name for messages.
    kind, api_version : str
        For objects that carry none, as the items of a ``PodList``.

    Returns
    -------
    Batch
        Decodable objects and refusals.

    Raises
    ------
    msgspec.DecodeError
        If it is no JSON array.

    Examples
    --------
    >>> decode_list(b'[{"metadata": {"name": "a"}}, 7]', "x", kind="Node").objects[0].kind
    'Node'
    """
    try:
        objects = _OBJECTS.decode(data)
    except _FAILURES:
        batch = Batch(file, [])
        for place, raw in enumerate(_raws(data)):
            _decode_one(raw, batch, kinds=(kind, api_version), place=place)
        return batch
    if kind:
        _fill_kinds(objects, kind, api_version)
    batch = Batch(file, objects)
    _set_apart(batch, lambda: _raws(data))
    return batch


def decode_pods(data: Buffer, file: str, *, met: set[tuple[str, str]]) -> PodBatch | None:
    """Decode a JSON array that holds nothing but Pods that need no second look.

    Parameters
    ----------
    data : bytes-like
        The array, brackets included.
    file : str
        Name for messages.
    met : set of (str, str)
        Agents of the network of which a Pod was found before, for `agents_among`; added to.

    Returns
    -------
    PodBatch or None
        None for everything else, as one wrong type, a Pod of the control plane, the first Pod of an agent of the
        network: then `decode_list` is the one to ask.

    Raises
    ------
    None
        What is no JSON is no array of Pods.

    Examples
    --------
    >>> text = b'[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]'
    >>> decode_pods(text, "x", met=set()).objects[0].metadata.name
    'a'
    >>> decode_pods(b'[{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}]', "x", met=set())
    """
    try:
        pods = _PODS.decode(data)
    except _FAILURES:
        return None
    if not SYSTEM_NAMESPACES.isdisjoint([pod.metadata.namespace for pod in pods]):
        metadata = [pod.metadata for pod in pods]
        if any(map(runs_component, metadata)) or agents_among(metadata, [pod.status.phase for pod in pods], met):
            return None
    return PodBatch(file, pods)


def _next_document(view: memoryview, start: int) -> int:
    """Skip white space."""
    while start < len(view) and view[start] in _SPACE:
        start += 1
    return start


def _decode_first(view: memoryview, start: int, file: str) -> tuple[Batch, int]:
    """Decode the document that starts at a place; return it and where it ends."""
    try:
        return _decode_document(view[start:], file), len(view)
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        if not trailing:
            raise
    # the decoder has looked one byte into what follows
    end = start + int(trailing.group(1)) - 1
    return _decode_document(view[start:end], file), end


def _decode_document(view: memoryview, file: str) -> Batch:
    """Decode one document."""
    if view[0] == ord("["):
        return decode_list(view, file)
    try:
        document = _DOCUMENT.decode(view)
    except _FAILURES:
        return _decode_wrong_document(view, file)
    if document.items is not None and _lists(document.kind):
        if document.kind not in {"", "List"}:
            _fill_kinds(document.items, document.kind.removesuffix("List"), document.api_version)
        batch = Batch(file, document.items)
        _set_apart(batch, lambda: _raws(_RAW_DOCUMENT.decode(view).items))
        return batch
    return _decode_single(view, file)


def _decode_single(view: memoryview, file: str) -> Batch:
    """Decode a document that is one object."""
    batch = Batch(file, [])
    _decode_one(_RAW.decode(view), batch)
    return batch


def _decode_wrong_document(view: memoryview, file: str) -> Batch:
    """Decode a document that has a wrong type somewhere, object by object."""
    try:
        document = _RAW_DOCUMENT.decode(view)
    except msgspec.ValidationError:
        raise InvalidDump(f"{file}: holds JSON, but no object: begins with {bytes(view[:20])!r}") from None
    except RecursionError:
        raise InvalidDump(f"{file}: is nested too deeply to be a dump") from None
    kind, api_version = _text(document.kind), _text(document.api_version)
    if document.items is ABSENT or not _lists(kind):
        return _decode_single(view, file)
    kind = kind.removesuffix("List")
    try:
        return decode_list(document.items, file, kind=kind, api_version=api_version)
    except msgspec.ValidationError as error:
        raise InvalidDump(f"{file}: items of the {kind or 'List'} are no array: {error}") from None


def _set_apart(batch: Batch, raws: Callable[[], list[Raw]]) -> None:
    """Move objects of kinds that are kept whole, which asks for all objects raw, to a list of their own."""
    places = [place for place, item in enumerate(batch.objects) if is_kept(item.kind, item.api_version)]
    if not places:
        return
    found = raws()
    batch.whole += [
        WholeObject(batch.objects[place].kind, batch.objects[place].api_version, found[place]) for place in places
    ]
    apart = set(places)
    batch.objects = [item for place, item in enumerate(batch.objects) if place not in apart]


def _raws(data: Buffer) -> list[Raw]:
    """Split an array into raw objects."""
    try:
        return _RAWS.decode(data)
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply to be a dump") from None


def _lists(kind: str) -> bool:
    """Whether a document of this kind with ``items`` is a list of objects."""
    return not kind or kind.endswith("List")


def _fill_kinds(objects: list[DumpObject], kind: str, api_version: str) -> None:
    """Give objects without a kind that of their list."""
    for item in objects:
        if not item.kind:
            item.kind, item.api_version = kind, item.api_version or api_version


def _decode_one(raw: Raw, batch: Batch, *, kinds: tuple[str, str] = ("", ""), place: int = 0) -> None:
    """Decode one object into the batch, or refuse it with its name; kind and version of its list are its own."""
    try:
        item: DumpObject | Refusal = _OBJECT.decode(raw)
    except _FAILURES as error:
        item = _refuse(raw, str(error), kinds=kinds, place=place)
    if isinstance(item, Refusal):
        batch.refusals.append(item)
        return
    if kinds[0]:
        _fill_kinds([item], *kinds)
    if is_kept(item.kind, item.api_version):
        batch.whole.append(WholeObject(item.kind, item.api_version, raw))
    else:
        batch.objects.append(item)


def _refuse(raw: Raw, message: str, *, kinds: tuple[str, str], place: int) -> Refusal | DumpObject:
    """Name an object that does not decode; of a kind that needs no decoding, it is known by its kind."""
    try:
        identity = _IDENTITY.decode(raw)
    except _FAILURES:
        return Refusal(kinds[0] or "object", f"number {place + 1} of its list", message)
    found, api_version = _text(identity.kind) or kinds[0], _text(identity.api_version)
    if found and not is_handled(found, api_version):
        return DumpObject(kind=found, api_version=api_version or kinds[1])
    try:
        metadata = _METADATA.decode(identity.metadata)
    except _FAILURES:
        metadata = Metadata()
    parts = [part for part in (metadata.namespace, metadata.name) if part]
    return Refusal(found or "object", "/".join(parts) or f"number {place + 1} of its list", message)


def _text(raw: Raw) -> str:
    """Read a raw text; anything else is empty."""
    try:
        return _TEXT.decode(raw)
    except _FAILURES:
        return ""


def _in_chunks(batch: Batch) -> Iterator[Batch]:
    """Hand a document on in parts, letting go of each part once it is used."""
    objects = batch.objects
    if len(objects) <= CHUNK:
        yield batch
        return
    yield Batch(batch.file, [], batch.refusals, batch.whole)
    objects.reverse()
    while objects:
        part = objects[-CHUNK:]
        del objects[-CHUNK:]
        part.reverse()
        yield Batch(batch.file, part)


def _damage(view: memoryview, file: str, message: str, *, start: int) -> str:
    """Say where a document breaks, and in which object."""
    where = _BYTE.search(message)
    at = min(start + int(where.group(1)), len(view)) if where else len(view)
    head = bytes(view[start : start + 64])
    if start and view[0] in b"{[" and not head.startswith((b"{", b"[")):
        return f"{file}: after a whole document, at byte {start:,}, comes what is no JSON: {head[:24]!r}"
    if at == start or not head.lstrip().startswith((b"{", b"[")):
        return f"{file}: is no JSON: begins with {head[:24]!r}"
    what = "ends too early" if "truncated" in message else message
    window = bytes(view[max(start, at - (1 << 20)) : at])
    begun = [match for match in _BEGUN.finditer(window) if match.group(1) != b"List"]
    inside = ""
    if begun:
        name = _NAME.search(window, begun[-1].end())
        inside = (
            f", in or after {begun[-1].group(1).decode()}/{name.group(1).decode(errors='replace') if name else '?'}"
        )
    return f"{file}: damaged at byte {at:,} of {len(view):,}{inside}: {what}; write the dump again"
