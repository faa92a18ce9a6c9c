"""YAML as kubectl reads it: documents cut at ``---`` lines, YAML 1.1 words, values that fit JSON.

Promises: the values are those of kubectl's parser (go-yaml v2), not of PyYAML: ``y`` and ``off`` are booleans, ``010``
is 8, ``1:30`` is text, keys become text, and of equal keys the last one counts and is told. A document that expands
its aliases too much is refused while it is read, by go-yaml's own arithmetic, before any value is multiplied.

Not known here: what the objects mean; tags other than the standard ones are read as if they were not there.

Sources: ``goyaml.v2/{decode,resolve}.go`` of sigs.k8s.io/yaml; ``pkg/util/yaml/decoder.go`` of k8s.io/apimachinery.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_DEEP", "YamlPart", "read_yaml", "split_documents", "yaml_scalar"]

MOST_DEEP: Final = 200
"""Levels of nesting that are read; objects of the API have about twenty."""

_SEPARATOR = re.compile(rb"^---[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)", re.MULTILINE)
_TRUE: Final = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE: Final = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_NULL: Final = ("", "~", "null", "Null", "NULL")
_ODD: Final = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_WORDS: Final[dict[str, Any]] = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False), **_ODD} | dict.fromkeys(
    _NULL
)
_INT = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_STANDARD: Final = "tag:yaml.org,2002:"
_UNSIGNED: Final = 1 << 64
_WHOLE: Final = 1e21  # from here on Go prints a float with an exponent, which no integer field takes
_NO_KEY: Final = object()
_MERGE: Final = object()
_SAME: Final = object()
# go-yaml: aliases may make up 99 % of a small document, 10 % of a large one
_FREE_ALIASES, _FREE_NODES = 100, 1000
_SMALL, _LARGE = 400_000, 4_000_000


class YamlPart(NamedTuple):
    """One document's text: its bytes, and the line of the file it begins at."""

    text: bytes
    line: int


class _Frame(NamedTuple):
    """An open mapping or sequence: the value, its anchor, the count of nodes before it, the key it waits with."""

    value: Any
    anchor: str | None
    before: int
    key: Any


def split_documents(data: bytes) -> Iterator[YamlPart]:
    r"""Cut a file at its ``---`` lines, as kubectl does, wherever they stand.

    Parameters
    ----------
    data : bytes
        UTF-8.

    Yields
    ------
    YamlPart
        Those that hold more than white space and comments.

    Raises
    ------
    None
        Every text has parts, if only none.

    Examples
    --------
    >>> [part.line for part in split_documents(b"---\n# Source: a\nkind: Service\n---\n---\nkind: Node\n")]
    [2, 6]
    """
    start, line = 0, 1
    for separator in [*_SEPARATOR.finditer(data), None]:
        end = len(data) if separator is None else separator.start()
        text = data[start:end]
        if _says_something(text):
            yield YamlPart(text, line)
        if separator is not None:
            line += data.count(b"\n", start, separator.end())
            start = separator.end()


def _says_something(text: bytes) -> bool:
    """Tell a document from white space and comments."""
    return re.search(rb"^[ \t]*[^#\s]", text, re.MULTILINE) is not None


