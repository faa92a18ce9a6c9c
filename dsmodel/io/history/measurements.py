"""From values of metrics to observations of pools.

Promises one observation a time and pool: what is used straight, or as ratio times maximum, or as what was handed out
less what was given back; what is usable straight, or as used and free together, or as used by ratio. Nothing used of
nothing is what a server says that has not looked yet, and no observation.

What it does not know: where the values come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.io.history.observations import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dsmodel.cluster.checks import Finding
    from dsmodel.io.history.metrics import Metric

__all__ = ["difference_finding", "measured", "observations_of_metrics", "reset_finding"]

_POOL = ["time", "source", "pool", "ip_family", "range"]
_ENDLESS = 2.0**32  # more addresses than IPv4 has
_NO_POOL = "no_ippool"  # how Calico counts what lies in no pool
_ROLES = {"opened": "net", "free": "usable"}  # once put together with the metric beside them
_COLUMNS = ("time", "cluster", "source", "pool", "range", "ip_family", "role", "value")


def measured(metric: Metric, labels: Mapping[str, str], times: Sequence[Any], values: Sequence[float]) -> pd.DataFrame:
    """Say of what the values of one series are.

    Parameters
    ----------
    metric : Metric
        Whose they are.
    labels : mapping of str to str
        At least those of `Metric.keys`.
    times : sequence of float64
        Seconds since 1970-01-01, kept to the millisecond, as a server does.
    values : sequence of float64
        One a time; of a metric with another beside it, both put together.

    Returns
    -------
    pandas.DataFrame
        ``time``, ``cluster``, ``source``, ``pool``, ``range``, ``ip_family``, ``role``, ``value``; what is no number
        or is negative (an error of the component) is left out.

    Raises
    ------
    None
        Labels that are absent are empty.

    Examples
    --------
    >>> from dsmodel.io.history.metrics import BY_NAME
    >>> (metric,) = BY_NAME["kube_apiserver_clusterip_allocator_allocated_ips"]
    >>> measured(metric, {"cidr": "fd00::/112"}, [0], [7])[["pool", "ip_family", "value"]].values.tolist()
    [['service addresses', 'IPv6', 7.0]]
    """
    counts = np.asarray(values, np.float64)
    known = np.isfinite(counts) & (counts >= 0)
    seconds = np.asarray(times, np.float64)[known]
    name = labels.get(metric.label, "") if metric.label else ""
    frame = pd.DataFrame({"time": pd.to_datetime(np.rint(seconds * 1e3).astype(np.int64), unit="ms", utc=True)})
    frame = frame.assign(
        cluster=labels.get("cluster", ""),
        source=metric.component,
        pool=metric.pool,
        range=name,
        ip_family=_family(metric, labels, name),
        role=_ROLES.get(metric.role, metric.role),
        value=counts[known],
    )
    return frame[list(_COLUMNS)]


def observations_of_metrics(parts: Iterable[pd.DataFrame], what: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Put the values of all series together.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame
        What `measured` gives; the role "net" is what was opened less what was released.
    what : str
        Where they come from, for the message.

    Returns
    -------
    observations : pandas.DataFrame
        As `table_of` gives them.
    findings : list of (severity, rule, object, message)
        Pools of which no family is known; pools of which nothing says what is in use.

    Raises
    ------
    InvalidInput
        If there are none, or they are of several clusters.

    Examples
    --------
    >>> from dsmodel.io.history.metrics import BY_NAME
    >>> parts = [measured(BY_NAME[f"kube_apiserver_nodeport_allocator_{name}_ports"][0], {}, [0], [value])
    ...          for name, value in (("allocated", 8), ("available", 8 + 2760))]
    >>> observations_of_metrics(parts, "a scrape")[0][["pool", "used", "usable"]].values.tolist()
    [['node ports', 8.0, 2768.0]]
    """
    frames = [part for part in parts if len(part)]
    if not frames:
        raise InvalidInput(f"{what}: has no value of a metric that tells of pools; see dsmodel.io.history.metrics")
    frame = pd.concat(frames, ignore_index=True)
    clusters = sorted(set(frame["cluster"]) - {""})
    if len(clusters) > 1:
        raise InvalidInput(
            f"{what}: holds {len(clusters)} clusters ({', '.join(clusters[:5])}); choose one, as with "
            f"Prometheus(url, matchers='cluster=\"{clusters[0]}\"')"
        )
    frame = frame[frame["range"] != _NO_POOL]
    frame["ip_family"] = _families_by_size(frame)
    table = frame.pivot_table(index=_POOL, columns="role", values="value", aggfunc="max", sort=True)
    roles = {name: _role(table, name) for name in ("used", "usable", "ratio", "net")}
    used = _first(roles["used"], np.rint(roles["ratio"] * roles["usable"]), roles["net"])
    with np.errstate(divide="ignore", invalid="ignore"):
        by_ratio = np.where(roles["ratio"] > 0, np.rint(used / roles["ratio"]), np.nan)
    usable = _first(roles["usable"], by_ratio)
    used = np.where((used == 0) & (usable == 0), np.nan, used)
    rows = table.index.to_frame(index=False).assign(used=used, usable=usable)
    found = list(_doubts(rows))
    rows = rows[rows["used"].notna()]
    if rows.empty:
        raise InvalidInput(f"{what}: has the size of pools, and nothing that says what is in use")
    return table_of(rows.reset_index(drop=True)), found


