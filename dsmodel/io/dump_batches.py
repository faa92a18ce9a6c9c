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
from dsmodel.io.dump_objects import (
    ABSENT,
    DumpDocument,
    DumpObject,
    Identity,
    Metadata,
    PodMetadata,
    PodObject,
    RawDocument,
)

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    Buffer = bytes | bytearray | memoryview | mmap.mmap

__all__ = [
    "COMPONENTS",
    "HANDLED",
    "SYSTEM",
    "Batch",
    "PodBatch",
    "Refusal",
    "decode_list",
    "decode_pods",
    "is_handled",
    "read_documents",
    "runs_component",
]

# kind -> API groups it is read from; the same kind of another group is somebody's custom resource
HANDLED: Final = {
    "ConfigMap": ("",),
    "EndpointSlice": ("discovery.k8s.io",),
    "Endpoints": ("",),
    "Event": ("", "events.k8s.io"),
    "IPAddress": ("networking.k8s.io",),
    "Node": ("",),
    "Pod": ("",),
    "Service": ("",),
    "ServiceCIDR": ("networking.k8s.io",),
}

# where the control plane's Pods are, and the ones whose command lines tell the configuration
SYSTEM: Final = "kube-system"
COMPONENTS: Final = ("kube-apiserver", "kube-controller-manager")

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


@dataclass
class Batch:
    """Objects of one file that are read together; raw fields are valid until the next batch is asked for."""

    file: str
    objects: list[DumpObject]
    refusals: list[Refusal] = field(default_factory=list)


@dataclass
class PodBatch:
    """Pods of one file that are read together, none of them of the control plane."""

    file: str
    objects: list[PodObject]


def is_handled(kind: str, api_version: str) -> bool:
    """Tell whether objects of a kind are read, rather than counted as ignored.

    Parameters
    ----------
    kind, api_version : str
        As in the object; an object without ``apiVersion`` is taken to be of the kind's own group.

    Returns
    -------
    bool
        False for kinds not in `HANDLED` and for the same kind of another API group.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> is_handled("Service", "v1"), is_handled("Service", "serving.knative.dev/v1"), is_handled("Secret", "v1")
    (True, False, False)
    """
    groups = HANDLED.get(kind)
    if groups is None:
        return False
    return not api_version or api_version.rpartition("/")[0] in groups


def runs_component(metadata: PodMetadata) -> bool:
    """Tell whether a Pod may run a component of the control plane whose command line is read.

    Parameters
    ----------
    metadata : PodMetadata
        The Pod's.

    Returns
    -------
    bool
        By namespace and name.

    Raises
    ------
    None
        Every Pod has an answer.

    Examples
    --------
    >>> runs_component(PodMetadata("kube-apiserver-a", "kube-system")), runs_component(PodMetadata("a", "default"))
    (True, False)
    """
    return metadata.namespace == SYSTEM and any(name in metadata.name for name in COMPONENTS)


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
            _decode_one(raw, batch, kind=kind, place=place)
        objects = batch.objects
    else:
        batch = Batch(file, objects)
    if kind:
        _fill_kinds(objects, kind, api_version)
    return batch


def decode_pods(data: Buffer, file: str) -> PodBatch | None:
    """Decode a JSON array that holds nothing but Pods outside the control plane.

    Parameters
    ----------
    data : bytes-like
        The array, brackets included.
    file : str
        Name for messages.

    Returns
    -------
    PodBatch or None
        None for everything else, as one wrong type: then `decode_list` is the one to ask.

    Raises
    ------
    None
        What is no JSON is no array of Pods.

    Examples
    --------
    >>> decode_pods(b'[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]', "x").objects[0].metadata.name
    'a'
    >>> decode_pods(b'[{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}]', "x")
    """
    try:
        pods = _PODS.decode(data)
    except _FAILURES:
        return None
    if SYSTEM in [pod.metadata.namespace for pod in pods] and any(runs_component(pod.metadata) for pod in pods):
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
        return Batch(file, document.items)
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


def _decode_one(raw: Raw, batch: Batch, *, kind: str = "", place: int = 0) -> None:
    """Decode one object into the batch, or refuse it with its name."""
    try:
        item = _OBJECT.decode(raw)
    except _FAILURES as error:
        refused = _refuse(raw, str(error), kind=kind, place=place)
        if isinstance(refused, Refusal):
            batch.refusals.append(refused)
        else:
            batch.objects.append(refused)
    else:
        batch.objects.append(item)


def _refuse(raw: Raw, message: str, *, kind: str, place: int) -> Refusal | DumpObject:
    """Name an object that does not decode; a kind nobody reads stays countable, whatever its fields hold."""
    try:
        identity = _IDENTITY.decode(raw)
    except _FAILURES:
        return Refusal(kind or "object", f"number {place + 1} of its list", message)
    found, api_version = _text(identity.kind) or kind, _text(identity.api_version)
    if found and not is_handled(found, api_version):
        return DumpObject(kind=found, api_version=api_version)
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
    yield Batch(batch.file, [], batch.refusals)
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