def yaml_scalar(text: str) -> Any:
    """Read a plain scalar as kubectl's parser does.

    Parameters
    ----------
    text : str
        Without quotes.

    Returns
    -------
    str, int, float, bool or None
        The value.

    Raises
    ------
    None
        What is nothing else is text.

    Examples
    --------
    >>> [yaml_scalar(text) for text in ("80", "y", "010", "1:30", "~", "8e1", "1.5", "web")]
    [80, True, 8, '1:30', None, 80, 1.5, 'web']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    match = None if text[0] == "." else _INT.match(plain)
    if match is not None:
        digits = match[2]
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        value = int(digits, 8 if octal else 0) * (-1 if match[1] == "-" else 1)
        return value if -(_UNSIGNED >> 1) <= value < _UNSIGNED else float(value)
    if _FLOAT.match(plain) is None:
        return text
    number = float(plain)
    return int(number) if number.is_integer() and abs(number) < _WHOLE else number


def read_yaml(part: YamlPart) -> tuple[Any, list[str]]:
    r"""Read one document.

    Parameters
    ----------
    part : YamlPart
        Text and line.

    Returns
    -------
    value : object
        Mappings with text keys, lists, text, numbers, booleans, None.
    findings : list of str
        Keys that stand twice, with their lines.

    Raises
    ------
    InvalidInput
        If it is no YAML, no UTF-8, nested or aliased beyond measure; with the line.

    Examples
    --------
    >>> read_yaml(YamlPart(b"a: &x [1, 2]\nb: *x\na: 3\n", 10))
    ({'a': 3, 'b': [1, 2]}, ['line 12: key "a" already set in map; the last one counts'])
    """
    import yaml

    try:
        text = part.text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = part.line + part.text.count(b"\n", 0, error.start)
        raise InvalidInput(f"line {line}: byte 0x{part.text[error.start]:02x} is no UTF-8") from None
    builder = _Builder(part.line)
    try:
        builder.read(getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {part.line + mark.line}: " if mark is not None else ""
        raise InvalidInput(f"{where}{error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = part.line + text.count("\n", 0, error.position)
        raise InvalidInput(f"line {line}: {error.reason}") from None
    return builder.result, builder.findings


class _Builder:
    """Values made from the events of a parser, without recursion."""

    def __init__(self, line: int) -> None:
        import yaml

        self.alias, self.ends = yaml.AliasEvent, (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        self.line = line
        self.result: Any = None
        self.findings: list[str] = []
        self.frames: list[_Frame] = []
        self.inside: Any = None
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = self.aliased = 0

    def read(self, loader: Any) -> None:
        """Take every event of one document; most are scalars, plain or quoted, that are keys or values of mappings."""
        from yaml import DocumentEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent, StreamEndEvent

        next_event, key = loader.get_event, _NO_KEY
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                self.nodes += 1
                value = self._scalar(event) if event.implicit[0] or event.tag is not None else event.value
                if event.anchor is not None:
                    self.anchors[event.anchor] = (value, 1)
                if key is _NO_KEY and type(value) is str and type(self.inside) is dict:
                    key = value
                    continue
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open({} if kind is MappingStartEvent else [], event, key)
                key = _NO_KEY
                continue
            elif kind is DocumentEndEvent or kind is StreamEndEvent:
                return  # kubectl reads one document between two separators
            else:
                done = self._finished(event)
                if done is None:
                    continue
                value, key = done if done[1] is not _SAME else (done[0], key)
            key = self._place(value, key, event)

    def _finished(self, event: Any) -> tuple[Any, Any] | None:
        """Return the value that the end of a mapping or list, or an alias, stands for, and the key it waits with."""
        if not isinstance(event, self.ends):
            return (self._alias(event), _SAME) if isinstance(event, self.alias) else None
        frame = self.frames.pop()
        self.inside = self.frames[-1].value if self.frames else None
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, self.nodes - frame.before)
        return frame.value, frame.key

    def _open(self, value: Any, event: Any, key: Any) -> None:
        """Begin a mapping or sequence."""
        if len(self.frames) >= MOST_DEEP:
            raise InvalidInput(f"line {self._at(event)}: nested deeper than {MOST_DEEP} levels")
        self.anchors.pop(event.anchor, None)
        self.frames.append(_Frame(value, event.anchor, self.nodes, key))
        self.inside = value
        self.nodes += 1

    def _scalar(self, event: Any) -> Any:
        """Read a plain scalar, or one with a tag."""
        tag = event.tag
        if tag is None:
            return _MERGE if event.value == "<<" else yaml_scalar(event.value)
        if not tag.startswith(_STANDARD):
            return event.value
        name = tag.removeprefix(_STANDARD)
        return yaml_scalar(event.value) if name in {"int", "float", "bool", "null"} else event.value

    def _alias(self, event: Any) -> Any:
        """Repeat an anchored value, if it is not too much."""
        if event.anchor not in self.anchors:
            itself = any(frame.anchor == event.anchor for frame in self.frames)
            words = f"anchor {event.anchor!r} value contains itself" if itself else f"unknown anchor {event.anchor!r}"
            raise InvalidInput(f"line {self._at(event)}: {words}")
        value, size = self.anchors[event.anchor]
        self.nodes += size
        self.aliased += size
        if self.aliased > _FREE_ALIASES and self.nodes > _FREE_NODES:
            share = (min(max(self.nodes, _SMALL), _LARGE) - _SMALL) / (_LARGE - _SMALL)
            if self.aliased / self.nodes > 0.99 - 0.89 * share:
                raise InvalidInput(f"line {self._at(event)}: document contains excessive aliasing")
        return value

    def _place(self, value: Any, key: Any, event: Any) -> Any:
        """Put a value where it belongs; return the key that waits for the next one."""
        if not self.frames:
            self.result = None if value is _MERGE else value
            return _NO_KEY
        inside = self.inside
        if type(inside) is list:
            inside.append("<<" if value is _MERGE else value)
            return _NO_KEY
        if key is _NO_KEY:
            return value if value is _MERGE else self._key(value, event)
        if key is _MERGE:
            self._merge(inside, value, event)
            return _NO_KEY
        if key in inside:
            self.findings.append(f'line {self._at(event)}: key "{key}" already set in map; the last one counts')
        inside[key] = "<<" if value is _MERGE else value
        return _NO_KEY

    def _key(self, value: Any, event: Any) -> str:
        """Turn a key into text, as JSON needs it."""
        if type(value) is str:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        shown = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "null"
        raise InvalidInput(f"line {self._at(event)}: invalid map key: a {shown}")

    def _merge(self, inside: dict[str, Any], value: Any, event: Any) -> None:
        """Take over the entries of a mapping, or of several, the first of which counts."""
        several = value if type(value) is list else [value]
        for source in reversed(several):
            if type(source) is not dict:
                raise InvalidInput(f"line {self._at(event)}: map merge requires map or sequence of maps as the value")
            self.nodes += len(source)
            inside.update(source)

    def _at(self, event: Any) -> int:
        """Return the line of the file an event stands at."""
        return int(self.line + event.start_mark.line)
