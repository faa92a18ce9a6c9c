"""The flags that configuration files amount to, component by component, each with the place it is written at.

A `FlagSheet` collects flags of three ranks: what an installer derives, what a component's configuration file says, what
a command line says; the higher rank of a flag holds. Command lines come from static Pod manifests, from systemd units
and environment files, and from plain lists, one flag a line.

What it does not know: what the flags mean (`dsmodel.kube.flags`).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.errors import InvalidConfig
from dsmodel.kube.command_lines import Finding, parse_command_line
from dsmodel.kube.flags import COMPONENTS
from dsmodel.kube.versions import NEWEST, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dsmodel.io.config_documents import Entry

__all__ = ["COMMAND_LINE", "CONFIG_FILE", "DERIVED", "FlagSheet", "add_command_lines", "add_pod", "looks_like_flags"]

# rank of a flag's origin, the highest one holds: an installer's default, a component's --config, its command line
DERIVED, CONFIG_FILE, COMMAND_LINE = range(3)

_IMAGE_TAG = re.compile(r":v?(1\.\d+\.\d+)(?:[-_+.][^:/]*)?(?:@.*)?$")
_ASSIGNMENT = re.compile(r"-?[A-Za-z_][A-Za-z0-9_]*=")
_FLAG_LINE = re.compile(
    r"(?:ExecStart|Environment)=|\[(?:Unit|Service|Install)\]|--[a-z]|[A-Z_]+=|"
    r"(?:\S*/)?(?:kube-apiserver|kube-controller-manager|kubelet|kube-proxy)(?:\s|$)"
)


@dataclass(frozen=True)
class _Given:
    """One flag as given somewhere."""

    value: str
    where: str
    rank: int


@dataclass
class FlagSheet:
    """Flags collected so far, what was odd about them, and the version the files name."""

    given: dict[tuple[str, str], list[_Given]] = field(default_factory=dict)
    components: dict[str, None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def give(self, component: str, name: str, value: str, *, where: str, rank: int = COMMAND_LINE) -> None:
        """Add a flag.

        Parameters
        ----------
        component : str
            Whose it is.
        name, value : str
            Without dashes.
        where : str
            File, line and key, for the evidence.
        rank : int
            `DERIVED`, `CONFIG_FILE` or `COMMAND_LINE`.

        Raises
        ------
        None
            What is given twice is settled in `flags`.
        """
        self.components[component] = None
        listed = self.given.setdefault((component, name), [])
        if not any((known.value, known.rank) == (value, rank) for known in listed):
            listed.append(_Given(value, where, rank))

    def flags(self) -> dict[str, tuple[str, ...]]:
        """Return what each component is started with.

        Returns
        -------
        dict of str to tuple of str
            Component to its flags; of different ranks the highest, except for feature gates, which add up.

        Raises
        ------
        None
            Values of equal rank that differ are all there: judging them says so.
        """
        found: dict[str, list[str]] = {component: [] for component in self.components}
        for (component, name), listed in self.given.items():
            highest = max(entry.rank for entry in listed)
            lowest = min(highest, CONFIG_FILE) if name == "feature-gates" else highest
            kept = sorted((entry for entry in listed if entry.rank >= lowest), key=lambda entry: entry.rank)
            found[component] += [f"--{name}={entry.value}" for entry in kept]
        return {component: tuple(flags) for component, flags in sorted(found.items())}

    def origins(self) -> dict[tuple[str, str], str]:
        """Return where the value that holds is written.

        Returns
        -------
        dict of (str, str) to str
            Component and flag to file, line and key.

        Raises
        ------
        None
            Every flag has a place.
        """
        return {key: max(reversed(listed), key=lambda entry: entry.rank).where for key, listed in self.given.items()}

    def add_line(self, component: str, words: Sequence[str], places: Mapping[str, str], *, where: str) -> None:
        """Add a command line.

        Parameters
        ----------
        component : str
            Whose it is.
        words : sequence of str
            Its arguments.
        places : mapping of str to str
            Flag name to its place, where known more exactly.
        where : str
            Place of the others.

        Raises
        ------
        None
            What is odd is a finding.
        """
        self.components[component] = None
        line = parse_command_line(component, words, KubeVersion(f"1.{NEWEST}"), known=COMPONENTS[component][0])
        # an unknown flag is found again when the flags are judged
        self.findings += [finding for finding in line.findings if finding.rule != "flag-not-modelled"]
        for name, value in line.values.items():
            self.give(component, name, value, where=places.get(name, f"{where}, --{name}"))


def add_pod(sheet: FlagSheet, pod: Entry) -> bool:
    """Read the command line of a static Pod's manifest.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    pod : Entry
        A document of kind Pod.

    Returns
    -------
    bool
        Whether one of the judged components runs in it.

    Raises
    ------
    InvalidConfig
        A field of a wrong type; the message names file and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> sheet = FlagSheet()
    >>> text = "spec: {containers: [{command: [kube-apiserver, --service-cluster-ip-range=10.96.0.0/16]}]}"
    >>> add_pod(sheet, read_documents(text, "kube-apiserver.yaml")[0]), sheet.flags()["kube-apiserver"]
    (True, ('--service-cluster-ip-range=10.96.0.0/16',))
    """
    containers = pod.get("spec", "containers")
    found = False
    for container in containers.entries() if containers else []:
        words: list[str] = []
        places: dict[str, str] = {}
        for key in ("command", "args"):
            entries = container.get(key)
            for entry in entries.entries() if entries else []:
                parts = _split(entry.argument())
                words += parts
                for part in parts:
                    name = part.lstrip("-").partition("=")[0].replace("_", "-")
                    places[name] = f"{entry.where} --{name}"
        component = next((word for word in map(_basename, words[:4]) if word in COMPONENTS), None)
        if component is None:
            continue
        start = next(i for i, word in enumerate(words) if _basename(word) == component)
        sheet.add_line(component, words[start:], places, where=container.where)
        image = container.get("image")
        tag = _IMAGE_TAG.search(image.string()) if image and component in image.string() else None
        if tag and image:
            sheet.versions.setdefault(tag[1], f"{image.where}, {image.string()}")
        found = True
    return found


def looks_like_flags(text: str) -> bool:
    r"""Tell flags, unit files and environment files from YAML by their first line that says something.

    Parameters
    ----------
    text : str
        The file.

    Returns
    -------
    bool
        True where `add_command_lines` should read it.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> looks_like_flags("# k\n--cluster-cidr=10.244.0.0/16"), looks_like_flags("--- \nkind: Pod")
    (True, False)
    """
    for line in text.splitlines():
        plain = line.strip()
        # a component with a colon begins flags or a mapping: the next line tells
        if plain and not plain.startswith(("#", ";")) and plain.removesuffix(":") not in COMPONENTS:
            return _FLAG_LINE.match(plain) is not None
    return False


def add_command_lines(sheet: FlagSheet, text: str, file: str) -> None:
    r"""Read flags, one or more a line, a systemd unit, or a file of environment variables.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    text : str
        The file; a line that names a component begins its flags, a backslash continues a line.
    file : str
        Its name, which tells the component where the text does not.

    Raises
    ------
    InvalidConfig
        Quotes that do not close, or flags of which nobody can tell whose they are; names file and line.

    Examples
    --------
    >>> sheet = FlagSheet()
    >>> add_command_lines(sheet, "ExecStart=/usr/bin/kubelet \\\n  --max-pods=250", "kubelet.service")
    >>> sheet.flags(), sheet.origins()["kubelet", "max-pods"]
    ({'kubelet': ('--max-pods=250',)}, 'kubelet.service, line 2, --max-pods')
    """
    component = ""
    words: dict[str, list[str]] = {}
    places: dict[str, dict[str, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for word in _line_words(line, f"{file}, line {number}"):
            if _basename(word).rstrip(":") in COMPONENTS:
                component = _basename(word).rstrip(":")
                continue
            variable = _ASSIGNMENT.match(word)
            if variable and not word.startswith("--"):
                component = _component_of(variable[0]) or component
                continue
            words.setdefault(component, []).append(word)
            name = word.lstrip("-").partition("=")[0].replace("_", "-")
            places.setdefault(component, {}).setdefault(name, f"{file}, line {number}, --{name}")
    for owner, flags in words.items():
        known = owner or _component_of(file) or _component_by_flags(flags, file)
        sheet.add_line(known, flags, places[owner], where=file)


def _line_words(line: str, where: str) -> Iterator[str]:
    """Split one line into words; an assignment yields its name and then its words."""
    plain = line.strip().removesuffix("\\")
    if not plain or plain.startswith(("#", ";", "[")):
        return
    try:
        words = shlex.split(plain, comments=True)
    except ValueError as error:
        raise InvalidConfig(f"{where}: {str(error).lower()}; close the quotes in the line") from None
    for word in words:
        variable = _ASSIGNMENT.match(word)
        if word.startswith("$"):
            continue
        if variable is None or word.startswith("--"):
            yield word
            continue
        yield variable[0]
        rest = word[variable.end() :]
        inner = _ASSIGNMENT.match(rest)
        if inner and not rest.startswith("--"):
            yield inner[0]
            rest = rest[inner.end() :]
        yield from (part for part in rest.split() if part.startswith("-") or _basename(part) in COMPONENTS)


def _component_of(name: str) -> str:
    """Tell the component from the name of a file or variable."""
    plain = name.lower().replace("_", "-").replace("kube-api-", "kube-apiserver-")
    return next((component for component in COMPONENTS if component in plain), "")


def _component_by_flags(flags: Iterable[str], file: str) -> str:
    """Tell the component from the flags that only it has."""
    names = {flag.lstrip("-").partition("=")[0].replace("_", "-") for flag in flags if flag.startswith("-")}
    fitting = [component for component, (known, _) in COMPONENTS.items() if names and names <= set(known)]
    if len(fitting) == 1:
        return fitting[0]
    raise InvalidConfig(
        f"{file}: whose flags are {', '.join(sorted(names))[:120] or 'these'}? begin them with a line that names the "
        f"component: {', '.join(COMPONENTS)}"
    )


def _split(word: str) -> list[str]:
    """Split an argument that holds a whole command line, as for a shell."""
    if " " not in word.strip() or word.startswith("--"):
        return [word]
    try:
        return [part for part in shlex.split(word) if part not in {"exec", "sh", "-c"}]
    except ValueError:
        return word.split()


def _basename(word: str) -> str:
    """Return the last part of a path."""
    return word.rpartition("/")[2]
