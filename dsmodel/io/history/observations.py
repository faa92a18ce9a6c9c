"""What was seen of a pool at a time, and the tidy frame that a forecast is fitted to.

Promises one row a time and pool, sorted by `KEYS`, whatever the source. A pool of several ranges has a row for each,
named "… in <range>", and one for all of them, whose ``range`` is empty; a range inside another one is not added again.
The total is left out where a range that was there before and after has no value, and none overlapping it has one. Of
several sources that tell of the same pool, the one that saw it most often has its name; the others carry their source
in theirs.

Of several observations of a pool at one time `dsmodel.cluster.observations` says which counts; in a dataset the newer
append is the one given last.

What it does not know: gaps and wrong clocks. `dsmodel.planning.scenario.fit` names those, as it knows what is usual.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import Cidr
from dsmodel.cluster.observations import counts_of, times_of, without_repeats
from dsmodel.errors import InvalidCidr, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding

__all__ = ["COLUMNS", "KEYS", "observations_of", "table_of", "tidy", "time_of"]

KEYS = ("time", "metric", "ip_family", "node_pool", "zone")
COLUMNS = ("time", "pool", "ip_family", "node_pool", "zone", "range", "used", "usable", "source")

_SERIES = ["source", "pool", "ip_family", "node_pool", "zone"]
_WORDS = ("pool", "ip_family", "node_pool", "zone", "range", "source")
_CANNOT_RUN_OUT = 2.0**48  # as in `dsmodel.planning.limits`
_FAMILIES = ("", "IPv4", "IPv6")


def time_of(value: Any, what: str) -> pd.Timestamp:
    """Read a time.

    Parameters
    ----------
    value : str, date, datetime or numpy.datetime64
        UTC unless a zone is given. A bare number is refused: nobody can tell its unit.
    what : str
        What it is, for the message.

    Returns
    -------
    pandas.Timestamp
        In UTC.

    Raises
    ------
    InvalidInput
        If it is no time.

    Examples
    --------
    >>> time_of("2026-01-01T01:00+01:00", "time").isoformat()
    '2026-01-01T00:00:00+00:00'
    """
    try:
        stamp = pd.NaT if isinstance(value, int | float) else pd.Timestamp(value)
    except (TypeError, ValueError, OverflowError):
        stamp = pd.NaT
    if not isinstance(stamp, pd.Timestamp) or pd.isna(stamp):
        raise InvalidInput(f"{what}={value!r}: needs a time such as 2026-01-31 or 2026-01-31T06:00Z")
    return stamp.tz_convert("UTC") if stamp.tzinfo else stamp.tz_localize("UTC")


def table_of(rows: Sequence[Mapping[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Give observations their columns and types.

    Parameters
    ----------
    rows : sequence of mapping, or pandas.DataFrame
        With any of `COLUMNS`; what is left out is empty.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: ``time`` in UTC, ``used`` and ``usable`` as float64, the others as text.

    Raises
    ------
    None
        Rows are our own.

    Examples
    --------
    >>> table_of([{"time": "2026-01-01", "pool": "pods", "used": 3}])["used"].tolist()
    [3.0]
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_records(list(rows))
    frame = frame.reindex(columns=list(COLUMNS))
    words = {name: frame[name].astype("object").where(frame[name].notna(), "").astype("str") for name in _WORDS}
    numbers = {name: pd.to_numeric(frame[name]).astype(np.float64) for name in ("used", "usable")}
    times = pd.to_datetime(frame["time"], utc=True).dt.as_unit("us")
    return pd.DataFrame({"time": times, **words, **numbers})[list(COLUMNS)]


def observations_of(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Read a frame that somebody else, or `read_history`, made.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``time``; ``pool`` or ``metric``; ``used`` or ``value``; optionally ``usable``, ``ip_family``, ``node_pool``,
        ``zone``, ``range``, ``source``.
    what : str
        Where it comes from, for the message.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`.

    Raises
    ------
    InvalidInput
        If a column or a time is missing, a number is none or is negative, or a family is neither IPv4 nor IPv6.

    Examples
    --------
    >>> frame = pd.DataFrame({"time": ["2026-01-01"], "metric": "pods", "value": [3]})
    >>> observations_of(frame, "a frame")[["pool", "used"]].values.tolist()
    [['pods', 3.0]]
    """
    named = next((name for name in ("pool", "metric") if name in frame), None)
    counted = next((name for name in ("used", "value") if name in frame), None)
    if "time" not in frame or named is None or counted is None:
        have = ", ".join(map(str, frame.columns)) or "none"
        raise InvalidInput(f"{what}: needs columns time, pool (or metric) and used (or value); it has {have}")
    if frame.empty:
        raise InvalidInput(f"{what}: has no row")
    data = {name: frame[name] for name in COLUMNS if name in frame}
    data["pool"] = frame[named]
    for column, source in (("used", counted), ("usable", "usable")):
        if source in frame:
            data[column] = counts_of(frame[source], f"{what}, {source}")
    data["time"] = times_of(frame["time"], what)
    table = table_of(pd.DataFrame(data))
    strange = ~table["ip_family"].isin(_FAMILIES)
    if strange.any():
        place = int(np.argmax(strange.to_numpy()))
        raise InvalidInput(f"{what}, row {place + 1}: ip_family={table['ip_family'].iloc[place]!r}; is IPv4 or IPv6")
    return table


