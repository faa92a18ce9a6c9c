"""Read what clusters are configured with: kubeadm, k3s and RKE2, static Pods, flags; the answer names file and key.

Whatever the form, the files become flags of the components, and the flags are read and judged by the rules of
`dsmodel.kube.flags`: there is one answer to a flag, wherever it is written. What is half-written, twice there or of a
wrong type is an `InvalidConfig` that names file, document and line.

What it does not know: values that are not in the files (environment of a unit, kubeadm's command line).

Sources: those of `dsmodel.io.kubeadm`, `dsmodel.io.k3s` and `dsmodel.io.flag_sheets`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from dsmodel.errors import InvalidConfig, InvalidInput
from dsmodel.io.config_documents import Entry, decode_text, read_documents
from dsmodel.io.flag_sheets import FlagSheet, add_command_lines, add_pod, looks_like_flags
from dsmodel.io.k3s import add_k3s, looks_like_k3s
from dsmodel.io.kubeadm import add_kubeadm, add_kubelet_configuration, add_proxy_configuration, settle_kubeadm
from dsmodel.kube.flags import COMPONENTS, config_from_flags
from dsmodel.kube.versions import NEWEST, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dsmodel.kube.command_lines import Finding
    from dsmodel.kube.config import ClusterConfig

    Place = str | os.PathLike[str] | IO[Any]
    # kubeadm's clusters; k3s' files, each with those of its drop-in folder
    _Later = tuple[list[Entry], list[list[Entry]]]

__all__ = ["WrittenConfig", "is_config", "read_config", "read_texts", "read_written"]

_SUFFIXES: Final = (".yaml", ".yml", ".json", ".conf", ".env", ".service", ".flags")
_DROP_INS: Final = "/config.yaml.d/"
_GROUPS: Final = ("kubeadm.k8s.io/", "kubelet.config.k8s.io/", "kubeproxy.config.k8s.io/")
# keys of ConfigMaps that hold one of the documents read here
_EMBEDDED: Final = ("ClusterConfiguration", "config.conf", "kubelet")
_FORMS: Final = (
    "a kubeadm, kubelet or kube-proxy configuration, a k3s or RKE2 config.yaml, a static Pod of the control plane, or "
    "flags, one a line"
)


@dataclass(frozen=True)
class WrittenConfig:
    """What configuration files say, before anyone asks whether it starts.

    Parameters
    ----------
    kube_version : KubeVersion
        The version asked for, else the one the files name, else the newest modelled.
    flags : mapping of str to tuple of str
        Component to its flags.
    origins : mapping of (str, str) to str
        Component and flag to file, line and key.
    findings : tuple of Finding
        What the installer refuses or warns of, and what was odd about the files.
    version_evidence : str
        How the version is known.
    """

    kube_version: KubeVersion
    flags: Mapping[str, tuple[str, ...]]
    origins: Mapping[tuple[str, str], str]
    findings: tuple[Finding, ...]
    version_evidence: str


def read_config(places: Place | Iterable[Place], *, kube_version: str | KubeVersion | None = None) -> ClusterConfig:
    r"""Read the configuration of a cluster from a file.

    Parameters
    ----------
    places : path, file object, or iterable of these
        kubeadm ``ClusterConfiguration`` with the documents beside it, k3s or RKE2 ``config.yaml`` with its drop-in
        folder ``config.yaml.d``, static Pod manifests, systemd units, or flags, one a line; YAML or JSON. A folder
        stands for every such file in it, ``"-"`` for standard input.
    kube_version : str or KubeVersion, optional
        Overrides the version the files name.

    Returns
    -------
    ClusterConfig
        With the file, line and key of each field in ``evidence``.

    Raises
    ------
    InvalidConfig
        If it cannot be read, or an installer or a component would refuse it; the message names file and line, or the
        flag and the way out. `dsmodel.check_config` tells all that is wrong instead.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> import io
    >>> file = io.StringIO("cluster-cidr: 10.42.0.0/16,fd00:42::/56\nservice-cidr: 10.43.0.0/16,fd00:43::/112")
    >>> config = read_config(file)
    >>> config.is_dual_stack, config.evidence["service_cidrs"]
    (True, '<stream>, line 2, service-cidr')
    """
    written = read_written(places, kube_version=kube_version)
    fatal = next((finding for finding in written.findings if finding.severity == "fatal"), None)
    if fatal:
        raise InvalidConfig(f"{fatal.component} would refuse {fatal.flag}: {fatal.message}; {fatal.fix}")
    config = config_from_flags(written.flags, kube_version=written.kube_version, origins=written.origins)
    return replace(config, evidence={**config.evidence, "kube_version": written.version_evidence})


def read_written(places: Place | Iterable[Place], *, kube_version: str | KubeVersion | None = None) -> WrittenConfig:
    r"""Read configuration files as flags, without judging the flags.

    Parameters
    ----------
    places, kube_version
        As for `read_config`.

    Returns
    -------
    WrittenConfig
        ``flags`` go to `dsmodel.check_config`.

    Raises
    ------
    InvalidConfig
        If it cannot be read; the message names file, document and line.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> import io
    >>> read_written(io.StringIO("kube-proxy\n--proxy-mode=userspace")).flags
    {'kube-proxy': ('--proxy-mode=userspace',)}
    """
    sheet = FlagSheet()
    late: list[Entry] = []
    k3s: list[list[Entry]] = []
    single = isinstance(places, str | os.PathLike) or hasattr(places, "read")
    listed = [cast("Place", places)] if single else list(cast("Iterable[Place]", places))
    for text, file in (pair for place in listed for pair in read_texts(place)):
        if looks_like_flags(text):
            add_command_lines(sheet, text, file)
        else:
            _add_documents(sheet, text, file, (late, k3s))
    for documents in k3s:
        add_k3s(sheet, *documents)
    version, why = _version(sheet, kube_version)
    if len(late) > 1:
        raise late[1].error(f"is a second ClusterConfiguration, the first is in {late[0].where}; keep one")
    for document in late:
        settle_kubeadm(sheet, document, version)
    if not sheet.components:
        names = ", ".join(map(_name, listed)) or "nothing is named, which"
        raise InvalidConfig(f"{names}: configures none of {', '.join(COMPONENTS)}; give {_FORMS}")
    return WrittenConfig(version, sheet.flags(), sheet.origins(), tuple(sheet.findings), why)


def is_config(place: Place) -> bool:
    """Tell a configuration file from a dump, by its beginning.

    Parameters
    ----------
    place : path
        A file or folder; ``"-"`` and open files count as dumps.

    Returns
    -------
    bool
        True where `read_config` is the one to read it, also where it would find fault.

    Raises
    ------
    None
        What cannot be opened is left to the reader of dumps.

    Examples
    --------
    >>> from dsmodel.io.samples import sample_path
    >>> is_config(sample_path("nearly-full"))
    False
    """
    if not isinstance(place, str | os.PathLike) or str(place) == "-":
        return False
    path = Path(place)
    try:
        files = _files(path)
        heads = [_head(file) for file in files[:20]]
    except OSError:
        return False
    return bool(heads) and all(_is_config_head(head) for head in heads)


def _head(file: Path) -> bytes:
    """Read enough of a file to tell what it is."""
    with file.open("rb") as stream:
        return stream.read(1 << 16)


def _is_config_head(head: bytes) -> bool:
    """Tell a configuration by the first words of the file."""
    if head.startswith(b"\x1f\x8b"):
        return False
    text = head.decode("utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace").lstrip("\ufeff")
    if looks_like_flags(text) or any(group in text for group in _GROUPS):
        return '"items"' not in text and "\nitems:" not in text
    if "kind" in text:
        is_pod = '"Pod"' in text[:400] or "kind: Pod" in text
        return is_pod and "items" not in text and any(name in text for name in COMPONENTS) and "podIP" not in text
    return any(f"{name}" in text for name in (*COMPONENTS, "cluster-cidr", "service-cidr", "node-ip", "kubelet-arg"))


def read_texts(place: Place) -> Iterator[tuple[str, str]]:
    """Read a configuration file, or those of a folder, as text.

    Parameters
    ----------
    place : path or file object
        A file, a folder, an open file, ``"-"``.

    Yields
    ------
    tuple of str
        Text, and the name for messages.

    Raises
    ------
    InvalidConfig
        If it cannot be read, is too long, or is no text.
    InvalidInput
        If it is neither a path nor an open file.

    Examples
    --------
    >>> import io
    >>> list(read_texts(io.StringIO("a: 1")))
    [('a: 1', '<stream>')]
    """
    if place == "-":
        yield decode_text(sys.stdin.buffer.read(), "<stdin>"), "<stdin>"
        return
    if hasattr(place, "read"):
        data = place.read()
        yield decode_text(data, _name(place)) if isinstance(data, bytes) else data, _name(place)
        return
    if not isinstance(place, str | os.PathLike):
        raise InvalidInput(f"{place!r} is neither a path nor an open file")
    path = Path(place)
    try:
        for file in _files(path):
            name = file.name if file == path else str(file.relative_to(path.parent).as_posix())
            with file.open("rb") as stream:
                yield decode_text(stream.read((1 << 20) + 1), name), name
    except OSError as error:
        raise InvalidConfig(f"{path}: cannot be read: {error.strerror or error}") from None


def _files(path: Path) -> list[Path]:
    """List one file, or the configuration files of a folder, each k3s file before those of its drop-in folder."""
    if path.is_dir():
        own = sorted(file for file in path.iterdir() if file.is_file() and file.suffix in _SUFFIXES)
        return [each for file in own for each in (file, *_drop_ins(file))]
    return [path, *_drop_ins(path)]


def _drop_ins(file: Path) -> list[Path]:
    """List the files that k3s reads after its own."""
    folder = file.with_name(_DROP_INS.strip("/"))
    if f"{file.name}.d" != folder.name or not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.is_file() and each.suffix in {".yaml", ".yml"})


def _name(place: Place) -> str:
    """Name a place in messages."""
    if isinstance(place, str | os.PathLike):
        return Path(place).name
    name = getattr(place, "name", None)
    return Path(name).name if isinstance(name, str) else "<stream>"


def _version(sheet: FlagSheet, kube_version: str | KubeVersion | None) -> tuple[KubeVersion, str]:
    """Settle the version, and how it is known."""
    if kube_version is not None:
        return KubeVersion(kube_version), "given"
    for text, where in sheet.versions.items():
        return KubeVersion(text), where
    return KubeVersion(f"1.{NEWEST}"), "default, the newest modelled: the files name no version"


def _add_documents(sheet: FlagSheet, text: str, file: str, later: _Later) -> None:
    """Read the documents of one file; kubeadm's clusters and k3s' files are settled when all are there."""
    for document in read_documents(text, file):
        if not isinstance(document.value, dict):
            raise document.error(f"is no mapping; give {_FORMS}")
        _add_document(sheet, document, later)


def _add_document(sheet: FlagSheet, document: Entry, later: _Later) -> None:
    """Read one document by what it says it is."""
    late, k3s = later
    kind_entry, group_entry = document.get("kind"), document.get("apiVersion")
    kind = kind_entry.string() if kind_entry else ""
    group = group_entry.string() if group_entry else ""
    if group.startswith("kubeadm.k8s.io/"):
        add_kubeadm(sheet, document)
        late += [document] if kind == "ClusterConfiguration" else []
    elif kind == "KubeletConfiguration":
        add_kubelet_configuration(sheet, document)
    elif kind == "KubeProxyConfiguration":
        add_proxy_configuration(sheet, document)
    elif kind == "Pod":
        add_pod(sheet, document)
    elif kind == "ConfigMap":
        _add_config_map(sheet, document, later)
    elif k3s and _is_drop_in(document.file) and not kind:
        k3s[-1].append(document)
    elif looks_like_k3s(document):
        k3s.append([document])
    elif not kind and set(document.mapping()) & set(COMPONENTS):
        _add_components(sheet, document)
    else:
        what = f"is of kind {kind[:60]!r}" if kind else "has no key that is known here"
        raise document.error(f"{what}; give {_FORMS}")


def _is_drop_in(file: str) -> bool:
    """Tell a file of a drop-in folder by its name."""
    return _DROP_INS in f"/{file}"


def _add_config_map(sheet: FlagSheet, document: Entry, later: _Later) -> None:
    """Read the documents that installers keep in ConfigMaps."""
    for key in _EMBEDDED:
        inner = document.get("data", key)
        if inner is not None:
            _add_documents(sheet, inner.string(), f"{inner.file}, {inner.path}", later)


def _add_components(sheet: FlagSheet, document: Entry) -> None:
    """Read a mapping of component to its flags."""
    for component, entry in document.mapping().items():
        if component not in COMPONENTS:
            raise entry.error(f"is judged nowhere; use {', '.join(COMPONENTS)}")
        entries = entry.entries()
        words = [each.argument() for each in entries]
        places = {word.lstrip("-").partition("=")[0]: each.where for word, each in zip(words, entries, strict=True)}
        sheet.add_line(component, words, places, where=entry.where)
