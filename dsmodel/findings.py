"""Findings as a frame that shows itself rule by rule, with links to where each rule can be read up.

Promises the same content as plain text and as HTML, every message whole and the worst first, as the frame has them;
that links lead to files of Kubernetes at the version that was judged, to enhancement proposals, RFCs, issues and the
projects a source names, and nowhere else; and that a source which names no such place stays text. In all else the frame
is a pandas one; a choice of its columns shows itself as pandas does.

What it does not know: which rules there are, and whether a file was there in every version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dsmodel.cards import Card, Link, Section
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Findings", "findings_card", "source_links"]

_GITHUB: Final = "https://github.com"
_MOST_RULES, _MOST_OBJECTS = 50, 15  # of a card; the frame has every one
_SEARCH: Final = "{github}/search?type=code&q=repo%3Akubernetes%2Fkubernetes+"
_URGENT: Final = {"fatal", "error"}
_UNCOUNTED: Final = {"fatal", "info"}  # words without a plural
_ROOTS: Final = "api|cmd|pkg|plugin|staging|test"

# what a source may name, the most exact first: pattern, and the address it leads to
_PLACES: Final = (
    (r"\b(?P<repo>[\w.-]+/[\w.-]+)#(?P<n>[0-9]+)", "{github}/{repo}/issues/{n}"),
    (r"^(?P<repo>[\w.-]+/[\w.-]+) (?P<path>[\w./-]+\.go)\b", "{github}/{repo}/blob/HEAD/{path}"),
    (r"^(?P<repo>[\w.-]+/[\w.-]+) (?P<path>pkg/[\w./-]+)", "{github}/{repo}/tree/HEAD/{path}"),
    (r"^(?P<repo>[\w-]+/[\w-]+) ", "{github}/{repo}"),
    (r"\bKEP[- ](?P<n>[0-9]+)", "https://kep.k8s.io/{n}"),
    (r"\bRFC ?(?P<n>[0-9]+)", "https://www.rfc-editor.org/rfc/rfc{n}"),
    (r"(?<![\w/])(?P<path>k8s\.io/[\w./-]+\.go)\b", "{github}/kubernetes/kubernetes/blob/{tag}/staging/src/{path}"),
    (rf"(?<![\w/])(?P<path>(?:{_ROOTS})/[\w./-]+\.go)\b", "{github}/kubernetes/kubernetes/blob/{tag}/{path}"),
    (r"(?<![\w/])(?P<path>plugins/[\w./-]+\.go)\b", "{github}/containernetworking/plugins/blob/HEAD/{path}"),
    (r"(?<![\w/])(?P<path>\w+\.go)\b", _SEARCH + "path%3A{path}"),
    (r"^(?P<word>[a-z]+[A-Z]\w+)$", _SEARCH + "{word}"),
    (r"\(#(?P<n>[0-9]+)\)", "{github}/kubernetes/kubernetes/issues/{n}"),
    (r"^IANA$", "https://www.iana.org/numbers"),
    (r"^Linux ip-sysctl$", "https://docs.kernel.org/networking/ip-sysctl.html"),
    (r"^kubelet config validation$", "{github}/kubernetes/kubernetes/tree/{tag}/pkg/kubelet/apis/config/validation"),
    (r"^pflag$", "{github}/spf13/pflag"),
)
_TAG: Final = re.compile(r"\bof (v1\.[0-9]+\.[0-9]+)")


class Findings(pd.DataFrame):
    """What was found, as a frame; whole, it shows itself as a card.

    Parameters
    ----------
    data : array-like or DataFrame
        Rows, as ``pandas.DataFrame`` takes them, the worst first.
    kube_version : str, optional
        Version that was judged; links lead to its files.
    rules : mapping of str to (str, str), optional
        Way out and source of each rule, where no column has them.
    **options : object
        As ``pandas.DataFrame`` takes them.

    Raises
    ------
    ValueError
        As ``pandas.DataFrame`` does.

    Examples
    --------
    >>> row = ("warning", "peer-overlap", "Peer/office", "overlaps", "move one", "KEP-3070")
    >>> Findings([row], columns=["severity", "rule", "object", "message", "fix", "source"], kube_version="1.36")
    1 finding: 1 warning
    warning peer-overlap:
        Peer/office  overlaps
        fix          move one
        source       KEP-3070
    """

    def __init__(
        self,
        data: Any = None,
        *args: Any,
        kube_version: str = "",
        rules: Mapping[str, tuple[str, str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data, *args, **options)  # type: ignore[call-arg]
        if kube_version:
            self.attrs |= {"kube_version": kube_version, "columns": [*map(str, self.columns)]}
        if rules:
            self.attrs["rules"] = {name: list(known) for name, known in rules.items()}

    @property
    def _constructor(self) -> Callable[..., Findings]:
        """Stay what it is when rows are chosen."""
        return Findings

    def __repr__(self) -> str:
        """Return the card as plain text; of a choice of columns, the table."""
        return findings_card(self).text() if self._is_whole() else repr(pd.DataFrame(self))

    def _repr_html_(self) -> str | None:
        """Show the card in a notebook; of a choice of columns, the table."""
        if self._is_whole():
            return findings_card(self).html()
        table: Any = pd.DataFrame(self)
        html: str | None = table._repr_html_()
        return html

    def _is_whole(self) -> bool:
        """Whether no column was left out or added."""
        return self.attrs.get("columns") == [*map(str, self.columns)]


def findings_card(frame: pd.DataFrame, *, kube_version: str = "", rules: Mapping[str, Any] | None = None) -> Card:
    """Show findings rule by rule, each rule with its way out and links to its sources.

    Parameters
    ----------
    frame : DataFrame
        With the columns ``severity``, ``rule`` and ``message``.
    kube_version : str, optional
        Version whose files are meant; what the frame says if left out.
    rules : mapping of str to (str, str), optional
        Way out and source of each rule, where the frame has none; what the frame says if left out.

    Returns
    -------
    Card
        Of a rule with very many findings the first are shown and the rest counted.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> findings_card(pd.DataFrame(columns=["severity", "rule", "message"]), kube_version="1.36")
    No findings
    """
    tag = f"v{kube_version or frame.attrs.get('kube_version', '')}.0"
    known = frame.attrs.get("rules", {}) if rules is None else rules
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for record in frame.to_dict("records"):
        row = {str(name): str(value) for name, value in record.items()}
        if row["rule"] in known:  # what was found at reading says neither; the rule knows both
            given = {name: text for name, text in row.items() if text}
            row = row | dict(zip(("fix", "source"), known[row["rule"]], strict=True)) | given
        about = row.get("object") or " ".join(filter(None, (row.get("component"), row.get("flag"))))
        key = tuple(row.get(name, "") for name in ("severity", "rule", "fix", "file", "source"))
        groups.setdefault(key, []).append((about, row["message"]))
    sections = [_section(key, found, tag) for key, found in list(groups.items())[:_MOST_RULES]]
    rest = len(groups) - len(sections)
    return Card(_title(frame), tuple(sections), f"The first {_MOST_RULES} rules, and {rest:,} more." if rest else "")


def source_links(source: str, *, kube_version: str) -> tuple[str | Link, ...]:
    """Find what a source names, and where it can be read.

    Parameters
    ----------
    source : str
        As the ``source`` column of findings has it: one or more, with semicolons.
    kube_version : str
        Version whose files are meant, where the source names none, for instance "1.36".

    Returns
    -------
    tuple of str or Link
        Its parts in order; those that name no place as text.

    Raises
    ------
    None
        What names no place stays text.

    Examples
    --------
    >>> words = "pkg/util/node/node.go, GetNodeHostIPs; KEP-3070; cilium/cilium#13766"
    >>> for each in source_links(words, kube_version="1.36"):
    ...     print(each.url)
    https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/util/node/node.go
    https://kep.k8s.io/3070
    https://github.com/cilium/cilium/issues/13766
    """
    return tuple(_linked(part.strip(), f"v{kube_version}.0") for part in source.split(";") if part.strip())


def _linked(part: str, tag: str) -> str | Link:
    """Turn one part of a source into a link, if it names a place."""
    named = _TAG.search(part)
    for pattern, address in _PLACES:
        if found := re.search(pattern, part):
            tag = named.group(1) if named else tag
            return Link(part, address.format(github=_GITHUB, tag=tag, **found.groupdict()))
    return part


def _section(key: tuple[str, ...], found: list[tuple[str, str]], tag: str) -> Section:
    """Write the findings of one rule, its way out, and its sources."""
    severity, rule, fix, file, source = key
    below: list[tuple[str | Link, ...]] = [(name, text) for name, text in (("fix", fix), ("file", file)) if text]
    below += [("source", _linked(part.strip(), tag)) for part in source.split(";") if part.strip()]
    rows = [*found[:_MOST_OBJECTS], *below]
    count = len(found) + len(below)
    return Section(f"{severity} {rule}", rows, count=count, is_open=severity in _URGENT, whole=True)


def _title(frame: pd.DataFrame) -> str:
    """Count findings by severity, in their order."""
    if not len(frame):
        return "No findings"
    counts: dict[str, int] = {}
    for severity in frame["severity"].tolist():
        counts[severity] = counts.get(severity, 0) + 1
    told = ", ".join(
        f"{count:,} {severity}" if severity in _UNCOUNTED else counted(count, severity)
        for severity, count in counts.items()
    )
    return f"{counted(len(frame), 'finding')}: {told}"
