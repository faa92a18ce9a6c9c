"""What reading a dump found wrong, object by object, and how many objects of each kind were read.

Every object of a dump is in a table, counted as ignored, or named in a finding and counted as refused.

What it does not know: the rules; those who check them add the findings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from dsmodel.cluster.schema import FINDINGS, SEVERITIES
from dsmodel.cluster.table import Table
from dsmodel.io.dump_objects import decode_field

if TYPE_CHECKING:
    from msgspec import Raw

__all__ = ["Findings", "KindCount", "ObjectName"]

# characters of a message; what is left out stands in the dump
_LONGEST: Final = 600
_CODES = {word: code for code, word in SEVERITIES.items()}


@dataclass
class KindCount:
    """How many objects of one kind went where; the three add up to what the dump holds."""

    read: int = 0
    ignored: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object and the file it came from, as findings name it."""

    kind: str
    namespace: str
    name: str
    file: str

    def __str__(self) -> str:
        """Join what is known: ``Pod/default/web-0``."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass
class Findings:
    """A growing list of findings, and of counts by kind."""

    rows: list[tuple[int, str, str, str, str]] = field(default_factory=list)
    counts: dict[str, KindCount] = field(default_factory=dict)

    def add(self, severity: str, rule: str, message: str, *, about: ObjectName | str = "", file: str = "") -> None:
        """Add one finding.

        Parameters
        ----------
        severity : str
            A word of `dsmodel.cluster.schema.SEVERITIES`.
        rule : str
            Short name of the rule.
        message : str
            What is wrong, the value, and the way out.
        about : ObjectName or str
            The object.
        file : str
            Where it came from; an `ObjectName` brings its own.

        Raises
        ------
        KeyError
            For a word that is no severity.
        """
        origin = about.file if isinstance(about, ObjectName) else file
        self.rows.append((_CODES[severity], rule, str(about), message, origin))

    def refuse(self, about: ObjectName, message: str) -> None:
        """Name an object that is in no table, and count it.

        Parameters
        ----------
        about : ObjectName
            The object.
        message : str
            Why it cannot be used.

        Raises
        ------
        None
            Every object can be refused.
        """
        self.add("error", "object-refused", f"{message}; the object is left out", about=about)
        self.count(about.kind).refused += 1

    def duplicate(self, about: ObjectName, origin: str) -> None:
        """Name an object that was read before, and count it as refused instead of read.

        Parameters
        ----------
        about : ObjectName
            The later one.
        origin : str
            File of the one that is kept.

        Raises
        ------
        None
            Every object can be there twice.
        """
        message = f"was read before, from {origin}; the first one is kept"
        self.add("warning", "object-duplicate", message, about=about)
        count = self.count(about.kind)
        count.read, count.refused = count.read - 1, count.refused + 1

    def count(self, kind: str) -> KindCount:
        """Return the counter of a kind.

        Parameters
        ----------
        kind : str
            As in the object.

        Returns
        -------
        KindCount
            The one that is added to.

        Raises
        ------
        None
            A new kind starts at zero.
        """
        return self.counts.setdefault(kind, KindCount())

    def decode(self, raw: Raw, kind: Any, path: str, *, default: Any, about: ObjectName) -> Any:
        """Decode a raw field; where it has a wrong type, say so and go on with the default.

        Parameters
        ----------
        raw : msgspec.Raw
            The field.
        kind : type
            What it should be.
        path : str
            Kubernetes field path.
        default : object
            What an absent or wrong field stands for.
        about : ObjectName
            The object.

        Returns
        -------
        object
            The value.

        Raises
        ------
        None
            A wrong type is a finding.
        """
        try:
            return decode_field(raw, kind, path, default=default)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self.add("error", "field-invalid", f"{error}; the field is left out", about=about)
            return default

    def table(self) -> Table:
        """Return the findings, the worst first, then by rule, object and message.

        Returns
        -------
        Table
            Of schema `dsmodel.cluster.schema.FINDINGS`.

        Raises
        ------
        None
            An empty table where nothing is wrong.
        """
        rows = sorted(self.rows, key=lambda row: (-row[0], *row[1:]))
        if not rows:
            return Table(FINDINGS)
        severity, *texts = zip(*rows, strict=True)
        columns: dict[str, Any] = {"severity": np.array(severity, dtype=np.uint8)}
        for name, values in zip(("rule", "object", "message", "file"), texts, strict=True):
            columns[name] = np.array([_shown(value) for value in values], dtype=np.dtypes.StringDType())
        return Table(FINDINGS, columns)


def _shown(text: str) -> str:
    """Make text of any origin encodable, and short enough to read."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
