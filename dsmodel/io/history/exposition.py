"""Read metrics as text: OpenMetrics, or what ``/metrics`` of a component prints.

Promises that of samples of several instances at one time the largest counts, and that parts of a pool (nodes) are
added up. OpenMetrics ends with ``# EOF`` and writes times in seconds; the older format writes milliseconds. Counters
that went back to zero are findings: their difference is right again once the component has seen every node.

What it does not know: exemplars, histograms, and metrics that tell of no pool, which it counts.

Sources: OpenMetrics 1.0; Prometheus text format 0.0.4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.io.history.measurements import difference_finding, measured, observations_of_metrics, reset_finding
from dsmodel.io.history.metrics import BY_NAME, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.checks import Finding
    from dsmodel.io.history.metrics import Metric

__all__ = ["is_exposition", "read_exposition"]

_HEAD = re.compile(r"\A(?:\s*#[^\n]*\n)*\s*[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^\n]*\})?[ \t]+[-+.0-9NI]")
_COMMENT = re.compile(r"\A\s*# (?:HELP|TYPE|UNIT|EOF)\b")
_NAME = rf"({'|'.join(sorted(BY_NAME, key=len, reverse=True))})(?![a-zA-Z0-9_:])"
_OURS = re.compile(rf"^{_NAME}", re.MULTILINE)
_SAMPLE = re.compile(
    rf"^{_NAME}[ \t]*(?:\{{((?:[^\"}}\n]|\"(?:\\.|[^\"\\\n])*\")*)\}})?"
    r"[ \t]+([^\s#]+)(?:[ \t]+([^\s#]+))?[ \t]*(?:#[^\n]*)?\r?$",
    re.MULTILINE,
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_MILLISECONDS = 1e11  # as seconds this is the year 5138
_PIECE: Final = 1 << 24  # characters looked through at a time

_Labels = tuple[tuple[str, str], ...]  # sorted


def is_exposition(head: str) -> bool:
    """Tell metrics from other text.

    Parameters
    ----------
    head : str
        How the text begins.

    Returns
    -------
    bool
        True if it begins with a comment or a sample of the format.

    Raises
    ------
    None
        Any text has an answer.

    Examples
    --------
    >>> is_exposition("# TYPE up gauge"), is_exposition("up 1"), is_exposition('{"kind": "List"}')
    (True, True, False)
    """
    return bool(_COMMENT.match(head) or _HEAD.match(head))


def read_exposition(text: str, what: str, *, time: pd.Timestamp | None = None) -> tuple[pd.DataFrame, list[Finding]]:
    r"""Read observations out of metrics.

    Parameters
    ----------
    text : str
        OpenMetrics, or the older text format.
    what : str
        Its name, for messages.
    time : pandas.Timestamp, optional
        When it was scraped; needed where samples carry no time, and of no use where they do.

    Returns
    -------
    observations : pandas.DataFrame
        As `dsmodel.io.history.observations.table_of` gives them.
    findings : list of (severity, rule, object, message)
        Counters that were reset; what was passed over.

    Raises
    ------
    InvalidInput
        If a line is damaged, a sample has no time, the text is cut short, or nothing in it tells of pools.

    Examples
    --------
    >>> text = 'kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/24"} 9 1767225600.0\n# EOF\n'
    >>> read_exposition(text, "x")[0][["time", "range", "used"]].astype(str).values.tolist()
    [['2026-01-01 00:00:00+00:00', '10.96.0.0/24', '9.0']]
    """
    samples, labels = _samples(text, what, time)
    by_name = dict(iter(samples.groupby("name", sort=False)))
    found: list[Finding] = []
    parts: list[pd.DataFrame] = []
    for metric in METRICS:
        if metric.name not in by_name:
            continue
        chosen, named = _labelled(metric, by_name[metric.name], labels)
        if metric.role in {"opened", "released"}:
            found += _resets(metric, chosen, labels)
        if metric.beside:
            chosen = _together(metric, chosen, by_name.get(metric.beside, chosen.iloc[:0]))
        if metric.role != "released":
            parts += _measured(metric, chosen, named)
        if metric.lags and metric.role == "used":
            found += _differences(metric, chosen, named)
    observations, doubts = observations_of_metrics(parts, what)
    return observations, [*found, *doubts]


def _samples(text: str, what: str, time: pd.Timestamp | None) -> tuple[pd.DataFrame, list[_Labels]]:
    """Read the lines that tell of pools: name, place of the labels, seconds since 1970-01-01, value; and the labels."""
    found: list[tuple[str, str, str, str]] = []
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + _PIECE) + 1 or len(text)
        piece = text[begin:end]
        pairs = _SAMPLE.findall(piece)
        if len(pairs) != len(_OURS.findall(piece)):
            raise _damage(text, what)
        found += pairs
        begin = end
    names, words, values, times = zip(*found, strict=True) if found else ((), (), (), ())
    codes, unique = pd.factorize(np.array(words, object))
    labels: dict[_Labels, int] = {}
    places = np.array(
        [labels.setdefault(_labels(each, text, what), len(labels)) for each in unique],
        np.int64,
    )
    numbers = _numbers(values, text, what)
    seconds = _seconds(text, what, times, time)
    frame = pd.DataFrame({"name": np.array(names, object), "who": places[codes], "time": seconds, "value": numbers})
    return frame, list(labels)


def _seconds(text: str, what: str, times: tuple[str, ...], time: pd.Timestamp | None) -> Any:
    """Read times, which OpenMetrics writes in seconds and the older format in milliseconds."""
    written = np.array([each != "" for each in times], np.bool_)
    if time is None and not written.all():
        raise _damage(text, what, is_timed=True)
    seconds = np.full(len(times), time.timestamp() if time is not None else np.nan)
    seconds[written] = _numbers([each for each in times if each], text, what)
    if text.rstrip().endswith("# EOF"):
        return seconds
    wrong = written & (np.abs(seconds) < _MILLISECONDS)
    if wrong.any():
        place = int(np.argmax(wrong))
        line = next(number for number, count in enumerate(_counted(text), 1) if count == place + 1)
        raise InvalidInput(
            f"{what}, line {line}: time {times[place]} is in seconds, as OpenMetrics writes it, but the text does not "
            "end with # EOF: it is cut short; write it again"
        )
    return np.where(written, seconds / 1000, seconds)


def _numbers(words: Any, text: str, what: str) -> Any:
    """Read numbers of the format."""
    try:
        return np.array(words, np.str_).astype(np.float64)
    except ValueError:
        raise _damage(text, what) from None


def _counted(text: str) -> Iterator[int]:
    """Count, line by line, the samples that tell of pools so far."""
    count = 0
    for line in text.split("\n"):
        count += _OURS.match(line) is not None
        yield count


def _damage(text: str, what: str, *, is_timed: bool = False) -> InvalidInput:
    """Name the first line that is no sample, or has no time where one is needed."""
    for number, line in enumerate(text.split("\n"), 1):
        if not _OURS.match(line):
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None:
            return InvalidInput(f"{what}, line {number}: {line[:80]!r} is no sample of a metric")
        for word in filter(None, (match[3], match[4])):
            try:
                float(word)
            except ValueError:
                return InvalidInput(f"{what}, line {number}: {word!r} is no number")
        if is_timed and not match[4]:
            return InvalidInput(f"{what}, line {number}: has no time; give it as in {{'2026-01-31': {what!r}}}")
    return InvalidInput(f"{what}: cannot be read as samples of metrics")


def _labels(words: str, text: str, what: str) -> _Labels:
    """Read the labels of a sample."""
    pairs, place = [], 0
    while place < len(words) and words[place:].strip():
        match = _LABEL.match(words, place)
        if match is None:
            line = text.count("\n", 0, text.find(f"{{{words}}}")) + 1
            raise InvalidInput(f"{what}, line {line}: labels {words[:80]!r} cannot be read")
        pairs.append((match[1], _ESCAPED.sub(lambda each: "\n" if each[1] == "n" else each[1], match[2])))
        place = match.end()
    return tuple(sorted(pairs))


def _labelled(
    metric: Metric, samples: pd.DataFrame, labels: list[_Labels]
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Keep the samples with the labels that a metric asks for, and number their pools and parts; name the pools.

    What is no number says nothing.
    """
    codes, places = pd.factorize(samples["who"])
    pools: dict[tuple[str, ...], int] = {}
    parts: dict[tuple[str, ...], int] = {}
    rows = []
    for place in places:
        named = dict(labels[place])
        fits = all(named.get(name, "") == value for name, value in metric.where)
        pool = tuple(named.get(name, "") for name in metric.keys) if fits else ()
        part = tuple(named.get(name, "") for name in metric.summed)
        rows.append((fits, pools.setdefault(pool, len(pools)), parts.setdefault(part, len(parts))))
    fits, pool, part = np.array(rows, np.int64).T[:, codes]
    table = samples.assign(pool=pool, part=part)[(fits == 1) & samples["value"].notna().to_numpy()]
    return table, [dict(zip(metric.keys, each, strict=False)) for each in pools]


