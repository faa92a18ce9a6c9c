"""Ask a Prometheus server, or what speaks its API, for the history of pools.

Promises one question a metric over ``/api/v1/query_range``, aligned to whole steps of UTC: the most that was in use
within each step, as a pool is full at its peak. The time of a value is when its step
began. Parts of a pool (nodes) are added up by the server, at most an hour apart. Nothing but the URL is asked: no
proxy of the environment, no redirect, no file.

What it does not know: samples that the server no longer keeps, and values that were never scraped.

Source: Prometheus HTTP API v1.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput, Unreachable
from dsmodel.io.history.measurements import difference_finding, measured, observations_of_metrics, reset_finding
from dsmodel.io.history.metrics import METRICS
from dsmodel.io.history.observations import time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dsmodel.cluster.checks import Finding
    from dsmodel.io.history.metrics import Metric

__all__ = ["Prometheus", "read_prometheus"]

_MOST_POINTS = 10_000  # a server answers at most 11,000 a series
_FINEST = pd.Timedelta(hours=1)  # how far apart parts are added up
_TICK = 0.001  # seconds; a server counts in milliseconds, and a sample at the end of a step is of the next
_STEP = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHOWN = 200  # characters of an answer that is none


@dataclass(frozen=True)
class Prometheus:
    """A server and how to ask it.

    Parameters
    ----------
    url : str
        Where its API begins: ``http://prometheus:9090``, or with a path in front of ``/api/v1``.
    matchers : str, default ""
        What every series must have, as in PromQL: ``cluster="prod"``. Needed where a server holds several clusters.
    headers : mapping of str to str
        Sent along, as ``Authorization`` or ``X-Scope-OrgID``. Never shown.
    proxy : str, default ""
        URL of a proxy. None is used unless it is given.
    timeout_seconds : float, default 30.0
        For each question.

    Raises
    ------
    InvalidInput
        If the URL is none of HTTP, or holds a password.

    Examples
    --------
    >>> Prometheus("http://localhost:9090", matchers='cluster="prod"').url
    'http://localhost:9090'
    """

    url: str
    matchers: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = ""
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Check the URL."""
        try:
            parts = urllib.parse.urlsplit(self.url)
            sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port)
        except ValueError:
            sound = False
        if not sound:
            raise InvalidInput(f"url={self.url!r}: needs one such as http://prometheus:9090")
        if "@" in parts.netloc:
            raise InvalidInput("url: holds a user or password; give headers={'Authorization': 'Basic ...'} instead")
        if parts.query or parts.fragment:
            raise InvalidInput(f"url={self.url!r}: holds a query; give what stands in front of /api/v1")
        if not (self.timeout_seconds > 0 and math.isfinite(self.timeout_seconds)):
            raise InvalidInput(f"timeout_seconds={self.timeout_seconds!r}: needs more than 0")

    def ask(self, **question: str) -> tuple[list[Any], list[str]]:
        """Ask for ranges of values.

        Parameters
        ----------
        **question : str
            ``query``, ``start``, ``end``, ``step`` of ``/api/v1/query_range``.

        Returns
        -------
        series : list
            Each with ``metric`` (labels) and ``values`` (seconds and text).
        warnings : list of str
            What the server adds, as when a store behind it did not answer.

        Raises
        ------
        Unreachable
            If there is no answer in time, or it is none of a Prometheus server.
        InvalidInput
            If the server refuses the question, in its own words.
        """
        address = f"{self.url.rstrip('/')}/api/v1/query_range?{urllib.parse.urlencode(question)}"
        request = urllib.request.Request(address, headers={"Accept": "application/json", **self.headers})  # noqa: S310
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else {}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _Staying())
        try:
            with opener.open(request, timeout=self.timeout_seconds) as answer:
                document = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, error.read()) from None
        except TimeoutError:
            raise self._silent(f"no answer within {self.timeout_seconds:g} seconds") from None
        except urllib.error.URLError as error:
            raise self._silent(str(getattr(error.reason, "strerror", None) or error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(str(error) or type(error).__name__) from None
        except ValueError:
            raise self._silent("what answers is no Prometheus server: its answer is no JSON") from None
        try:
            kind, series = document["data"]["resultType"], document["data"]["result"]
        except (KeyError, TypeError):
            raise self._silent("what answers is no Prometheus server: its answer has no data") from None
        if kind != "matrix":
            raise self._silent(f"what answers is no Prometheus server: it gives a {kind} for a range")
        return list(series), [str(each) for each in document.get("warnings") or ()]

    def _silent(self, why: str) -> Unreachable:
        """Say that there was no answer."""
        return Unreachable(f"{self.url}: {why}; check that the server runs, and the URL, proxy and timeout")

    def _refused(self, code: int, body: bytes) -> InvalidInput | Unreachable:
        """Say what the server says."""
        try:
            words = str(json.loads(body)["error"])
        except (ValueError, KeyError, TypeError):
            words = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
        if code in {401, 403}:
            return Unreachable(f"{self.url}: HTTP {code}: {words or 'not allowed'}; give headers=")
        if code in {300, 301, 302, 303, 307, 308}:
            return Unreachable(f"{self.url}: HTTP {code}: leads elsewhere; give the URL it leads to")
        if code in {400, 422}:
            return InvalidInput(f"{self.url}: HTTP {code}: {words}")
        return Unreachable(f"{self.url}: HTTP {code}: {words or 'no words'}")


def read_prometheus(
    server: Prometheus, *, start: Any, end: Any, step: str | dt.timedelta = "1d"
) -> tuple[pd.DataFrame, list[Finding]]:
    """Read observations from a server.

    Parameters
    ----------
    server : Prometheus
        Whom to ask.
    start, end : str, date or datetime
        First and last time; every step that holds one of them, or lies between, is asked for.
    step : str or datetime.timedelta, default "1d"
        Length of a step, at least a second.

    Returns
    -------
    observations : pandas.DataFrame
        As `dsmodel.io.history.observations.table_of` gives them.
    findings : list of (severity, rule, object, message)
        Warnings of the server, counters that were reset, what is doubtful.

    Raises
    ------
    InvalidInput
        If the times or the step are none, the server refuses a question, or holds nothing that tells of pools.
    Unreachable
        If there is no answer.
    """
    width = _width(step)
    first, last = time_of(start, "start").floor(width), time_of(end, "end").floor(width)
    if last < first:
        raise InvalidInput(f"end={end!r}: is before start={start!r}")
    found: list[Finding] = []
    parts = []
    for metric in METRICS:
        if metric.role == "released":
            continue
        for window in _windows(first, last, width):
            series, warnings = server.ask(query=_question(metric, server.matchers, width), **window)
            found += [("warning", "history-server", server.url, each) for each in warnings]
            parts += [_part(metric, each, width) for each in series]
            if metric.role == "opened" and series:
                found += _resets(server, metric, width, window)
            if metric.role == "used" and metric.lags and series:
                found += _differences(server, metric, width, window)
    what = f"{server.url} from {first:%Y-%m-%d %H:%M} to {last + width:%Y-%m-%d %H:%M}"
    observations, doubts = observations_of_metrics(parts, what)
    return observations, [*found, *doubts]


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: it would carry the headers to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""


def _width(step: str | dt.timedelta) -> pd.Timedelta:
    """Read the length of a step."""
    match = _STEP.fullmatch(step.strip()) if isinstance(step, str) else None
    span = dt.timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else step
    if not isinstance(span, dt.timedelta) or span < dt.timedelta(seconds=1) or span % dt.timedelta(seconds=1):
        raise InvalidInput(f"step={step!r}: needs a span of whole seconds, such as 1d, 6h or 30m")
    return pd.Timedelta(span)


def _windows(first: pd.Timestamp, last: pd.Timestamp, width: pd.Timedelta) -> Iterator[dict[str, str]]:
    """Cut a range into questions that a server answers; a step is asked for a tick before its end."""
    count = (last - first) // width + 1
    for begin in range(0, count, _MOST_POINTS):
        many = min(_MOST_POINTS, count - begin)
        times = (first + width * (begin + 1), first + width * (begin + many))
        start, end = (f"{int(time.timestamp()) - _TICK:.3f}" for time in times)
        yield {"start": start, "end": end, "step": _duration(width)}


def _duration(span: pd.Timedelta) -> str:
    """Write a span as PromQL does."""
    return f"{int(span.total_seconds())}s"


def _selector(metric: Metric, matchers: str, name: str = "") -> str:
    """Write what selects the series of a metric."""
    where = [f"{label}={json.dumps(value)}" for label, value in metric.where]
    return f"{name or metric.name}{{{','.join([*where, *filter(None, [matchers.strip().strip('{},')])])}}}"


def _question(metric: Metric, matchers: str, width: pd.Timedelta) -> str:
    """Write the question for what was most in use, or usable, within a step."""
    keys, span = ", ".join(metric.keys), _duration(width)
    within = f"[{span}:{_duration(min(_FINEST, width))}]"
    series = _selector(metric, matchers)
    if metric.beside:
        other = _selector(metric, matchers, metric.beside)
        both = f"{series} + {other}" if metric.role == "free" else f"{series} - ({other} or {series} * 0)"
        return f"max by ({keys}) (max_over_time(({both}){within}))"
    if metric.summed:
        parts = f"max by ({', '.join((*metric.keys, *metric.summed))}) ({series})"
        return f"max_over_time((sum by ({keys}) ({parts})){within})"
    return f"max by ({keys}) (max_over_time({series}[{span}]))"


def _part(metric: Metric, series: Any, width: pd.Timedelta) -> pd.DataFrame:
    """Say of what the values of one series of an answer are."""
    values = np.array(series["values"], dtype=object).reshape(-1, 2)
    seconds = values[:, 0].astype(np.float64) + _TICK - width.total_seconds()
    return measured(metric, series["metric"], seconds.tolist(), values[:, 1].astype(np.float64).tolist())


def _resets(server: Prometheus, metric: Metric, width: pd.Timedelta, window: dict[str, str]) -> Iterator[Finding]:
    """Name counters that went back; a step is asked for with the one before it, so that none is lost between them."""
    series = _selector(metric, server.matchers)
    query = f"sum by ({', '.join(metric.keys)}) (resets({series}[{_duration(2 * width)}])) > 0"
    for each in server.ask(query=query, **window)[0]:
        since = pd.Timestamp(float(each["values"][0][0]) + _TICK - width.total_seconds(), unit="s")
        yield reset_finding(metric, each["metric"], since)


def _differences(server: Prometheus, metric: Metric, width: pd.Timedelta, window: dict[str, str]) -> Iterator[Finding]:
    """Name pools of which several servers say different things at one time."""
    keys, series = ", ".join(metric.keys), _selector(metric, server.matchers)
    apart = f"max by ({keys}) ({series}) - min by ({keys}) ({series})"
    within = f"[{_duration(width)}:{_duration(min(_FINEST, width))}]"
    for each in server.ask(query=f"max_over_time(({apart}){within}) > 0", **window)[0]:
        since = pd.Timestamp(float(each["values"][0][0]) + _TICK - width.total_seconds(), unit="s")
        most = max(float(value) for _, value in each["values"])
        yield difference_finding(metric, each["metric"], since, most)
