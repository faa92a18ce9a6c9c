"""Where what is found can be read up: findings as a card, rule by rule, with links to the sources of each.

Promises the same content as plain text and as HTML, every message whole and the worst first, as their frame has them;
that links lead to files of Kubernetes at the version that was judged, to enhancement proposals, RFCs, issues and the
projects a source names, and nowhere else; and that a source which names no such place stays text.

What it does not know: whether a file was there in every version. Rules are read from the newest one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dsmodel.cards import Card, Link, Section
from dsmodel.cluster.checks.audit import RULES
from dsmodel.errors import InvalidInput
from dsmodel.kube.versions import NEWEST, KubeVersion

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["shown", "source_links"]

_GITHUB: Final = "https://github.com"
_MOST_RULES, _MOST_OBJECTS = 50, 15  # of a card; the frame has every one
_SEARCH: Final = "{github}/search?type=code&q=repo%3Akubernetes%2Fkubernetes+"
_NEEDED: Final = ("severity", "rule", "message")
_URGENT: Final = {"fatal", "error"}
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


def source_links(source: str, *, kube_version: str | KubeVersion = f"1.{NEWEST}") -> tuple[str | Link, ...]:
    """Find what a source names, and where it can be read.

    Parameters
    ----------
    source : str
        As the ``source`` column of findings has it: one or more, with semicolons.
    kube_version : str or KubeVersion
        Version whose files are meant, where the source names none.

    Returns
    -------
    tuple of str or Link
        Its parts in order; those that name no place as text.

    Raises
    ------
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> for each in source_links("pkg/util/node/node.go, GetNodeHostIPs; KEP-3070; cilium/cilium#13766"):
    ...     print(each.url)
    https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/util/node/node.go
    https://kep.k8s.io/3070
    https://github.com/cilium/cilium/issues/13766
    """
    version = f"v{KubeVersion(kube_version)}.0"
    return tuple(_linked(part.strip(), version) for part in source.split(";") if part.strip())


def shown(frame: pd.DataFrame, *, kube_version: str | KubeVersion = f"1.{NEWEST}") -> Card:
    """Show findings rule by rule, each rule with its way out and links to its sources.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.check`, `dsmodel.check_config`, `dsmodel.check_flags` or `dsmodel.reports.findings` returns it.
    kube_version : str or KubeVersion
        Version that was judged; links lead to its files.

    Returns
    -------
    Card
        Shown by a notebook as the value of a cell; as text, its ``repr``. Of a rule with very many findings the first
        are shown and the rest counted.

    Raises
    ------
    InvalidInput
        A frame without severity, rule and message.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> from dsmodel import check_flags
    >>> shown(check_flags("kube-proxy", ["--cluster-cidr=fd00::/48"], kube_version="1.36"))
    No findings
    >>> shown(check_flags("kube-controller-manager", ["--cluster-cidr=fd00::/48"])).title
    '1 finding: 1 note'
    """
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise InvalidInput(f"a frame without {', '.join(missing)} holds no findings; give what ds.check returns")
    version = f"v{KubeVersion(kube_version)}.0"
    rules = {rule.name: rule for rule in RULES}
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for record in frame.to_dict("records"):
        row = {str(name): str(value) for name, value in record.items()}
        known = rules.get(row["rule"])
        if known:  # what was found at reading says neither; the rule knows both
            row = {"fix": known.fix, "source": known.source} | row
        about = row.get("object") or " ".join(filter(None, (row.get("component"), row.get("flag"))))
        key = tuple(row.get(name, "") for name in ("severity", "rule", "fix", "file", "source"))
        groups.setdefault(key, []).append((about, row["message"]))
    sections = [_section(key, found, version) for key, found in list(groups.items())[:_MOST_RULES]]
    rest = len(groups) - len(sections)
    return Card(_title(frame), tuple(sections), f"The first {_MOST_RULES} rules, and {rest:,} more." if rest else "")


def _linked(part: str, tag: str) -> str | Link:
    """Turn one part of a source into a link, if it names a place."""
    named = _TAG.search(part)
    for pattern, address in _PLACES:
        if found := re.search(pattern, part):
            tag = named.group(1) if named else tag
            return Link(part, address.format(github=_GITHUB, tag=tag, **found.groupdict()))
    return part


def _section(key: tuple[str, ...], found: list[tuple[str, str]], version: str) -> Section:
    """Write the findings of one rule, its way out, and its sources."""
    severity, rule, fix, file, source = key
    below: list[tuple[str | Link, ...]] = [(name, text) for name, text in (("fix", fix), ("file", file)) if text]
    below += [("source", _linked(part.strip(), version)) for part in source.split(";") if part.strip()]
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
    told = ", ".join(f"{count:,} {severity}" for severity, count in counts.items())
    return f"{len(frame):,} finding{'' if len(frame) == 1 else 's'}: {told}"
