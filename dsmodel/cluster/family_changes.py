"""Change the family policy of many Services at once.

Promises what the API server does to a patch of ``spec.ipFamilyPolicy`` on each row: a dual-stack policy adds an address
of the other family where the cluster has one, SingleStack gives the second one back, the first never changes, and a row
that cannot have its second address stays as it was. Rows are served in order.

What it does not know: selectors (rows count as having one), so that a headless Service without selector is decided
like one with. A PreferDualStack Service with one address that is set to PreferDualStack is left alone, as since 1.22;
servers of 1.20 and 1.21 give it a second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.cluster import occupancy
from dsmodel.cluster.api_server import control_plane_of
from dsmodel.cluster.outcome import Outcome, grant_by_need, rows_asked
from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES
from dsmodel.cluster.service_requests import decide_services, stored_shapes
from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["set_family_policy"]

_MOST = np.iinfo(np.int64).max


def set_family_policy(
    cluster: Cluster, policy: str, *, services: ArrayLike | None, rng: np.random.Generator | None
) -> Outcome:
    """Set the family policy of Services.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    policy : str
        A word of ``ipFamilyPolicy``.
    services : array of int, or mask of bool, optional
        Rows; all if left out.
    rng : numpy.random.Generator, optional
        Decides addresses.

    Returns
    -------
    Outcome
        See `Cluster.set_family_policy`.

    Raises
    ------
    InvalidInput
        If the policy is no word of the API, or a mask has another length than the table.
    InvalidConfig
        If no service range is known.
    """
    codes = {word: code for code, word in IP_FAMILY_POLICIES.items() if word}
    if policy not in codes:
        raise InvalidInput(f"policy={policy!r}: the words are {', '.join(codes)}")
    asked = np.arange(len(cluster.services)) if services is None else np.asarray(services)
    rows, reason = rows_asked(asked, len(cluster.services), "services")
    table = cluster.services.take(rows)
    server = control_plane_of(cluster.config)
    answers = decide_services(stored_shapes(table), server=server, change={"ip_family_policy": policy})
    verdicts, needs = answers.reason.copy(), answers.needs[:, :2].copy()
    idle = (table["ip_family_policy"] == codes[policy]) | (verdicts != Reason.OK)
    needs[idle] = 0
    free = np.array([min(cluster.service_ranges.free(family), _MOST) for family in occupancy.ENDS], np.int64)
    served = grant_by_need(np.maximum(needs, 0), free)
    verdicts[~served] = Reason.POOL_FULL
    place = np.flatnonzero(served & ~idle)
    columns = _addresses(cluster, rows[place], needs[place], rng=rng)
    for name, words in (("ip_family_policy", IP_FAMILY_POLICIES), ("ip_families", IP_FAMILIES)):
        code_of = {word: code for code, word in words.items()}
        decided = np.array([code_of[getattr(shape, name)] for shape in answers.shapes], np.uint8)
        columns[name] = cluster.services[name].copy()
        columns[name][rows[place]] = decided[answers.of_row[place]] if len(place) else 0
    cluster.services = cluster.services.replace(columns)
    if cluster.shared_addresses:
        occupancy.occupy_services(cluster)
    done = reason == Reason.OK
    reason[done] = verdicts[np.searchsorted(rows, asked[done])] if asked.dtype != np.bool_ else verdicts
    return Outcome.of(reason, kept=np.zeros(len(reason), np.bool_))


def _addresses(
    cluster: Cluster, rows: NDArray[np.intp], needs: NDArray[np.int64], *, rng: np.random.Generator | None
) -> dict[str, Any]:
    """Take and give back addresses of rows that are known to be served; return the changed columns."""
    generator = rng if rng is not None else np.random.default_rng(len(cluster.services))
    columns: dict[str, Any] = {}
    for place, (family, end) in enumerate(occupancy.ENDS.items()):
        column, present = cluster.services[f"cluster_{end}"].copy(), cluster.services[f"has_cluster_{end}"].copy()
        taking, giving = rows[needs[:, place] > 0], rows[needs[:, place] < 0]
        if len(taking):
            column[taking] = cluster.service_ranges.allocate_next(len(taking), family=family, rng=generator)
        cluster.service_ranges.release(column[giving], family=family)
        column[giving] = np.zeros(1, column.dtype)[0]
        present[taking], present[giving] = True, False
        columns |= {f"cluster_{end}": column, f"has_cluster_{end}": present}
    return columns