def tidy(observations: pd.DataFrame, findings: Sequence[Finding] = ()) -> pd.DataFrame:
    """Make observations the frame that a forecast is fitted to.

    Parameters
    ----------
    observations : pandas.DataFrame
        `COLUMNS`, in the order given.
    findings : sequence of (severity, rule, object, message)
        What reading has found so far.

    Returns
    -------
    pandas.DataFrame
        `KEYS`, ``value`` (what is in use), ``pool``, ``range``, ``used``, ``usable`` (Int64, missing where the pool
        cannot run out or nobody says), ``source``. ``attrs["findings"]`` holds records with ``severity``, ``rule``,
        ``object``, ``message``.

    Raises
    ------
    None
        Repeats are findings.

    Examples
    --------
    >>> rows = [{"time": "2026-01-01", "pool": "service addresses", "ip_family": "IPv4", "used": used, "range": cidr}
    ...         for used, cidr in ((3, "10.96.0.0/24"), (4, "10.97.0.0/24"))]
    >>> tidy(table_of(rows))[["metric", "value"]].values.tolist()  # doctest: +NORMALIZE_WHITESPACE
    [['service addresses', 7.0], ['service addresses in 10.96.0.0/24', 3.0], ['service addresses in 10.97.0.0/24', 4.0]]
    """
    found = list(findings)
    table, repeats = without_repeats(
        observations.reset_index(drop=True),
        ["pool", "ip_family", "node_pool", "zone", "range"],
        ["used", "usable"],
        apart=["source"],
    )
    found += repeats
    parts = [_with_total(rows, found) for _, rows in table.groupby(_SERIES, sort=True)]
    frame = pd.concat(parts, ignore_index=True) if parts else table.assign(metric="")
    frame = _named_by_source(frame, found)
    used = frame["used"].to_numpy(np.float64)
    frame["value"] = used
    for name in ("used", "usable"):
        amounts = frame[name].to_numpy(np.float64)
        known = np.isfinite(amounts) & (amounts < _CANNOT_RUN_OUT)
        whole = np.where(known, np.rint(np.where(known, amounts, 0.0)), 0.0).astype(np.int64)
        frame[name] = pd.arrays.IntegerArray(whole, ~known)
    frame = frame[[*KEYS, "value", "pool", "range", "used", "usable", "source"]]
    frame = frame.sort_values([*KEYS], ignore_index=True)
    frame.attrs["findings"] = [
        dict(zip(("severity", "rule", "object", "message"), each, strict=True)) for each in dict.fromkeys(found)
    ]
    return frame