def _measured(metric: Metric, samples: pd.DataFrame, pools: list[dict[str, str]]) -> Iterator[pd.DataFrame]:
    """Let the largest answer count, add up the parts, and give one frame a pool."""
    largest = samples.groupby(["pool", "part", "time"], sort=True)["value"].max()
    totals = largest.groupby(["pool", "time"], sort=True).sum().reset_index()
    for pool, rows in totals.groupby("pool", sort=True):
        yield measured(metric, pools[int(str(pool))], rows["time"].tolist(), rows["value"].tolist())


def _together(metric: Metric, samples: pd.DataFrame, beside: pd.DataFrame) -> pd.DataFrame:
    """Put two metrics together, server by server: what was released off what was opened, what is used to what is free.

    Nothing may have been released yet; what is free says nothing without what is used.
    """
    others = beside.drop_duplicates(["who", "time"], keep="last").rename(columns={"value": "other"})
    pairs = samples.merge(others[["who", "time", "other"]], on=["who", "time"], how="left")
    if metric.role == "opened":
        return pairs.assign(value=pairs["value"] - pairs["other"].fillna(0.0))
    return pairs.assign(value=pairs["value"] + pairs["other"]).dropna(subset=["value"])


def _differences(metric: Metric, samples: pd.DataFrame, pools: list[dict[str, str]]) -> Iterator[Finding]:
    """Name pools of which servers say different things at one time."""
    by_time = samples.groupby(["pool", "time"], sort=True)["value"]
    apart = by_time.max() - by_time.min()
    for pool, values in apart[apart > 0].groupby("pool", sort=True):
        since = pd.Timestamp(values.index.get_level_values("time")[0], unit="s")
        yield difference_finding(metric, pools[int(str(pool))], since, float(values.max()))


def _resets(metric: Metric, samples: pd.DataFrame, labels: list[_Labels]) -> Iterator[Finding]:
    """Name counters that went back."""
    for who, series in samples.sort_values("time", kind="stable").groupby("who", sort=True):
        back = series["time"][series["value"].diff() < 0]
        if len(back):
            yield reset_finding(metric, dict(labels[int(str(who))]), pd.Timestamp(back.iloc[0], unit="s"))
