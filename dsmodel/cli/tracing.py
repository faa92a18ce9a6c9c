"""The command that follows one pod's traffic.

Promises what `dsmodel.trace` says, as text, JSON, CSV or a page. Exit codes: 0 a family works, and each that
``--require-family`` names; 1 none does, or a named one does not, or nobody knows whether it does; 2 the call or the
dump is not usable.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
    cluster_of,
    csv_text,
    filled,
    main,
    named_errors,
    named_places,
    records,
    save,
    tell,
    width_of_terminal,
)

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.traces import Trace

__all__ = ["trace"]

_NONE: Final = "none"
_FAMILIES: Final = ("IPv4", "IPv6")
_ROUTES: Final = {"both": _FAMILIES, "IPv4": ("IPv4",), "IPv6": ("IPv6",), _NONE: ()}
_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    "<style>:root {{ color-scheme: light dark; font-family: sans-serif; }}</style>\n</head>\n"
    "<body>\n{body}\n</body>\n</html>\n"
)
_WAYS: Final = "--default-route, --nat, --routed, --nat64"


@main.command()
@click.argument("places", nargs=-1, required=True, metavar="DUMP...")
@click.argument("pod")
@click.argument("destination")
@click.option("--address", "addresses", multiple=True, metavar="IP", help="Addresses of DESTINATION, if it is a name.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Destination port.")
@click.option("--default-route", type=click.Choice(list(_ROUTES)), help="Families in which nodes have one.")
@click.option("--nat", multiple=True, metavar="IP|none", help="Sources behind NATs at the border, all there are.")
@click.option("--routed", multiple=True, metavar="CIDR|none", help="Pod blocks that routers outside send back, all.")
@click.option("--nat64", metavar="PREFIX|none", help="What a NAT64 translator takes.")
@click.option("--down", multiple=True, metavar="NAME", help="What fails: Node/worker-1, Zone/zone-a, NAT/IP.")
@click.option("--policy-table", metavar="NAME", help="Address policy of the pod's image.  [default: rfc6724]")
@click.option("--require-family", "required", multiple=True, type=click.Choice(_FAMILIES), help="Must work.")
@click.option(
    "--format", "layout", type=click.Choice(["text", "json", "csv", "html"]), default="text", show_default=True
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write to.")
def trace(
    *,
    places: tuple[str, ...],
    pod: str,
    destination: str,
    layout: str,
    output: Path | None,
    **asked: Any,
) -> None:
    """Follow one pod to one destination, per family: by which hops, seen as which source.

    DUMP is what `kubectl get nodes,pods,services,... -A -o json` wrote, POD is namespace/name, DESTINATION "internet",
    an address, or namespace/name of a Service or pod. What no object shows is not guessed: say it with options. Exits
    with 1 when neither family works, or one that is required does not.
    """
    with named_errors():
        from dsmodel.graph.failures import check_names
        from dsmodel.graph.traces import trace as follow

        cluster = cluster_of(places, None)
        network = _network(cluster, asked)
        check_names(network, cluster, asked["down"])
        target = {destination: list(asked["addresses"])} if asked["addresses"] else destination
        found = follow(cluster, pod, target, network=network, port=asked["port"])
        text = _form(found, network, layout, named_places(places))
        if output is None:
            click.echo(text, nl=False)
        else:
            tell([save(output, text)])
    works = {str(family): made.verdict.works for family, made in found.decisions.items()}
    sys.exit(int(not (any(works.values()) and all(works[family] for family in asked["required"]))))


def _network(cluster: Cluster, asked: dict[str, Any]) -> Network:
    """Read what objects show, and add what the options say."""
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.errors import InvalidInput
    from dsmodel.graph.network import NAT64, BorderNAT, Network
    from dsmodel.graph.selection import POLICIES

    said: dict[str, Any] = {"failed": asked["down"]}
    if asked["default_route"]:
        said["default_route"] = _ROUTES[asked["default_route"]]
    if asked["nat"]:
        texts = [text for text in asked["nat"] if text != _NONE]
        said["border"] = [
            BorderNAT(name=text, family=IPFamily("IPv6" if ":" in text else "IPv4"), addresses=(text,))
            for text in texts
        ]
    if asked["routed"]:
        said["routed"] = [text for text in asked["routed"] if text != _NONE]
    if asked["nat64"]:
        said["nat64"] = () if asked["nat64"] == _NONE else (NAT64(prefix=asked["nat64"]),)
    if asked["policy_table"]:
        if asked["policy_table"] not in POLICIES:
            raise InvalidInput(f"--policy-table {asked['policy_table']}: allowed are {', '.join(POLICIES)}")
        said["policy_table"] = asked["policy_table"]
    return Network.of(cluster, **said)


def _form(found: Trace, network: Network, layout: str, sources: tuple[str, ...]) -> str:
    """Write the answer in its form."""
    if layout == "csv":
        return csv_text(found.frame)
    if layout == "html":
        from markupsafe import escape

        title = escape(f"{found.pod} to {found.destination.name}")
        return _PAGE.format(title=title, body=found._repr_html_())
    if layout == "json":
        document = {
            "schema": JSON_SCHEMA,
            "version": __version__,
            "sources": sources,
            "pod": found.pod,
            "destination": found.destination.name,
            "port": found.destination.port,
            "works": found.works,
            "order": found.order,
            "families": {
                str(family): {
                    "verdict": str(found.decisions[family].verdict),
                    "works": found.decisions[family].verdict.works,
                    "why": found.decisions[family].reason,
                }
                for family in found.families
            },
            "unknown": list(network.unknown),
            "trace": records(found.frame),
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    width = width_of_terminal()
    lines = [line if line.startswith(" ") else filled(line, width=width) for line in repr(found).splitlines()]
    return "\n".join([*lines, *_unsaid(found, network)]) + "\n"


def _unsaid(found: Trace, network: Network) -> list[str]:
    """Say what an answer that is not known waits for."""
    is_open = any(made.verdict == "unknown" for made in found.decisions.values())
    if not is_open or not network.unknown:
        return []
    return ["", filled(f"Nobody said: {'; '.join(network.unknown)}. Say it with {_WAYS}.", width=width_of_terminal())]
