"""Read history from whatever holds it.

Promises that the kind of a place is told by what it is: a URL of HTTP is a Prometheus server, another URL or a Parquet
file or folder a dataset, ``.csv`` a table, text that begins as metrics do an exposition, anything else a dump.

What it does not know: what happened between two dumps.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.io.dump_sources import SUFFIXES
from dsmodel.io.history.datasets import is_dataset, read_dataset
from dsmodel.io.history.dumps import newest_time, observations_of_cluster
from dsmodel.io.history.exposition import is_exposition, read_exposition
from dsmodel.io.history.observations import observations_of, tidy, time_of
from dsmodel.io.history.prometheus import Prometheus, read_prometheus
from dsmodel.io.kubectl import read_cluster

if TYPE_CHECKING:
    import datetime as dt

    from dsmodel.cluster.checks import Finding

    Place = str | os.PathLike[str] | Prometheus
    Places = Place | Mapping[Any, Any] | Iterable[Place]
    Read = tuple[pd.DataFrame, list[Finding]]

__all__ = ["read_history"]

_HEAD: Final = 4096
_LATE: Final = pd.Timedelta(days=1)  # a date without a time of day may be this much before what its dump shows


def read_history(
    places: Places, *, start: Any = None, end: Any = None, step: str | dt.timedelta = "1d"
) -> pd.DataFrame:
    """Read how full pools were over time.

    Parameters
    ----------
    places : path, URL, Prometheus, mapping of time to path, or iterable of these
        A dataset of `append_history`, Parquet or CSV with ``time``, ``pool`` (or ``metric``), ``used`` (or ``value``);
        OpenMetrics text; dumps as for `read_cluster`, dated by a mapping or else by the newest time that their objects
        name, where each file or folder inside a folder is one dump; a `Prometheus` server or its URL. A mapping also
        dates what ``/metrics`` of a component printed.
    start, end : str, date or datetime, optional
        First and last time to keep; midnight as the end stands for the whole day. A server needs both, and is asked
        for the steps that they lie in and those between.
    step : str or datetime.timedelta, default "1d"
        How far apart a server is asked for values; the most in use within each step is what it gives.

    Returns
    -------
    pandas.DataFrame
        ``time`` (UTC), ``metric``, ``ip_family``, ``node_pool``, ``zone``, ``value``, ``pool``, ``range``, ``used``,
        ``usable``, ``source``, sorted by the first five: what `dsmodel.planning.scenario.fit` takes. Nodes and pods of
        dumps have a row for the cluster and one for each node pool and zone, of which ``fit(by=...)`` counts one kind.
        ``attrs["findings"]`` holds records with ``severity``, ``rule``, ``object``, ``message``.

    Raises
    ------
    InvalidInput
        If a place holds no history, or one that is damaged; the message names it, and line or row.
    InvalidDump
        If a dump cannot be read.
    Unreachable
        If a server or store does not answer.

    Examples
    --------
    >>> from dsmodel.io.samples import sample_path
    >>> dumps = {"2026-01-01": sample_path("nearly-full"), "2026-01-02": sample_path("nearly-full")}
    >>> history = read_history(dumps)
    >>> history.loc[history["metric"] == "services", ["time", "value"]].astype(str).values.tolist()
    [['2026-01-01 00:00:00+00:00', '104.0'], ['2026-01-02 00:00:00+00:00', '104.0']]
    """
    first = time_of(start, "start") if start is not None else None
    last = _last(time_of(end, "end")) if end is not None else None
    if first is not None and last is not None and last < first:
        raise InvalidInput(f"end={end!r}: is before start={start!r}")
    parts: list[pd.DataFrame] = []
    found: list[Finding] = []
    for place, time in _listed(places):
        if isinstance(place, Prometheus):
            if first is None or last is None:
                raise InvalidInput(f"{place.url}: a server is asked for a span of time; give start= and end=")
            table, findings = read_prometheus(place, start=first, end=last, step=step)
        else:
            table, findings = _read(place, time)
            table = _within(table, first, last)
        parts.append(table)
        found += findings
    if not sum(map(len, parts)):
        raise InvalidInput(f"history: nothing lies within start={start!r} and end={end!r}")
    return tidy(pd.concat(parts, ignore_index=True), found)


def _listed(places: Places) -> list[tuple[Any, pd.Timestamp | None]]:
    """Pair every place with its time, if it has one."""
    if isinstance(places, Mapping):
        dated = sorted(((time_of(time, "time of a dump"), place) for time, place in places.items()), key=itemgetter(0))
        return [(place, time) for time, place in dated] or _nothing()
    if isinstance(places, Prometheus):
        return [(places, None)]
    if isinstance(places, str | os.PathLike):
        return [(each, None) for each in _spread(places)]
    if isinstance(places, Iterable) and not isinstance(places, pd.DataFrame | bytes):
        return [pair for place in places for pair in _listed(cast("Places", place))] or _nothing()
    raise InvalidInput(f"a {type(places).__name__} is no place of history; give a path, a URL, or {{time: path}}")


def _nothing() -> list[tuple[Any, pd.Timestamp | None]]:
    """Refuse an empty list."""
    raise InvalidInput("no place of history is named; give a path, a URL, or {time: path}")


def _spread(place: str | os.PathLike[str]) -> list[Any]:
    """Turn a URL into a server, and a folder of dumps into its dumps."""
    text = os.fspath(place)
    if text.startswith(("http://", "https://")):
        return [Prometheus(text)]
    if is_dataset(place):
        return [place]
    path = Path(place)
    if not path.exists():
        raise InvalidInput(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    found = [each for each in inside if each.is_dir() or each.name.lower().endswith(SUFFIXES)]
    if not found:
        raise InvalidInput(f"{path}: the folder holds no history: neither Parquet files nor dumps")
    return found


def _read(place: Any, time: pd.Timestamp | None) -> Read:
    """Read one place."""
    if not isinstance(place, str | os.PathLike):
        if time is not None and isinstance(place, Iterable):  # one dump in several files
            return observations_of_cluster(read_cluster(list(place), progress=False), time), []
        raise InvalidInput(f"a {type(place).__name__} is no place of history; give a path, a URL, or {{time: path}}")
    if is_dataset(place):
        return read_dataset(place)
    path = Path(place)
    if path.suffix.lower() == ".csv":
        return _table(path), []
    if path.is_file() and is_exposition(_head(path)):
        return read_exposition(_text(path), path.name, time=time)
    cluster = read_cluster(path, progress=False)
    newest = newest_time(path)
    when = time if time is not None else newest
    if when is None:
        raise InvalidInput(f"{path}: no object names a time; give it as in {{'2026-01-31': {str(path)!r}}}")
    found: list[Finding] = []
    if time is not None and newest is not None and newest - time >= _LATE:
        message = (
            f"said to be of {time:%Y-%m-%d %H:%M}, but an object names {newest:%Y-%m-%d %H:%M}; one clock is wrong"
        )
        found.append(("warning", "history-clock-jump", str(path), message))
    return observations_of_cluster(cluster, when), found


def _within(table: pd.DataFrame, first: pd.Timestamp | None, last: pd.Timestamp | None) -> pd.DataFrame:
    """Keep what lies between two times."""
    if first is not None:
        table = table[table["time"] >= first]
    return table[table["time"] <= last] if last is not None else table


def _last(end: pd.Timestamp) -> pd.Timestamp:
    """Take midnight for the whole day that begins then."""
    return end + pd.Timedelta(days=1) - pd.Timedelta(1, "us") if end == end.normalize() else end


def _table(path: Path) -> pd.DataFrame:
    """Read a table of text."""
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path.name}: is no CSV with a line of titles: {' '.join(str(error).split())}") from None
    return observations_of(frame, path.name)


def _head(path: Path) -> str:
    """Read how a file begins."""
    with _opened(path) as file:
        try:
            return str(file.read(_HEAD).decode("utf-8", "replace"))
        except (OSError, EOFError, zlib.error):
            return ""  # reading it as a dump says what is wrong


def _text(path: Path) -> str:
    """Read a file of text."""
    try:
        with _opened(path) as file:
            return str(file.read().decode("utf-8"))
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise InvalidInput(f"{path.name}: cannot be read: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file, plain or gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield gzip.GzipFile(fileobj=file) if packed else file
