"""Read the configuration of ip-masq-agent, from its file or from the ConfigMap it comes from.

What it does not know: the agent's own flags, among them ``--enable-ipv6``.

Source: ``cmd/ip-masq-agent/ip-masq-agent.go`` and ``agent-config/config`` of kubernetes-sigs/ip-masq-agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.errors import InvalidConfig
from dsmodel.io.config_documents import read_documents
from dsmodel.io.configs import read_texts
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

if TYPE_CHECKING:
    import os
    from typing import IO, Any

    from dsmodel.io.config_documents import Entry

__all__ = ["read_masquerade_agent"]


def read_masquerade_agent(place: str | os.PathLike[str] | IO[Any]) -> MasqueradeAgentConfig:
    """Read the configuration of ip-masq-agent.

    Parameters
    ----------
    place : path or file object
        The agent's file, YAML or JSON, or the ConfigMap ``kube-system/ip-masq-agent`` with the file as ``config``.

    Returns
    -------
    MasqueradeAgentConfig
        Keys that are missing have the agent's defaults; a list that is null or empty is an empty one. Keys it does not
        know are passed over, as the agent does.

    Raises
    ------
    InvalidConfig
        If it cannot be read, or a value is of a wrong type; names file and line.

    Examples
    --------
    >>> import io
    >>> read_masquerade_agent(io.StringIO("nonMasqueradeCIDRs: [10.0.0.0/8]")).non_masquerade_cidrs
    ('10.0.0.0/8',)
    """
    for text, file in read_texts(place):
        documents = read_documents(text, file)
        if not documents:
            return MasqueradeAgentConfig()
        root = documents[0]
        kind = root.get("kind")
        if kind is not None and kind.value == "ConfigMap":
            inner = root.get("data", "config")
            if inner is None:
                raise root.error("has no key config in data; the agent would run with its defaults")
            documents = read_documents(inner.string(), f"{file}, data.config")
        return _config(documents[0]) if documents else MasqueradeAgentConfig()
    raise InvalidConfig(f"{place}: holds no configuration file")


def _config(root: Entry) -> MasqueradeAgentConfig:
    """Read the keys."""
    defaults = MasqueradeAgentConfig()
    keys = root.mapping()
    cidrs = keys.get("nonMasqueradeCIDRs")
    limit, interval = root.get("cidrLimit"), root.get("resyncInterval")
    local, local6 = root.get("masqLinkLocal"), root.get("masqLinkLocalIPv6")
    if limit is not None and (isinstance(limit.value, bool) or not isinstance(limit.value, int)):
        raise limit.error("is no whole number, and one is needed")
    listed = cidrs.entries() if cidrs is not None and cidrs.value is not None else []
    return MasqueradeAgentConfig(
        non_masquerade_cidrs=defaults.non_masquerade_cidrs if cidrs is None else tuple(e.string() for e in listed),
        cidr_limit=defaults.cidr_limit if limit is None else limit.value,
        masq_link_local=local.is_on() if local else False,
        masq_link_local_ipv6=local6.is_on() if local6 else False,
        resync_interval=interval.string() if interval else defaults.resync_interval,
    )
