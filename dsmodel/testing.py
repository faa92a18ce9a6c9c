"""Assertions for a test suite of one's own: the policy of a platform as tests that a build runs.

Promises that a failed assertion is a `CheckFailed` (an ``AssertionError`` whose ``findings`` are the rows at fault) and
names the first of them in words, and that a passed one returns the frame it looked at. Each asks a report and adds
nothing to its answer. In a suite::

    import dsmodel as ds
    from dsmodel import testing

    def test_the_cluster_grows_for_another_quarter():
        cluster = ds.read_cluster("dumps/production")
        testing.assert_headroom(cluster, pool="node blocks", ip_family="IPv6", at_least=20)
        testing.assert_headroom(cluster, pool="service addresses", at_least=0.25)
        testing.assert_no_overlap(cluster, peers={"office": "10.128.0.0/16"})
        testing.assert_admitted(cluster, "charts/rendered")

What it does not know: what is enough. That is the policy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks.audit import check
from dsmodel.cluster.checks.ranges import RANGE_RULES
from dsmodel.errors import CheckFailed, InvalidInput
from dsmodel.reports.admission import admission
from dsmodel.reports.headroom import limits
from dsmodel.reports.presentation import count, headline, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.config import ClusterConfig

__all__ = ["assert_admitted", "assert_headroom", "assert_no_overlap"]

_NAMED = 5  # rows that a message names; `findings` holds all
_OVERLAPS = {rule.name for rule in RANGE_RULES} | {"node-pod-cidr-duplicate"}


def assert_headroom(
    cluster: Cluster, *, pool: str | None = None, ip_family: str | IPFamily | None = None, at_least: float
) -> pd.DataFrame:
    """Fail where a pool has less left than a policy asks for.

    Parameters
    ----------
    cluster : Cluster
        Any.
    pool : str, optional
        Which, as `reports.limits` names them: "node blocks", "pod addresses", "pods per node", "service addresses",
        "node ports"; every enforced one if left out.
    ip_family : str or IPFamily, optional
        Only pools of this family; both, and those that families share, if left out.
    at_least : int or float
        An integer is how many must be left; a float from 0 to 1, which share.

    Returns
    -------
    pandas.DataFrame
        The rows of `reports.limits` that were looked at.

    Raises
    ------
    CheckFailed
        A pool has less left, or its range is only a guess so that nobody can tell; ``findings`` are those rows.
    InvalidInput
        No such pool in this cluster, or a number that is neither a count nor a share.

    Examples
    --------
    >>> from dsmodel import examples
    >>> len(assert_headroom(examples.kubeadm_dual_stack(), pool="node blocks", at_least=100))
    2
    >>> assert_headroom(examples.nearly_full(), pool="node blocks", ip_family="IPv6", at_least=2)
    Traceback (most recent call last):
    dsmodel.errors.CheckFailed: 1 of 1 pool has less than 2 left:
      node blocks, IPv6: 0 left of 8 (0 %). --cluster-cidr fd00:10:244::/61 with ...
    """
    __tracebackhide__ = True
    is_share = isinstance(at_least, float)
    if isinstance(at_least, bool) or not isinstance(at_least, int | float) or at_least < 0:
        raise InvalidInput(f"at_least={at_least!r}; give a count such as 20, or a share from 0.0 to 1.0")
    if is_share and at_least > 1:
        raise InvalidInput(f"at_least={at_least!r}; a share is a float from 0.0 to 1.0, a count is an integer")
    frame = _pools(limits(cluster), pool, ip_family)
    bounded = frame["usable"].notna()
    left = frame["free"].astype("Float64")
    if is_share:
        left = left / frame["usable"].where(frame["usable"] > 0).astype("Float64")
    guessed = frame["growth_ratio"].isna() & frame["enforced"]
    wrong = frame[bounded & ((left.fillna(0.0) < at_least) | guessed)]
    if len(wrong):
        wanted = share(at_least) if is_share else count(at_least)
        have = f"{len(wrong)} of {len(frame)} pool{'' if len(frame) == 1 else 's'}"
        raise _failure(f"{have} {'has' if len(wrong) == 1 else 'have'} less than {wanted} left", wrong, _pool_line)
    return frame


def _pools(frame: pd.DataFrame, pool: str | None, ip_family: str | IPFamily | None) -> pd.DataFrame:
    """Choose rows of limits."""
    chosen = frame[frame["enforced"] if pool is None else frame["pool"] == pool]
    if ip_family is not None:
        if str(ip_family) not in set(IPFamily):
            raise InvalidInput(f"ip_family={ip_family!r}; use 'IPv4' or 'IPv6'")
        chosen = chosen[chosen["ip_family"] == str(ip_family)]
    if not len(chosen):
        known = ", ".join(dict.fromkeys(headline(row) for row in frame.to_dict("records")))  # type: ignore[arg-type]
        which = f"{pool!r}" if ip_family is None else f"{pool!r} of family {str(ip_family)!r}"
        raise InvalidInput(f"the cluster has no pool {which}; it has {known}")
    return chosen.reset_index(drop=True)


def _pool_line(row: Mapping[str, Any]) -> str:
    """Write one pool."""
    ratio = row["free"] / row["usable"] if row["usable"] else 0.0
    return f"{headline(row)}: {count(row['free'])} left of {count(row['usable'])} ({share(ratio)}). {row['why']}"


def assert_no_overlap(
    cluster: Cluster,
    *,
    peers: Iterable[str | Cidr] | Mapping[str, Any] = (),
    reserved: Iterable[str | Cidr] | Mapping[str, Any] = (),
) -> pd.DataFrame:
    """Fail where ranges that must be apart share addresses.

    Parameters
    ----------
    cluster : Cluster
        Its ranges for Pods and Services, nodes' blocks and addresses, and load balancers are compared.
    peers : iterable of str or Cidr, or mapping of str to CIDR or CIDRs
        Networks that the cluster reaches; by name if a mapping.
    reserved : iterable of str or Cidr, or mapping of str to CIDR or CIDRs
        Ranges kept for something else.

    Returns
    -------
    pandas.DataFrame
        Findings of `check` about overlaps: none.

    Raises
    ------
    CheckFailed
        Something overlaps; ``findings`` are the rows of `check`.
    InvalidCidr
        A peer or reserved range is no CIDR.

    Examples
    --------
    >>> from dsmodel import examples
    >>> len(assert_no_overlap(examples.kubeadm_dual_stack(), peers=["10.128.0.0/16"]))
    0
    >>> assert_no_overlap(examples.kubeadm_dual_stack(), peers={"office": "10.244.8.0/22"})
    Traceback (most recent call last):
    dsmodel.errors.CheckFailed: 1 overlap:
      Peer/office: ...
    """
    __tracebackhide__ = True
    found = check(cluster, peers=peers, reserved=reserved)
    wrong = found[found["rule"].isin(_OVERLAPS)].reset_index(drop=True)
    if len(wrong):
        raise _failure(f"{len(wrong)} overlap{'' if len(wrong) == 1 else 's'}", wrong, _finding_line)
    return wrong


def _finding_line(row: Mapping[str, Any]) -> str:
    """Write one finding."""
    return f"{row['object']}: {row['message']} ({row['rule']}); {row['fix']}"


def assert_admitted(
    cluster: Cluster | ClusterConfig, manifests: Any, *, namespace: str = "default", unchanged: bool = False
) -> pd.DataFrame:
    """Fail where the API server would refuse a Service, or change it if that matters too.

    Parameters
    ----------
    cluster : Cluster or ClusterConfig
        What is there; a configuration is an empty cluster.
    manifests : Manifests, iterable of dict, path, or text
        Paths and text are read as `dsmodel.read_manifests` does.
    namespace : str, default "default"
        For manifests that name none.
    unchanged : bool, default False
        Fail where something a manifest sets would be stored otherwise, too.

    Returns
    -------
    pandas.DataFrame
        The rows of `reports.admission`.

    Raises
    ------
    CheckFailed
        A Service is refused (or changed); ``findings`` are those rows, with the server's words.
    InvalidConfig
        If the API server would not start with the service ranges, or none is known.
    InvalidDump
        If a path does not exist.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(service_cidrs=["10.96.0.0/16"])
    >>> web = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    >>> len(assert_admitted(config, [web]))
    1
    >>> dual = {**web, "spec": {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}}
    >>> assert_admitted(config, [dual])
    Traceback (most recent call last):
    dsmodel.errors.CheckFailed: 1 of 1 Service is not admitted:
      default/web: refused, Service "web" is invalid: ...
    """
    __tracebackhide__ = True
    if isinstance(manifests, str | os.PathLike):
        from dsmodel.io.manifests import read_manifests

        manifests = read_manifests(manifests)
    frame = admission(cluster, manifests, namespace=namespace)
    bad = {"refused", "changed"} if unchanged else {"refused"}
    wrong = frame[frame["verdict"].isin(bad)].reset_index(drop=True)
    if len(wrong):
        services = f"{len(wrong)} of {len(frame)} Service{'' if len(frame) == 1 else 's'}"
        verb = "is" if len(wrong) == 1 else "are"
        raise _failure(f"{services} {verb} not admitted{' as written' if unchanged else ''}", wrong, _service_line)
    return frame


def _service_line(row: Mapping[str, Any]) -> str:
    """Write one Service."""
    where = f"{row['file']}, document {row['document']}: " if row["file"] else ""
    return f"{where}{row['namespace']}/{row['name']}: {row['verdict']}, {row['message'] or row['changed']}"


def _failure(summary: str, wrong: pd.DataFrame, line: Any) -> CheckFailed:
    """Write a failure with the first rows at fault."""
    shown = [f"  {line(row)}" for row in wrong.head(_NAMED).to_dict("records")]
    more = [f"  and {len(wrong) - _NAMED:,} more"] if len(wrong) > _NAMED else []
    return CheckFailed("\n".join([f"{summary}:", *shown, *more]), wrong)
