"""Read metrics as text: OpenMetrics, or what ``/metrics`` of a component prints.

Promises that of samples of several instances at one time the largest counts, and that parts of a pool (nodes) are
added up. OpenMetrics ends with ``# EOF`` and writes times in seconds; the older format writes milliseconds. Counters
that went back to zero are findings: their difference is right again once the component has seen every node.

What it does not know: exemplars, histograms, and metrics that tell of no pool, which it counts.

Sources: OpenMetrics 1.0; Prometheus text format 0.0.4.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.io.history.measurements import difference_finding, measured, observations_of_metrics, reset_finding
from dsmodel.io.history.metrics import BY_NAME, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks import Finding
    from dsmodel.io.history.metrics import Metric

__all__ = ["is_exposition", "read_exposition"]

_HEAD = re.compile(r"\A(?:\s*#[^\n]*\n)*\s*[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^\n]*\})?[ \t]+[-+.0-9NI]")
_COMMENT = re.compile(r"\A\s*# (?:HELP|TYPE|UNIT|EOF)\b")
_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<labels>(?:[^\"}]|\"(?:\\.|[^\"\\])*\")*)\})?"
    r"[ \t]+(?P<value>[^\s#]+)(?:[ \t]+(?P<time>[^\s#]+))?[ \t]*(?:#.*)?"
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_NAMES = tuple(BY_NAME)
_MILLISECONDS = 1e11  # as seconds this is the year 5138


class _Sample(NamedTuple):
    """One line: its labels as sorted pairs, seconds since 1970-01-01, value."""

    labels: tuple[tuple[str, str], ...]
    time: float
    value: float


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
    samples = _samples(text, what, time)
    found: list[Finding] = list(_resets(samples))
    parts: list[pd.DataFrame] = []
    for metric in METRICS:
        chosen = [each for each in samples.get(metric.name, ()) if _fits(metric, dict(each.labels))]
        if metric.beside:
            chosen = _together(metric, chosen, samples.get(metric.beside, ()))
        if metric.role != "released":
            parts += _measured(metric, chosen)
        if metric.lags and metric.role == "used":
            found += _differences(metric, chosen)
    observations, doubts = observations_of_metrics(parts, what)
    return observations, [*found, *doubts]


def _samples(text: str, what: str, time: pd.Timestamp | None) -> dict[str, list[_Sample]]:
    """Read the lines that tell of pools."""
    in_seconds = text.rstrip().endswith("# EOF")
    samples: dict[str, list[_Sample]] = defaultdict(list)
    seen: dict[str, tuple[tuple[str, str], ...]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith(_NAMES):
            continue
        match = _SAMPLE.fullmatch(line.rstrip())
        if match is None:
            raise InvalidInput(f"{what}, line {number}: {line[:80]!r} is no sample of a metric")
        if match["name"] not in BY_NAME:
            continue
        words = match["labels"] or ""
        if words not in seen:
            seen[words] = _labels(words, f"{what}, line {number}")
        value = _number(match["value"], f"{what}, line {number}")
        if match["time"] is not None:
            seconds = _number(match["time"], f"{what}, line {number}")
            if not in_seconds and abs(seconds) < _MILLISECONDS:
                raise InvalidInput(
                    f"{what}, line {number}: time {match['time']} is in seconds, as OpenMetrics writes it, but the "
                    "text does not end with # EOF: it is cut short; write it again"
                )
            seconds = seconds if in_seconds else seconds / 1000
        elif time is not None:
            seconds = time.timestamp()
        else:
            raise InvalidInput(f"{what}, line {number}: has no time; give it as in {{'2026-01-31': {what!r}}}")
        samples[match["name"]].append(_Sample(seen[words], seconds, value))
    return samples


def _labels(text: str, what: str) -> tuple[tuple[str, str], ...]:
    """Read the labels of a sample."""
    pairs, place = [], 0
    while place < len(text) and text[place:].strip():
        match = _LABEL.match(text, place)
        if match is None:
            raise InvalidInput(f"{what}: labels {text[:80]!r} cannot be read")
        pairs.append((match[1], _ESCAPED.sub(lambda each: "\n" if each[1] == "n" else each[1], match[2])))
        place = match.end()
    return tuple(sorted(pairs))


def _number(text: str, what: str) -> float:
    """Read a number of the format."""
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{what}: {text!r} is no number") from None


def _fits(metric: Metric, labels: dict[str, str]) -> bool:
    """Tell whether a sample has the labels that a metric asks for."""
    return all(labels.get(name, "") == value for name, value in metric.where)


def _measured(metric: Metric, samples: list[_Sample]) -> Iterator[pd.DataFrame]:
    """Let the largest answer count, add up the parts, and give one frame a pool."""
    parts: dict[tuple[str, ...], dict[tuple[float, tuple[str, ...]], float]] = defaultdict(dict)
    for sample in samples:
        if math.isnan(sample.value):
            continue
        labels = dict(sample.labels)
        part = (sample.time, tuple(labels.get(name, "") for name in metric.summed))
        held = parts[tuple(labels.get(name, "") for name in metric.keys)]
        held[part] = max(held.get(part, sample.value), sample.value)
    for key, values in sorted(parts.items()):
        total: dict[float, float] = defaultdict(float)
        for (time, _), value in values.items():
            total[time] += value
        times = sorted(total)
        yield measured(metric, dict(zip(metric.keys, key, strict=True)), times, [total[time] for time in times])


def _together(metric: Metric, samples: list[_Sample], beside: Sequence[_Sample]) -> list[_Sample]:
    """Put two metrics together, server by server: what was released off what was opened, what is used to what is free.

    Nothing may have been released yet; what is free says nothing without what is used.
    """
    others = {(each.labels, each.time): each.value for each in beside}
    if metric.role == "opened":
        return [each._replace(value=each.value - others.get((each.labels, each.time), 0.0)) for each in samples]
    pairs = ((each, others.get((each.labels, each.time))) for each in samples)
    return [each._replace(value=each.value + other) for each, other in pairs if other is not None]


def _differences(metric: Metric, samples: list[_Sample]) -> Iterator[Finding]:
    """Name pools of which servers say different things at one time."""
    spans: dict[str, dict[float, tuple[float, float]]] = defaultdict(dict)
    for sample in samples:
        held = spans[dict(sample.labels).get(metric.label, "") if metric.label else ""]
        low, high = held.get(sample.time, (sample.value, sample.value))
        held[sample.time] = (min(low, sample.value), max(high, sample.value))
    for name, times in sorted(spans.items()):
        apart = sorted(time for time, (low, high) in times.items() if low < high)
        if apart:
            most = max(high - low for low, high in times.values())
            yield difference_finding(metric, {metric.label: name}, pd.Timestamp(apart[0], unit="s"), most)


def _resets(samples: dict[str, list[_Sample]]) -> Iterator[Finding]:
    """Name counters that went back."""
    for metric in METRICS:
        if metric.role not in {"opened", "released"}:
            continue
        series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        for sample in samples.get(metric.name, ()):
            series[sample.labels].append((sample.time, sample.value))
        for labels, values in sorted(series.items()):
            ordered = np.array(sorted(values))
            back = np.flatnonzero(np.diff(ordered[:, 1]) < 0)
            if len(back):
                yield reset_finding(metric, dict(labels), pd.Timestamp(ordered[back[0] + 1, 0], unit="s"))
