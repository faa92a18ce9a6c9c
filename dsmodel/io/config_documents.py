"""YAML and JSON configuration files as values that know where they stand: file, document, line, key.

Promises that whatever the text is, the answer is values or an `InvalidConfig` that names file, document and line:
half-written YAML, tabs, a key given twice, aliases that multiply, tags nobody knows. Plain scalars are read as
Kubernetes' own parser reads them (`dsmodel.io.yaml_documents.yaml_scalar`).

What it does not know: what the keys mean.

Sources: YAML 1.1; ``sigs.k8s.io/yaml``, whose strict reading refuses a key that is set twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dsmodel.errors import InvalidConfig
from dsmodel.io.yaml_documents import yaml_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Entry", "decode_text", "read_documents"]

# bytes of a configuration file; the longest anyone writes is a hundredth of it
LARGEST: Final = 1 << 20
_DEEPEST: Final = 64  # levels of nesting
_MOST: Final = 20_000  # values of one document, each use of an alias counted
_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a document, and where it stands.

    Parameters
    ----------
    value : object
        A dict of text to `Entry`, a list of `Entry`, or text, int, float, bool, None.
    text : str
        A scalar as it is written; empty for the rest.
    path : str
        Keys from the document's root, joined by dots; empty for the root.
    file : str
        Name of the file.
    document : int
        Which document of the file, from 1; 0 where the file has only one.
    line : int
        From 1.
    """

    value: Any
    text: str
    path: str
    file: str
    document: int
    line: int

    @property
    def where(self) -> str:
        """File, document, line and key, as evidence and messages name them.

        Raises
        ------
        None
            Every value stands somewhere.

        Examples
        --------
        >>> read_documents("networking: {podSubnet: 10.244.0.0/16}", "kubeadm.yaml")[0].get("networking").where
        'kubeadm.yaml, line 1, networking'
        """
        document = f"document {self.document}, " if self.document else ""
        return f"{self.file}, {document}line {self.line}" + (f", {self.path}" if self.path else "")

    def error(self, what: str) -> InvalidConfig:
        """Make the error that says what is wrong here.

        Parameters
        ----------
        what : str
            What is wrong, and the way out.

        Returns
        -------
        InvalidConfig
            To be raised by the caller.

        Raises
        ------
        None
            It is returned.
        """
        return InvalidConfig(f"{self.where}: {what}")

    def get(self, *keys: str) -> Entry | None:
        """Follow keys through mappings.

        Parameters
        ----------
        *keys : str
            From here down.

        Returns
        -------
        Entry or None
            None where a key is missing or its value is null.

        Raises
        ------
        InvalidConfig
            A value on the way is no mapping.

        Examples
        --------
        >>> root = read_documents("networking: {podSubnet: null}", "kubeadm.yaml")[0]
        >>> root.get("networking", "podSubnet"), root.get("scheduler", "extraArgs")
        (None, None)
        """
        found = self
        for key in keys:
            entry = found.mapping().get(key)
            if entry is None or entry.value is None:
                return None
            found = entry
        return found

    def mapping(self) -> dict[str, Entry]:
        """Return the value as a mapping.

        Returns
        -------
        dict of str to Entry
            In the order written.

        Raises
        ------
        InvalidConfig
            It is something else.
        """
        if isinstance(self.value, dict):
            return self.value
        raise self.error(f"is {self._kind()}, and a mapping is needed")

    def entries(self) -> list[Entry]:
        """Return the value as a list.

        Returns
        -------
        list of Entry
            In the order written.

        Raises
        ------
        InvalidConfig
            It is something else.
        """
        if isinstance(self.value, list):
            return self.value
        raise self.error(f"is {self._kind()}, and a list is needed")

    def string(self) -> str:
        """Return the value as text.

        Returns
        -------
        str
            As written.

        Raises
        ------
        InvalidConfig
            It is something else; a number or boolean is told to be quoted.

        Examples
        --------
        >>> read_documents("kubernetesVersion: 1.30", "kubeadm.yaml")[0].get("kubernetesVersion").string()
        Traceback (most recent call last):
        dsmodel.errors.InvalidConfig: kubeadm.yaml, line 1, kubernetesVersion: is a number, 1.3, and text is needed; \
quote it: "1.30"
        """
        if isinstance(self.value, str):
            return self.value
        quote = f'; quote it: "{self.text}"' if self.text and isinstance(self.value, bool | int | float) else ""
        shown = f", {self.value}," if isinstance(self.value, float) else ""
        raise self.error(f"is {self._kind()}{shown} and text is needed{quote}")

    def argument(self) -> str:
        """Return a scalar as the text a flag would get.

        Returns
        -------
        str
            ``true`` and ``false`` for booleans, else as written.

        Raises
        ------
        InvalidConfig
            It is a mapping, a list or null.

        Examples
        --------
        >>> [entry.argument() for entry in read_documents("[yes, 110, 10.0.0.1]", "x.yaml")[0].entries()]
        ['true', '110', '10.0.0.1']
        """
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, int):
            return str(self.value)
        if self.value is None or isinstance(self.value, dict | list):
            raise self.error(f"is {self._kind()}, and one value is needed")
        return self.text

    def is_on(self) -> bool:
        """Return the value as a boolean.

        Returns
        -------
        bool
            The value.

        Raises
        ------
        InvalidConfig
            It is something else.
        """
        if isinstance(self.value, bool):
            return self.value
        raise self.error(f"is {self._kind()}, and true or false is needed")

    def _kind(self) -> str:
        """Say what the value is."""
        return _KINDS.get(type(self.value), "null")


