"""Keep history as a folder of Parquet files, one an append.

Promises that an append is there whole or not at all, whenever the program or the machine stops: the file is written
under another name, forced to disk, and renamed. A file is never changed, so what was there stays. The same append
made again adds nothing. An append for a time and pool that are there already stands beside the old one, and on reading
the newer counts (see `dsmodel.io.history.observations`).

What it does not know: other programs that write into the folder. Files that begin with a dot are never read.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd

from dsmodel.cluster.state import Cluster
from dsmodel.errors import DsmodelError, InvalidInput, MissingDependency, Unreachable
from dsmodel.io.history.dumps import observations_of_cluster
from dsmodel.io.history.observations import COLUMNS, observations_of, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.checks import Finding

__all__ = ["append_history", "is_dataset", "read_dataset"]

_SUFFIX: Final = ".parquet"
_DRAFT: Final = ".draft"


def append_history(history: Cluster | pd.DataFrame, place: str | os.PathLike[str], *, time: Any = None) -> str:
    """Append what is seen today to a dataset.

    Parameters
    ----------
    history : Cluster or pandas.DataFrame
        A cluster as it is now, or a frame as `read_history` gives it.
    place : path or URL
        A local folder, made if it is not there, or a URL that fsspec knows (``s3://bucket/history``).
    time : str, date or datetime, optional
        When it was so, for a cluster or for a frame without the column ``time``.

    Returns
    -------
    str
        Name of the file that holds it.

    Raises
    ------
    InvalidInput
        If the time is missing or given twice, the frame cannot be read, or the place is a file. Nothing is written.
    Unreachable
        If the place cannot be written to; what was there is as it was.
    MissingDependency
        If the place is a URL and fsspec is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from dsmodel import examples, read_history
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = append_history(examples.nearly_full(), folder, time="2026-01-01")
    ...     again = append_history(examples.nearly_full(), folder, time="2026-01-01")
    ...     (first == again, first[:15], len(read_history(folder)))
    (True, '000001-20260101', 23)
    """
    if isinstance(history, Cluster):
        if time is None:
            raise InvalidInput("time=None: a cluster carries no date; give the time of its dump")
        table = observations_of_cluster(history, time_of(time, "time"))
    elif isinstance(history, pd.DataFrame):
        if (time is not None) == ("time" in history):
            raise InvalidInput(f"time={time!r}: give it for a frame without a column time, and only then")
        frame = history if time is None else history.assign(time=time_of(time, "time"))
        table = observations_of(frame, "history")
    else:
        raise InvalidInput(f"history is a {type(history).__name__}; give a Cluster or a frame of read_history")
    shelf = _shelf(place)
    try:
        return _appended(table, shelf)
    except OSError as error:
        raise Unreachable(f"{place}: cannot be written: {error.strerror or error}; nothing has changed") from error


def is_dataset(place: str | os.PathLike[str]) -> bool:
    """Tell whether a place holds Parquet files.

    Parameters
    ----------
    place : path or URL
        Any; a URL that is not HTTP is taken for one.

    Returns
    -------
    bool
        True for a Parquet file, a folder with one, and a URL.

    Raises
    ------
    None
        What is not there holds none.

    Examples
    --------
    >>> is_dataset("s3://bucket/history"), is_dataset("history.csv")
    (True, False)
    """
    if _is_url(place):
        return True
    path = Path(place)
    if path.is_dir():
        return any(path.rglob(f"*{_SUFFIX}")) or any(path.glob(f".*{_DRAFT}"))
    return path.name.lower().endswith(_SUFFIX)


def read_dataset(place: str | os.PathLike[str]) -> tuple[pd.DataFrame, list[Finding]]:
    """Read every append of a dataset, in the order they were made.

    Parameters
    ----------
    place : path or URL
        A Parquet file, or a folder of them.

    Returns
    -------
    observations : pandas.DataFrame
        As `dsmodel.io.history.observations.table_of` gives them.
    findings : list of (severity, rule, object, message)
        Appends that were cut short.

    Raises
    ------
    InvalidInput
        If there is no whole file, or one cannot be read; the message names it.
    Unreachable
        If the place cannot be read.
    MissingDependency
        If the place is a URL and fsspec is not installed.
    """
    shelf = _shelf(place)
    try:
        names = shelf.names()
        whole = [name for name in names if not name.rpartition("/")[2].startswith((".", "_"))]
        tables = {name: _read(shelf, name) for name in whole if name.endswith(_SUFFIX)}
    except OSError as error:
        raise Unreachable(f"{place}: cannot be read: {error.strerror or error}") from error
    if not tables:
        raise InvalidInput(f"{place}: holds no whole Parquet file")
    found: list[Finding] = [
        ("info", "history-draft", name, "an append that was cut short; not read, and may be deleted")
        for name in names
        if name.endswith(_DRAFT)
    ]
    return _observations(tables), found


class _Shelf(Protocol):
    """A folder of files, here or elsewhere."""

    def names(self) -> list[str]:
        """List the files below, sorted."""

    def read(self, name: str) -> bytes:
        """Read one."""

    def write(self, name: str, content: bytes) -> None:
        """Write one, whole or not at all."""


class _Folder:
    """A local folder, or a single file in it."""

    def __init__(self, place: Path) -> None:
        self.single = place.is_file()
        self.root = place.parent if self.single else place
        self.name = place.name

    def names(self) -> list[str]:
        """List the files below, sorted."""
        if self.single:
            return [self.name]
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        """Read one."""
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a draft, force it to disk, rename it, and force the folder to disk."""
        if self.single:
            raise InvalidInput(f"{self.name}: is a file; name a folder, to which appends are added as files")
        self.root.mkdir(parents=True, exist_ok=True)
        draft = self.root / f".{name}.{os.getpid()}{_DRAFT}"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.root / name)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):  # some systems cannot open a folder
            handle = os.open(self.root, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class _Remote:
    """A folder that fsspec reaches."""

    def __init__(self, url: str) -> None:
        try:
            fsspec: Any = importlib.import_module("fsspec")
        except ImportError as error:
            raise MissingDependency(f"{url}: needs fsspec; pip install 'dsmodel[parquet]'") from error
        self.url = re.sub(r"//[^/@]*@", "//", url)  # no password in messages
        with self._reached():
            try:
                self.system, root = fsspec.core.url_to_fs(url)
            except (ValueError, ImportError) as error:
                raise InvalidInput(f"{self.url}: {error}") from error
        self.root = root.rstrip("/")

    def names(self) -> list[str]:
        """List the files below, sorted; a store may list what another client has written only when asked anew."""
        with self._reached():
            self.system.invalidate_cache()
            if self.system.isfile(self.root):
                self.root, _, name = self.root.rpartition("/")
                return [name]
            try:
                found = self.system.find(self.root)
            except FileNotFoundError:
                return []
            return sorted(name[len(self.root) :].lstrip("/") for name in found)

    def read(self, name: str) -> bytes:
        """Read one."""
        with self._reached():
            return bytes(self.system.cat_file(f"{self.root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a draft and rename it."""
        draft = f"{self.root}/.{name}.{os.getpid()}{_DRAFT}"
        with self._reached():
            self.system.makedirs(self.root, exist_ok=True)
            self.system.pipe_file(draft, content)
            self.system.mv(draft, f"{self.root}/{name}")

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Name what a file system says; each has errors of its own, often none of the operating system's."""
        try:
            yield
        except DsmodelError:
            raise
        except Exception as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise Unreachable(f"{self.url}: cannot be read or written: {words}; what was there is as it was") from error


def _is_url(place: str | os.PathLike[str]) -> bool:
    """Tell a URL from a path."""
    return isinstance(place, str) and "://" in place


def _shelf(place: str | os.PathLike[str]) -> _Shelf:
    """Open a place."""
    return _Remote(str(place)) if _is_url(place) else _Folder(Path(place))


def _appended(table: pd.DataFrame, shelf: _Shelf) -> str:
    """Write a file, unless one of the same content is there. Its number keeps appends in their order."""
    digest = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:16]
    names = [name for name in shelf.names() if name.endswith(_SUFFIX) and not name.startswith(".")]
    for name in names:
        if name.endswith(f"-{digest}{_SUFFIX}"):
            return name
    numbers = [int(name[:6]) for name in names if name[:6].isdigit()]
    day = table["time"].min()
    name = f"{max(numbers, default=0) + 1:06d}-{day:%Y%m%d}-{digest}{_SUFFIX}"
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    shelf.write(name, content.getvalue())
    return name


def _observations(tables: dict[str, Any]) -> pd.DataFrame:
    """Turn tables into observations: our own all at once, those of other programs one by one, to name what is wrong."""
    pyarrow: Any = importlib.import_module("pyarrow")
    parts: list[pd.DataFrame] = []
    for is_own, group in groupby(tables.items(), lambda pair: tuple(pair[1].column_names) == COLUMNS):
        named = dict(group)
        if is_own:
            with contextlib.suppress(pyarrow.ArrowException):  # of other types than ours: one by one
                together = pyarrow.concat_tables(named.values(), promote_options="permissive").to_pandas()
                named = {f"{next(iter(named))} and what follows": together}
        for name, table in named.items():
            frame = table if isinstance(table, pd.DataFrame) else table.to_pandas()
            parts.append(observations_of(frame, name))
    return pd.concat(parts, ignore_index=True)


def _read(shelf: _Shelf, name: str) -> Any:
    """Read one file."""
    pyarrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    content = shelf.read(name)
    try:
        return parquet.ParquetFile(pyarrow.BufferReader(content)).read(use_threads=False)  # each is small
    except (pyarrow.ArrowException, OSError) as error:
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(f"{name}: is no whole Parquet file ({words}); restore or delete it") from None
