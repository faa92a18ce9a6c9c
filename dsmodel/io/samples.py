"""Packaged dumps of small real clusters, to try the package on before there is a dump of one's own.

Each is the answer of a real kube-apiserver to ``kubectl get nodes,pods,services,endpointslices,endpoints,events,
configmaps,servicecidrs,ipaddresses -A -o json``, with node blocks handed out by a real kube-controller-manager. Names,
zones and sizes are made up; outside addresses come from the documentation ranges.

Not known here: what is in them. Read them with `dsmodel.io.kubectl.read_cluster`.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from dsmodel.errors import InvalidInput

__all__ = ["SAMPLES", "sample_path"]

# name -> what it shows
SAMPLES: Final = {
    "dual-stack-shop": "1.36, IPv4 first, 42 nodes, Services of every type and policy",
    "nearly-full": "1.36, IPv6 node blocks used up before the IPv4 ones, service ranges nearly used up",
    "single-stack-legacy": "1.20 with the dual-stack gate off, one IPv4 family, before a migration",
}


def sample_path(name: str = "dual-stack-shop") -> Path:
    """Return where a packaged dump lies.

    Parameters
    ----------
    name : str
        A key of `SAMPLES`.

    Returns
    -------
    pathlib.Path
        A gzip file that `dsmodel.io.kubectl.read_cluster` reads.

    Raises
    ------
    InvalidInput
        If no sample has this name; the message lists those there are.

    Examples
    --------
    >>> sample_path("nearly-full").name
    'nearly-full.json.gz'
    >>> sample_path("nowhere")
    Traceback (most recent call last):
    dsmodel.errors.InvalidInput: no sample is named 'nowhere'; there are dual-stack-shop, ...
    """
    if name not in SAMPLES:
        raise InvalidInput(f"no sample is named {name!r}; there are {', '.join(SAMPLES)}")
    return Path(str(files("dsmodel") / "data" / f"{name}.json.gz"))