def decode_text(data: bytes, file: str) -> str:
    """Turn the bytes of a configuration file into text.

    Parameters
    ----------
    data : bytes
        UTF-8, or UTF-16 with its mark.
    file : str
        Name for messages.

    Returns
    -------
    str
        Without a byte order mark.

    Raises
    ------
    InvalidConfig
        Too long for a configuration, or no text.

    Examples
    --------
    >>> decode_text(b"a: 1", "x.yaml")
    'a: 1'
    """
    if len(data) > LARGEST:
        raise InvalidConfig(f"{file}: has {len(data):,} bytes, and no configuration has more than {LARGEST:,}")
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeError as error:
        raise InvalidConfig(f"{file}: is no text: {error}") from None


def read_documents(text: str, file: str) -> list[Entry]:
    r"""Read all documents of a YAML or JSON text.

    Parameters
    ----------
    text : str
        JSON is read as YAML, so that its lines are known too.
    file : str
        Name for evidence and messages.

    Returns
    -------
    list of Entry
        The roots of the documents that are not empty.

    Raises
    ------
    InvalidConfig
        Names file, document and line.

    Examples
    --------
    >>> [root.get("kind").where for root in read_documents("kind: A\n---\nkind: B", "x.yaml")]
    ['x.yaml, document 1, line 1, kind', 'x.yaml, document 2, line 3, kind']
    >>> read_documents("a: 1\na: 2", "x.yaml")
    Traceback (most recent call last):
    dsmodel.errors.InvalidConfig: x.yaml, line 2, a: is given twice, first in line 1; keep one
    """
    import yaml

    nodes: list[Any] = []
    try:
        _check_syntax(text, file)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        try:
            while loader.check_node():
                nodes.append(loader.get_node())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise InvalidConfig(_yaml_words(error, file, document=len(nodes) + 1)) from None
    several = len(nodes) > 1
    roots = [_Builder(file, number * several).build(node, "", 0) for number, node in enumerate(nodes, 1)]
    return [root for root in roots if root.value is not None]


def _check_syntax(text: str, file: str) -> None:
    """Refuse what is no YAML, and deep nesting, before anything walks it."""
    import yaml

    depth = document = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            document += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent)
            depth -= isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent)
            if depth > _DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise InvalidConfig(f"{file}, line {line}: is nested more than {_DEEPEST} deep, as no configuration is")
    except yaml.YAMLError as error:
        raise InvalidConfig(_yaml_words(error, file, document=document)) from None


def _yaml_words(error: Exception, file: str, *, document: int) -> str:
    """Say where YAML breaks, and why."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    which = f", document {document}" if document > 1 else ""
    tab = "; indent with spaces, YAML takes no tabs" if "cannot start any token" in str(problem) else ""
    words = " ".join(f"{context + ': ' if context else ''}{problem}".split())
    return f"{file}{which}{line}: is no YAML: {words}{tab}"


class _Builder:
    """Turns the syntax tree of one document into entries, counting them."""

    def __init__(self, file: str, document: int) -> None:
        self.file, self.document = file, document
        self.count = 0

    def build(self, node: Any, path: str, depth: int) -> Entry:
        """Turn one node and what is below it into an entry."""
        self.count += 1
        if self.count > _MOST or depth > _DEEPEST:
            raise self._at(node, path).error(
                f"makes more than {_MOST:,} values with its aliases, or uses itself; write it out"
            )
        if node.id == "mapping":
            return self._at(node, path, value=self._mapping(node, path, depth))
        if node.id == "sequence":
            values = [self.build(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(node.value)]
            return self._at(node, path, value=values)
        entry = self._at(node, path, text=node.value)
        return self._at(node, path, value=_scalar(node, entry), text=node.value)

    def _mapping(self, node: Any, path: str, depth: int) -> dict[str, Entry]:
        """Read the pairs of a mapping; what is merged in gives way to what is written."""
        found: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise self._at(key, path).error("has a key that is no text")
            if key.tag == f"{_TAG}merge":
                if depth > _DEEPEST:
                    raise self._at(value, path).error("merges itself with <<; write it out")
                for part in self._merged(value, path):
                    merged = {**self._mapping(part, path, depth + 1), **merged}
                continue
            inner = f"{path}.{key.value}" if path else str(key.value)
            entry = self.build(value, inner, depth + 1)
            if key.value in found:
                first = found[key.value].line
                raise self._at(key, inner).error(f"is given twice, first in line {first}; keep one")
            found[key.value] = entry
        return {**merged, **found}

    def _merged(self, value: Any, path: str) -> Iterator[Any]:
        """List the mappings that ``<<`` brings in."""
        parts: Sequence[Any] = value.value if value.id == "sequence" else [value]
        for part in parts:
            self.count += 1
            if part.id != "mapping" or self.count > _MOST:
                raise self._at(value, path).error("merges with << what is no mapping")
            yield part

    def _at(self, node: Any, path: str, *, value: Any = None, text: str = "") -> Entry:
        """Make an entry for a node."""
        return Entry(value, text, path, self.file, self.document, node.start_mark.line + 1)


def _scalar(node: Any, entry: Entry) -> Any:
    """Read one scalar: plain ones as kubectl does, quoted and tagged ones by their tag."""
    from yaml.nodes import ScalarNode
    from yaml.resolver import Resolver

    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    resolver: Any = Resolver()
    is_plain = not node.style and node.tag == resolver.resolve(ScalarNode, text, (True, False))
    if kind == "str" and not is_plain:
        return text
    try:
        if is_plain:
            return yaml_scalar(text)
    except (ValueError, OverflowError):
        pass
    raise entry.error(f"{text[:40]!r} cannot be read as {kind[:40]}; write a plain value")
