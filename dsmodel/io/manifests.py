"""Manifests in and out: YAML of many documents, rendered charts, Lists, JSON; what cannot be read is told where.

Promises: every document becomes one `Document` for each object in it, in order; one that cannot be read becomes a
`Document` with `error` set, never a traceback, and the others are read all the same. Kinds that are not asked for are
skipped and counted, most of them without being parsed; the content of a Secret is never kept.

Not known here: what a server says to an object (`dsmodel.reports.admission`); how to render a chart.

Sources: ``pkg/util/yaml/decoder.go`` of k8s.io/apimachinery; ``pkg/resource/visitor.go`` of k8s.io/cli-runtime.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.dump_sources import DumpSource, find_sources
from dsmodel.io.yaml_documents import MOST_DEEP, YamlPart, read_yaml, split_documents, yaml_scalar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import pandas as pd

    Place = str | os.PathLike[str] | IO[Any]

__all__ = ["Document", "Manifests", "read_manifests", "write_manifests"]

MOST_BYTES: Final = 1 << 30
"""Bytes of one file, unpacked, that are read."""

_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BROKEN = (OSError, EOFError, zlib.error)
_KIND = re.compile(rb"^kind:[ \t]*[\"']?([A-Za-z]+)[\"']?[ \t]*(?:#[^\n]*)?\r?$", re.MULTILINE)
_SPACE = re.compile(r"\s*")
_TEMPLATE = "holds a template that is not rendered, {{ … }}; render the chart first, for example with helm template"
_NO_KIND: Final = "no kind"
# kind -> API group of the one that is meant; others of that name, like Knative's Service, are other kinds
_GROUPS: Final[dict[str, str]] = {"Service": "", "Node": "", "ServiceCIDR": "networking.k8s.io"} | {
    "IPAddress": "networking.k8s.io"
}


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest, or one document that could not be read.

    Parameters
    ----------
    file : str
        Where it came from.
    document : int
        Which document of the file, from 1; documents without content do not count. 0 where the file cannot be read.
    line : int
        Line of the file the document begins at, from 1.
    kind, namespace, name : str
        Of the object, empty where it has none. A name that is no text is shown as text.
    object : dict or None
        The object as decoded; None where it could not be.
    error : str
        Why it could not be read; empty where it could.
    findings : tuple of str
        What was read, but not as it is written: keys that stand twice.
    """

    file: str
    document: int
    line: int = 1
    kind: str = ""
    namespace: str = ""
    name: str = ""
    object: dict[str, Any] | None = None
    error: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifests:
    """What was read.

    Parameters
    ----------
    documents : tuple of Document
        Objects of the kinds asked for, and documents that could not be read, in order.
    skipped : mapping of str to int
        How many objects of each other kind there were.
    """

    documents: tuple[Document, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the documents."""
        return len(self.documents)

    def __iter__(self) -> Iterator[Document]:
        """Go through the documents in order."""
        return iter(self.documents)

    def __repr__(self) -> str:
        """Say how many there are of what."""
        read = Counter(entry.kind or "unreadable" if not entry.error else "unreadable" for entry in self.documents)
        counted = ", ".join(f"{count:,} {kind}" for kind, count in sorted(read.items()))
        return f"Manifests({counted or 'nothing'}; {sum(self.skipped.values()):,} of other kinds)"

    def to_frame(self) -> pd.DataFrame:
        """Lay the documents out.

        Returns
        -------
        DataFrame
            ``file``, ``document``, ``line``, ``kind``, ``namespace``, ``name``, ``error``, ``findings`` as text.

        Raises
        ------
        None
            Every record has a frame.
        """
        import pandas as pd

        from dsmodel.cluster.frames import TEXT_DTYPE

        columns: dict[str, Any] = {}
        for name in ("file", "document", "line", "kind", "namespace", "name", "error"):
            values = [getattr(entry, name) for entry in self.documents]
            columns[name] = pd.Series(values, dtype="int64" if name in {"document", "line"} else TEXT_DTYPE)
        told = ["; ".join(entry.findings) for entry in self.documents]
        return pd.DataFrame({**columns, "findings": pd.Series(told, dtype=TEXT_DTYPE)})


def read_manifests(places: Place | Iterable[Place], *, kinds: Collection[str] = ("Service",)) -> Manifests:
    """Read manifests.

    Parameters
    ----------
    places : path, "-", file object, text of YAML or JSON, or iterable of these
        A folder stands for every .yaml, .yml and .json file below it, plain or gzip, for example a rendered chart.
        ``"-"`` is standard input. Text is told from a path by its line breaks or its ``{``.
    kinds : collection of str
        Which kinds to keep: Service, Node, ServiceCIDR, IPAddress, or any other.

    Returns
    -------
    Manifests
        The objects in order, and how many there were of other kinds. Files that were only found in a folder may hold
        documents that are no Kubernetes objects; those are skipped too.

    Raises
    ------
    InvalidDump
        If a path does not exist, or a folder holds no manifest.
    InvalidInput
        If nothing is named, or a file that is named is larger than `MOST_BYTES`.

    Examples
    --------
    >>> manifests = read_manifests('''
    ... kind: Service
    ... apiVersion: v1
    ... metadata: {name: web}
    ... ---
    ... {kind: Secret, apiVersion: v1}
    ... ''')
    >>> manifests, manifests.documents[0].name, manifests.skipped
    (Manifests(1 Service; 1 of other kinds), 'web', {'Secret': 1})
    """
    reading = _Reading(frozenset(kinds))
    for source in _sources(places):
        reading.read(source)
    return Manifests(tuple(reading.documents), dict(sorted(reading.skipped.items())))


def write_manifests(objects: Iterable[Any], place: str | os.PathLike[str] | None = None) -> str:
    """Write objects as YAML documents, or as one JSON List.

    Parameters
    ----------
    objects : Manifests or iterable of dict
        Unreadable documents of `Manifests` are left out.
    place : path, optional
        Where to write; a name that ends in ``.json`` gets a List. Nothing is written without it.

    Returns
    -------
    str
        What was written, or would be. kubectl and `read_manifests` read the same objects from it.

    Raises
    ------
    InvalidInput
        If an object holds something that JSON has no form for.

    Examples
    --------
    >>> print(write_manifests([{"kind": "Service", "metadata": {"name": "y"}}]), end="")
    kind: Service
    metadata:
      name: 'y'
    """
    plain = [getattr(entry, "object", entry) for entry in objects]
    plain = [entry for entry in plain if entry is not None]
    try:
        if place is not None and os.fspath(place).endswith(".json"):
            listed = {"apiVersion": "v1", "kind": "List", "items": plain}
            text = json.dumps(listed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        else:
            json.dumps(plain, allow_nan=False)
            text = _yaml_text(plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"an object that JSON has no form for: {error}") from None
    if place is not None:
        Path(place).write_text(text, encoding="utf-8", newline="\n")
    return text


def _yaml_text(objects: list[Any]) -> str:
    """Write documents so that go-yaml reads text as text."""
    import yaml

    class Writer(yaml.SafeDumper):
        """PyYAML, quoting what go-yaml would take for a number or a boolean, and repeating instead of aliasing."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML calls it with the value
            return True

    def text_of(writer: Any, value: str) -> Any:
        plain = isinstance(yaml_scalar(value), str) and value != "<<"
        return writer.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else "'")

    Writer.add_representer(str, text_of)
    return str(yaml.dump_all(objects, Dumper=Writer, sort_keys=False, allow_unicode=True, width=120))


def _sources(places: Any) -> list[DumpSource]:
    """List what there is to read, text among it."""
    single = isinstance(places, str | os.PathLike) or hasattr(places, "read")
    listed = [places] if single else list(places)
    if not listed:
        raise InvalidInput("no manifest is named; give a file, a folder, text, or '-' for standard input")
    found: list[DumpSource] = []
    for place in listed:
        if isinstance(place, str) and ("\n" in place or place.lstrip()[:1] == "{"):
            found.append(DumpSource("<text>", stream=io.StringIO(place)))
        else:
            found += find_sources(place)
    return found


def _bytes_of(source: DumpSource) -> bytes:
    """Read a source whole, unpacked, as UTF-8."""
    stream = source.path.open("rb") if source.path is not None else source.stream or sys.stdin
    try:
        stream = getattr(stream, "buffer", stream)
        given = cast("IO[Any]", stream).read(MOST_BYTES + 1)
    finally:
        if source.path is not None:
            stream.close()
    data = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else bytes(given)
    if data.startswith(_GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            data = packed.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"{source.name}: is larger than {MOST_BYTES >> 20} MiB; name its parts one by one")
    if data.startswith(_UTF16):
        data = data.decode("utf-16", "replace").encode()
    return data.removeprefix(_UTF8_MARK)


class _Reading:
    """Everything read so far."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self.kinds = kinds
        self.opened = frozenset(kind.encode() for kind in kinds)
        self.documents: list[Document] = []
        self.skipped: Counter[str] = Counter()
        self.asked_for = True

    def read(self, source: DumpSource) -> None:
        """Read one source; one that cannot be read is a document with an error unless it was named."""
        self.asked_for = source.asked_for
        try:
            data = _bytes_of(source)
        except InvalidInput as error:
            if source.asked_for:
                raise
            self.documents.append(Document(source.name, 0, error=str(error)))
            return
        except _BROKEN as error:
            problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            if source.asked_for:
                raise InvalidDump(f"{source.name}: {problem}") from None
            self.documents.append(Document(source.name, 0, error=problem))
            return
        if data.lstrip()[:1] == b"{" and self._read_json(data, source.name):
            return
        for number, part in enumerate(split_documents(data), 1):
            self._read_part(part, source.name, number)

    def _read_json(self, data: bytes, file: str) -> bool:
        """Read one JSON document after the other; False where it is none, and may be YAML."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return False
        findings: list[str] = []
        values: list[tuple[Any, tuple[str, ...], int]] = []
        decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: _object(pairs, findings), parse_constant=_refused)
        place, line = _past_space(text, 0), 1
        try:
            while place < len(text):
                value, after = decoder.raw_decode(text, place)
                values.append((value, tuple(findings), line))
                findings.clear()
                after = _past_space(text, after)
                line += text.count("\n", place, after)
                place = after
        except RecursionError:
            self.documents.append(Document(file, len(values) + 1, error=f"nested deeper than {MOST_DEEP} levels"))
            return True
        except ValueError:
            return False
        for number, (value, told, line) in enumerate(values, 1):
            self._take(value, Document(file, number, line, findings=told))
        return True

    def _read_part(self, part: YamlPart, file: str, number: int) -> None:
        """Read one YAML document, unless its kind shows at once that nobody asks for it."""
        shown = _KIND.findall(part.text)
        if len(shown) == 1 and shown[0] not in self.opened and not shown[0].endswith(b"List"):
            self.skipped[shown[0].decode()] += 1
            return
        try:
            value, findings = read_yaml(part)
        except InvalidInput as error:
            template = f"{_TEMPLATE} ({error})" if b"{{" in part.text else str(error)
            self.documents.append(Document(file, number, part.line, error=template))
            return
        self._take(value, Document(file, number, part.line, findings=tuple(findings)))

    def _take(self, value: Any, place: Document) -> None:
        """Sort the objects of a document, Lists opened, without recursion."""
        waiting: list[tuple[Any, str, str]] = [(value, "", "")]
        while waiting:
            item, where, inherited = waiting.pop()
            if not isinstance(item, dict):
                if item is not None:
                    shown = (
                        "a list" if isinstance(item, list) else "text" if isinstance(item, str) else type(item).__name__
                    )
                    self._refuse(place, f"{where}is {shown}, not an object")
                continue
            kind = item.get("kind") or inherited
            if not isinstance(kind, str) or not kind:
                self._without_kind(item, place, where)
            elif kind.endswith("List") and isinstance(item.get("items"), list):
                of = kind.removesuffix("List")
                items = list(enumerate(item["items"]))
                waiting += [(inner, f"{where}items[{index}]: ", of) for index, inner in reversed(items)]
            else:
                self._keep(item, kind, place, where=where, inherited=bool(inherited))

    def _keep(self, item: dict[str, Any], kind: str, place: Document, *, where: str, inherited: bool) -> None:
        """Keep an object of a kind asked for; count the others."""
        version = item.get("apiVersion")
        group = version.rpartition("/")[0] if isinstance(version, str) else ""
        if kind not in self.kinds or (kind in _GROUPS and group != _GROUPS[kind] and isinstance(version, str)):
            self.skipped[f"{kind}.{group}" if group and kind in self.kinds else kind] += 1
            return
        metadata = item.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        error = "" if inherited else _version_error(kind, version)
        self.documents.append(
            Document(
                place.file,
                place.document,
                place.line,
                kind,
                _shown(named.get("namespace")),
                _shown(named.get("name")),
                None if error else item,
                f"{where}{error}" if error else "",
                place.findings,
            )
        )

    def _without_kind(self, item: dict[str, Any], place: Document, where: str) -> None:
        """Refuse an object without kind; what is no object at all, in a file that was only found, is skipped."""
        if not self.asked_for and "apiVersion" not in item and not where:
            self.skipped[_NO_KIND] += 1
        else:
            self._refuse(place, f"{where}Object 'Kind' is missing")

    def _refuse(self, place: Document, error: str) -> None:
        """Add a document that is no object."""
        self.documents.append(Document(place.file, place.document, place.line, error=error, findings=place.findings))


def _version_error(kind: str, version: Any) -> str:
    """Say why kubectl would not send an object of this version."""
    if version is None or version == "":
        return "apiVersion not set"
    if not isinstance(version, str):
        return f"apiVersion is {type(version).__name__}, not text"
    if kind in _GROUPS and version.rpartition("/")[2] not in {"v1", "v1beta1", "v1alpha1"}:
        return f'no matches for kind "{kind}" in version "{version}"'
    return ""


def _shown(value: Any) -> str:
    """Show a name as text."""
    return value if isinstance(value, str) else "" if value is None else str(value)[:80]


def _object(pairs: list[tuple[str, Any]], findings: list[str]) -> dict[str, Any]:
    """Make a JSON object; of equal keys the last one counts."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        findings += [f'key "{key}" already set in object; the last one counts' for key in twice]
    return made


def _past_space(text: str, place: int) -> int:
    """Return where the next character stands that is no white space."""
    match = _SPACE.match(text, place)
    return match.end() if match is not None else place


def _refused(constant: str) -> Any:
    """Refuse the numbers that JSON does not have."""
    raise ValueError(constant)