def _with_total(rows: pd.DataFrame, found: list[Finding]) -> pd.DataFrame:
    """Name the ranges of one pool apart and add them up; a total that was given counts where none can be made."""
    is_part = rows["range"] != ""
    given, parts = rows[~is_part], rows[is_part]
    if len(set(parts["range"])) > 1:
        total = _total(parts, found)
        named = parts.assign(metric=parts["pool"] + " in " + parts["range"])
    else:
        total, named = parts, parts.iloc[:0].assign(metric="")
    given = given[~given["time"].isin(total["time"])]
    whole = (
        pd.concat([total, given], ignore_index=True) if len(total) and len(given) else total if len(total) else given
    )
    whole = whole.assign(metric=whole["pool"])
    return pd.concat([named, whole], ignore_index=True) if len(named) and len(whole) else named if len(named) else whole


def _total(parts: pd.DataFrame, found: list[Finding]) -> pd.DataFrame:
    """Add up the ranges of one pool, time by time."""
    by_time = parts.set_index(["time", "range"]).sort_index()
    used, usable = (by_time[name].unstack() for name in ("used", "usable"))  # noqa: PD010 - no aggregation
    seen = used.notna().to_numpy()
    holds = _containment(used.columns.tolist())
    inside = seen & (seen @ holds)
    # one range in place of another, as where a growing cluster's range is told by its nodes, leaves no hole
    lives = np.logical_or.accumulate(seen) & np.logical_or.accumulate(seen[::-1])[::-1]
    whole = ~(lives & ~seen & ~(seen @ (holds | holds.T))).any(axis=1) & seen.any(axis=1)
    title = ", ".join(filter(None, (parts["pool"].iloc[0], parts["ip_family"].iloc[0])))
    if not whole.all():
        since = f"{used.index[int(np.argmin(whole))]:%Y-%m-%d %H:%M}"
        message = f"{int((~whole).sum()):,} times without a total, as not every range has a value; first {since}"
        found.append(("info", "history-part-missing", title, message))
    if inside.any():
        names = ", ".join(used.columns[inside.any(axis=0)])
        message = f"{names} lies in another range; what is in use there is not added again"
        found.append(("info", "history-nested-ranges", title, message))
    counted = seen & ~inside
    total = parts.iloc[np.zeros(int(whole.sum()), np.int64)].reset_index(drop=True)
    return total.assign(
        time=used.index[whole],
        range="",
        used=np.where(counted, used, 0.0).sum(axis=1)[whole],
        usable=np.where(counted, usable, 0.0).sum(axis=1)[whole],  # not known where one of them is not
    )


def _containment(ranges: list[str]) -> NDArray[np.bool_]:
    """Tell which range (row) lies around which (column)."""
    holds = np.zeros((len(ranges), len(ranges)), np.bool_)
    cidrs = list(_cidrs(ranges))
    for place, outer in cidrs:
        for other, inner in cidrs:
            if outer.family is inner.family and outer.prefix_length < inner.prefix_length:
                holds[place, other] = outer.first <= inner.first and inner.last <= outer.last
    return holds


def _cidrs(ranges: list[str]) -> Iterator[tuple[int, Cidr]]:
    """Read the ranges that are CIDRs; pools have other names too."""
    for place, text in enumerate(ranges):
        try:
            yield place, Cidr(text)
        except InvalidCidr:
            continue


def _named_by_source(frame: pd.DataFrame, found: list[Finding]) -> pd.DataFrame:
    """Let one source speak for each pool, and name the others apart."""
    keys = ["pool", "ip_family", "node_pool", "zone"]
    grouped = frame.groupby(keys, sort=True)
    speakers: list[str] = []
    for key, rows in grouped:
        counts = Counter(dict(rows.groupby("source", sort=True)["time"].nunique()))
        first, *others = sorted(counts, key=lambda name: (-counts[name], name))
        speakers.append(first)
        if others:
            title = ", ".join(filter(None, map(str, key)))
            message = f"{first or 'the frame'} saw it {counts[first]:,} times and counts; {', '.join(others)} beside it"
            found.append(("info", "history-two-sources", title, message))
    other = frame["source"].to_numpy() != np.array(speakers, object)[grouped.ngroup().to_numpy()]
    frame["metric"] = frame["metric"].where(~other, frame["metric"] + " (" + frame["source"] + ")")
    return frame