def reset_finding(metric: Metric, labels: Mapping[str, str], since: pd.Timestamp) -> Finding:
    """Name a counter that went back.

    Parameters
    ----------
    metric : Metric
        The counter.
    labels : mapping of str to str
        Of its series.
    since : pandas.Timestamp
        When it did so first.

    Returns
    -------
    (severity, rule, object, message)
        Of severity info: the difference of both counters is right again once the component has seen every node.

    Raises
    ------
    None
        Labels that are absent are empty.
    """
    title = ", ".join(filter(None, (metric.pool, labels.get(metric.label, ""))))
    message = f"{metric.name} went back, as on a restart; first {since:%Y-%m-%d %H:%M}"
    return "info", "history-counter-reset", title, message


def difference_finding(metric: Metric, labels: Mapping[str, str], since: pd.Timestamp, most: float) -> Finding:
    """Name a pool of which several servers say different things.

    Parameters
    ----------
    metric : Metric
        What they were asked.
    labels : mapping of str to str
        Of its series.
    since : pandas.Timestamp
        When they differed first.
    most : float
        By how many they differed at most.

    Returns
    -------
    (severity, rule, object, message)
        Of severity info: the largest counts.

    Raises
    ------
    None
        Labels that are absent are empty.
    """
    title = ", ".join(filter(None, (metric.pool, labels.get(metric.label, ""))))
    message = (
        f"servers differ by up to {most:,.0f}, as each tells what was so after its own last operation; the largest "
        f"counts; first {since:%Y-%m-%d %H:%M}"
    )
    return "info", "history-servers-differ", title, message


def _family(metric: Metric, labels: Mapping[str, str], name: str) -> str:
    """Tell the family of a series; empty where only its size may."""
    if metric.family == "label":
        return {"ipv4": "IPv4", "ipv6": "IPv6"}.get(labels.get("family", "").lower(), "")
    if metric.family == "cidr" and name:
        return "IPv6" if ":" in name else "IPv4"
    if metric.family in {"name", "size"}:
        words = name.lower()
        return next((f"IPv{number}" for number in "46" if f"v{number}" in words), "")
    return metric.family if metric.family in {"IPv4", "IPv6"} else ""


def _families_by_size(frame: pd.DataFrame) -> pd.Series[str]:
    """Give pools that are larger than all of IPv4 their family."""
    large = frame[(frame["role"] == "usable") & (frame["value"] > _ENDLESS)]["range"].unique()
    unknown = (frame["ip_family"] == "") & (frame["range"] != "")
    return frame["ip_family"].mask(unknown & frame["range"].isin(large), "IPv6")


def _role(table: pd.DataFrame, name: str) -> Any:
    """Give the column of a role, empty where there is none."""
    return table[name].to_numpy(np.float64) if name in table else np.full(len(table), np.nan)


def _first(*choices: Any) -> Any:
    """Give the first that is known."""
    result = choices[0]
    for choice in choices[1:]:
        result = np.where(np.isnan(result), choice, result)
    return result


def _doubts(rows: pd.DataFrame) -> Iterable[Finding]:
    """Name what is not known of a pool."""
    for (pool, name), group in rows.groupby(["pool", "range"], sort=True):
        title = ", ".join(filter(None, (str(pool), str(name))))
        unused = int(group["used"].isna().sum())
        if unused:
            yield "info", "history-missing-value", title, f"{unused:,} times nothing says what is in use; left out"
        if pool == "pod addresses" and name and (group["ip_family"] == "").any():
            message = "neither name nor size tells the family; a name with v4 or v6 in it would"
            yield "warning", "history-unknown-family", title, message
