"""When pools are full, by a forecast, and what is in use until then.

`exhaustion` is one row a pool, `fans` the bands over time that a picture draws. The arithmetic is
`dsmodel.planning.forecasting`; here it becomes columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from dsmodel.planning.forecasting import Exhaustion, Forecast

__all__ = ["exhaustion", "fans"]

_ENDS = ("p5", "p50", "p95")
_QUANTILES = (0.05, 0.5, 0.95)


def exhaustion(forecast: Forecast) -> pd.DataFrame:
    """Tell when each pool is full, how surely, and which one is the first.

    Parameters
    ----------
    forecast : Forecast
        From `dsmodel.forecast`.

    Returns
    -------
    pandas.DataFrame
        Rows in the order of `limits`, then parts of the cluster that demand names, then ceilings. Columns:

        - ``pool``, ``ip_family`` ("" where both families share it), ``node_pool``, ``zone`` ("" for the whole cluster);
        - ``usable`` (Int64, missing where it cannot run out), ``used`` (nodes that wait for a block included);
        - ``exhaustion_p5``, ``exhaustion_p50``, ``exhaustion_p95`` (dates): by then 5, 50 and 95 % of the trajectories
          find it full; missing where fewer do within the horizon;
        - ``exhaustion_p5_days``, ``exhaustion_p50_days``, ``exhaustion_p95_days`` (Int64): the same in days from the
          start;
        - ``runs_out_ratio`` (0-1): trajectories in which it is full within the horizon; missing where that is not
          known;
        - ``binds_first_ratio`` (0-1): trajectories in which it is the first, days that several share divided; missing
          for published thresholds, which nothing enforces;
        - ``why``: what the dates, or their absence, rest on.

        ``frame.attrs["assumptions"]`` is the line that belongs beside every date.

    Raises
    ------
    None
        Every forecast has an answer.

    Examples
    --------
    >>> from dsmodel import Scenario, examples, forecast
    >>> demand = Scenario.of("2026-01-01", services_per_week=1, law="expected")
    >>> frame = exhaustion(forecast(examples.nearly_full(), demand, horizon="1y"))
    >>> frame[frame["pool"] == "service addresses"][["ip_family", "usable", "used", "exhaustion_p50"]]
      ip_family  usable  used exhaustion_p50
    5      IPv4      62    55     2026-02-19
    6      IPv6   65535    34            NaT
    """
    rows = forecast.exhaustion
    frame = pd.DataFrame(
        {
            **{name: [getattr(row, name) for row in rows] for name in ("pool", "ip_family", "node_pool", "zone")},
            **{name: pd.array([getattr(row, name) for row in rows], dtype="Int64") for name in ("usable", "used")},
            **{f"exhaustion_{end}": _dates(rows, place) for place, end in enumerate(_ENDS)},
            **{
                f"exhaustion_{end}_days": pd.array([row.days[place] for row in rows], dtype="Int64")
                for place, end in enumerate(_ENDS)
            },
            "runs_out_ratio": [row.runs_out_ratio for row in rows],
            "binds_first_ratio": [row.binds_first_ratio for row in rows],
            "why": [row.why for row in rows],
        }
    )
    frame.attrs["assumptions"] = forecast.assumptions
    return frame


def fans(forecast: Forecast) -> pd.DataFrame:
    """Tell what is asked of each pool over time, served or not, with its band.

    Parameters
    ----------
    forecast : Forecast
        From `dsmodel.forecast`.

    Returns
    -------
    pandas.DataFrame
        For each pool that can run out and that demand takes from, rows in order of time. Columns: ``pool``,
        ``ip_family``, ``node_pool``, ``zone``, ``time``; ``used_p5``, ``used_p50``, ``used_p95`` (objects);
        ``usable_p50``, which grows with nodes; ``used_p5_ratio``, ``used_p50_ratio``, ``used_p95_ratio`` (of what is
        usable then; above 1 where more is asked for than there is); ``exhaustion_p5``, ``exhaustion_p50``,
        ``exhaustion_p95``, ``binds_first_ratio`` as of `exhaustion`, the same on each row of a pool.

    Raises
    ------
    None
        Every forecast has an answer; without a pool that can run out it is empty.

    Examples
    --------
    >>> from dsmodel import Scenario, examples, forecast
    >>> demand = Scenario.of("2026-01-01", nodes_per_week=7, law="expected")
    >>> frame = fans(forecast(examples.kubeadm_dual_stack(), demand, horizon=10, trajectories=1))
    >>> frame[frame["ip_family"] == "IPv4"]["used_p50"].head(3).tolist()
    [6.0, 7.0, 8.0]
    """
    rows = forecast.exhaustion
    times = pd.Timestamp(forecast.demand.start) + pd.to_timedelta(forecast.fan_days, unit="D")
    frames = []
    for place, (capacity, row) in enumerate(zip(forecast.capacities, rows, strict=True)):
        if not capacity.is_bounded or not capacity.is_touched:
            continue
        used, usable = forecast.in_use(place)
        # nothing usable and something asked for is more than full, however much it is
        ratio = np.divide(used, usable, out=np.where(used > 0, np.inf, 0.0), where=usable > 0)
        keys = {name: getattr(row, name) for name in ("pool", "ip_family", "node_pool", "zone")}
        bands = {f"used_{end}": np.quantile(used, q, axis=1) for end, q in zip(_ENDS, _QUANTILES, strict=True)}
        ratios = {
            f"used_{end}_ratio": np.quantile(ratio, q, axis=1, method="inverted_cdf")
            for end, q in zip(_ENDS, _QUANTILES, strict=True)
        }
        dates = {f"exhaustion_{end}": _dates((row,), place)[0] for place, end in enumerate(_ENDS)}
        known = {"usable_p50": np.quantile(usable, 0.5, axis=1), **ratios, **dates}
        frames.append(
            pd.DataFrame({**keys, "time": times, **bands, **known, "binds_first_ratio": row.binds_first_ratio})
        )
    names = ["pool", "ip_family", "node_pool", "zone", "time", *(f"used_{end}" for end in _ENDS), "usable_p50"]
    names += [*(f"used_{end}_ratio" for end in _ENDS), *(f"exhaustion_{end}" for end in _ENDS), "binds_first_ratio"]
    return pd.concat(frames, ignore_index=True)[names] if frames else pd.DataFrame(columns=pd.Index(names))


def _dates(rows: tuple[Exhaustion, ...], place: int) -> pd.Series[pd.Timestamp]:
    """Give one quantile as dates."""
    days = [row.dates[place] for row in rows]
    return pd.Series([pd.NaT if day is None else pd.Timestamp(day) for day in days], dtype="datetime64[s]")
