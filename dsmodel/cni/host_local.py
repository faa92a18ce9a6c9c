"""The host-local IPAM plugin: how kubenet, Flannel, kube-router and Antrea hand a Pod its addresses on one node.

Promises the same addresses, in the same order, with the same errors and the same state on disk as the plugin itself:
one address a range set, in configuration order; within a set the address after the last reserved one, through all
ranges and around; the gateway never; all sets or none, with the cursors of the sets that had worked left where they
moved to.

Does not know the DNS settings of ``resolvConf`` (a file on the host; ``dns`` stays empty), the lock, and the error text
of a disk that fails. Where the plugin's choice among several requested addresses of one set is left to chance, the
first in order is taken.

Sources: ``plugins/ipam/host-local`` of containernetworking/plugins v1.1.1; recordings of that version.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import format_address, parse_address
from dsmodel.cni.network_config import (
    Address,
    AddressConfig,
    check_caller,
    check_version,
    read_args,
    read_ip,
    render_result,
)
from dsmodel.cni.range_sets import (
    Range,
    candidates,
    decode_range,
    range_for,
    read_range_set,
    refuse_overlaps,
    set_text,
)
from dsmodel.errors import CNIError, InconsistentState, InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["HostLocal", "read_state", "write_state"]

_LAST = "last_reserved_ip."
_LINE_BREAK = "\r\n"


class HostLocal:
    """One network of the host-local plugin on one node.

    Parameters
    ----------
    network_config : mapping
        The CNI network configuration with its ``ipam`` part, as the plugin reads it from standard input. It is judged
        at every command, as the plugin does, not here.
    state : mapping, optional
        ``{"reserved": {address: "container interface"}, "last": {set index: address}}``, as `state` and `read_state`
        give it; empty by default.

    Raises
    ------
    InconsistentState
        The state names something that is no address.

    Examples
    --------
    >>> plugin = HostLocal({"cniVersion": "1.0.0", "name": "cbr0", "ipam": {"ranges": [[{"subnet": "10.1.0.0/29"}]]}})
    >>> plugin.add("web-0")["ips"]
    [{'address': '10.1.0.2/29', 'gateway': '10.1.0.1'}]
    >>> plugin.state
    {'reserved': {'10.1.0.2': 'web-0 eth0'}, 'last': {'0': '10.1.0.2'}}
    """

    def __init__(self, network_config: Mapping[str, Any], state: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._config = copy.deepcopy(dict(network_config))
        self._held: dict[Address, str] = {}
        self._owned: dict[str, list[Address]] = {}
        self._last: dict[str, Address] = {}
        self._ip_ranges: Sequence[Any] = ()  # of the last ADD: runtimes repeat them at CHECK and DEL
        for text, owner in (state or {}).get("reserved", {}).items():
            self._hold(_known_address(text), owner)
        for index, text in (state or {}).get("last", {}).items():
            self._last[str(index)] = _known_address(text)

    @property
    def state(self) -> dict[str, dict[str, str]]:
        """Reservations and cursors, as a value of their own.

        Returns
        -------
        dict
            ``reserved``: address to ``"container interface"``, by file name; ``last``: index of the range set to the
            address reserved last.

        Raises
        ------
        None
            There is always a state.
        """
        reserved = {format_address(*key): owner for key, owner in self._held.items()}
        last = {index: format_address(*key) for index, key in self._last.items()}
        return {"reserved": dict(sorted(reserved.items())), "last": dict(sorted(last.items()))}

    def add(
        self,
        container_id: str,
        ifname: str = "eth0",
        *,
        args: str = "",
        runtime_config: Mapping[str, Any] | None = None,
        cni_args: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Reserve one address a range set for a container's interface.

        Parameters
        ----------
        container_id, ifname : str
            Whom the addresses are for.
        args : str
            CNI_ARGS; ``IP=`` asks for an address.
        runtime_config : mapping, optional
            ``ips`` asks for addresses; ``ipRanges`` are range sets put before the configured ones.
        cni_args : mapping, optional
            The configuration's ``args``; ``cni.ips`` asks for addresses.

        Returns
        -------
        dict
            The CNI result, in the shape of the configuration's ``cniVersion``.

        Raises
        ------
        CNIError
            The configuration is refused, a set is used up, the container holds an address of a set already, or an
            address asked for cannot be had. Nothing stays reserved for this interface then; cursors stay moved.

        Notes
        -----
        Source: ``cmdAdd`` of ``plugins/ipam/host-local/main.go``, ``backend/allocator/allocator.go``.

        Examples
        --------
        >>> plugin = HostLocal({"cniVersion": "1.0.0", "name": "cbr0", "ipam": {"subnet": "10.1.0.0/30"}})
        >>> plugin.add("a", args="IP=10.1.0.2")["ips"][0]["address"]
        '10.1.0.2/30'
        >>> plugin.add("b")
        Traceback (most recent call last):
        dsmodel.errors.CNIError: failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-...
        """
        config = self._merged(runtime_config or {}, cni_args)
        self._ip_ranges = (runtime_config or {}).get("ipRanges") or ()
        check_caller(config, container_id, ifname)
        version = check_version(config, command="ADD")
        wanted, sets = _load(config, args=args, version=version)
        owner = _owner(container_id, ifname)
        granted: list[AddressConfig] = []
        for index, ranges in enumerate(sets):
            asked = next((key for key in wanted if range_for(ranges, key)), None)
            wanted.pop(asked, None) if asked else None
            try:
                granted.append(self._reserve(ranges, owner=owner, index=str(index), asked=asked))
            except CNIError as error:
                self._release(container_id, ifname, times=len(granted))
                raise CNIError(f"failed to allocate for range {index}: {error.msg}") from None
        if wanted:
            self._release(container_id, ifname, times=len(granted))
            missing = " ".join(format_address(*key) for key in wanted)
            raise CNIError(f"failed to allocate all requested IPs: {missing}")
        return render_result(granted, version=version, routes=_routes(config["ipam"]))

    def delete(
        self, container_id: str, ifname: str = "eth0", *, runtime_config: Mapping[str, Any] | None = None
    ) -> None:
        """Give back every address of a container's interface; doing it twice is no error.

        Parameters
        ----------
        container_id, ifname : str
            Whose addresses.
        runtime_config : mapping, optional
            As in `add`, of which only ``ipRanges`` matters; left out, those of the last `add` are repeated, as the CNI
            specification asks of a runtime.

        Raises
        ------
        CNIError
            The configuration is refused.

        Notes
        -----
        Source: ``cmdDel`` of ``plugins/ipam/host-local/main.go``. Cursors stay.

        Examples
        --------
        >>> plugin = HostLocal({"name": "cbr0", "ipam": {"subnet": "10.1.0.0/24"}})
        >>> plugin.delete("never-added")
        """
        config = self._merged(runtime_config, None)
        check_caller(config, container_id, ifname)
        version = check_version(config, command="DEL")
        _, sets = _load(config, args="", version=version)
        self._release(container_id, ifname, times=len(sets))

    def check(
        self, container_id: str, ifname: str = "eth0", *, runtime_config: Mapping[str, Any] | None = None
    ) -> None:
        """Pass if a container's interface holds at least one address, whichever.

        Parameters
        ----------
        container_id, ifname : str
            Whose addresses.
        runtime_config : mapping, optional
            As in `add`, of which only ``ipRanges`` matters; left out, those of the last `add` are repeated, as the CNI
            specification asks of a runtime.

        Raises
        ------
        CNIError
            It holds none, the configuration is refused, or its version is before CHECK existed (code 1).

        Notes
        -----
        Source: ``cmdCheck`` of ``plugins/ipam/host-local/main.go``.

        Examples
        --------
        >>> HostLocal({"cniVersion": "1.0.0", "name": "cbr0", "ipam": {"subnet": "10.1.0.0/24"}}).check("web-0")
        Traceback (most recent call last):
        dsmodel.errors.CNIError: host-local: Failed to find address added by container web-0
        """
        config = self._merged(runtime_config, None)
        check_caller(config, container_id, ifname)
        version = check_version(config, command="CHECK")
        _load(config, args="", version=version)
        if not any(self._owned.get(owner) for owner in _owners(container_id, ifname)):
            raise CNIError(f"host-local: Failed to find address added by container {container_id}")

    def _merged(
        self, runtime_config: Mapping[str, Any] | None, cni_args: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """Put what the runtime passes where the plugin finds it: into the configuration."""
        if runtime_config is None:
            runtime_config = {"ipRanges": self._ip_ranges} if self._ip_ranges else {}
        merged = dict(self._config)
        if runtime_config:
            merged["runtimeConfig"] = dict(runtime_config)
        if cni_args:
            merged["args"] = dict(cni_args)
        return merged

    def _reserve(self, ranges: Sequence[Range], *, owner: str, index: str, asked: Address | None) -> AddressConfig:
        """Reserve the address asked for, or the next one of a set."""
        if asked is not None:
            found = next(each for each in ranges if each.holds(*asked))
            if asked == found.gateway:
                raise CNIError(f"requested ip {format_address(*asked)} is subnet's gateway")
            if asked in self._held:
                raise CNIError(
                    f"requested IP address {format_address(*asked)} is not available in range set {set_text(ranges)}"
                )
            return self._grant(found, asked, owner=owner, index=index)
        self._refuse_second(ranges, owner)
        for found, key in candidates(ranges, self._last.get(index)):
            # what is not free here is held, so this loop is never longer than the list of reservations
            if key not in self._held:
                return self._grant(found, key, owner=owner, index=index)
        raise CNIError(f"no IP addresses available in range set: {set_text(ranges)}")

    def _refuse_second(self, ranges: Sequence[Range], owner: str) -> None:
        """Refuse an interface that holds an address of this set already."""
        container_id, _, ifname = owner.partition(" ")
        keys = [key for each in _owners(container_id, ifname) for key in self._owned.get(each, ())]
        for text, key in sorted((format_address(*key), key) for key in keys):
            if range_for(ranges, key):
                raise CNIError(f"{text} has been allocated to {container_id}, duplicate allocation is not allowed")

    def _grant(self, found: Range, key: Address, *, owner: str, index: str) -> AddressConfig:
        """Write the reservation and move the cursor of the set."""
        self._hold(key, owner)
        self._last[index] = key
        return AddressConfig(key, found.prefix_length, found.gateway)

    def _hold(self, key: Address, owner: str) -> None:
        """Write one reservation."""
        self._held[key] = owner
        self._owned.setdefault(owner, []).append(key)

    def _release(self, container_id: str, ifname: str, *, times: int) -> None:
        """Give back what an interface holds; each set looks again, and finds what older versions wrote last."""
        for _ in range(times):
            owner = next((each for each in _owners(container_id, ifname) if each in self._owned), None)
            for key in self._owned.pop(owner, ()) if owner else ():
                del self._held[key]


def read_state(directory: str | Path) -> dict[str, dict[str, str]]:
    """Read the data directory of a network, ``/var/lib/cni/networks/NAME`` on a node.

    Parameters
    ----------
    directory : str or Path
        Where the plugin keeps one file an address.

    Returns
    -------
    dict
        A state for `HostLocal`; files that are neither an address nor a cursor are left out, as the plugin does.

    Raises
    ------
    InconsistentState
        A cursor file holds no address.
    OSError
        The directory cannot be read.

    Notes
    -----
    Source: ``plugins/ipam/host-local/backend/disk/backend.go``. On Windows ``:`` is ``_`` in file names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_state({"reserved": {"10.1.0.2": "web-0 eth0"}, "last": {"0": "10.1.0.2"}}, directory)
    ...     read_state(directory)
    {'reserved': {'10.1.0.2': 'web-0 eth0'}, 'last': {'0': '10.1.0.2'}}
    """
    state: dict[str, dict[str, str]] = {"reserved": {}, "last": {}}
    for path in sorted(Path(directory).iterdir()):
        name = path.name.replace("_", ":") if not path.name.startswith(_LAST) else path.name
        if name.startswith(_LAST):
            text = path.read_bytes().decode()
            state["last"][name.removeprefix(_LAST)] = format_address(*_known_address(text))
        elif _is_address(name):
            # newline translation would eat the carriage return that parts container and interface
            owner = path.read_bytes().decode().strip()
            state["reserved"][format_address(*_known_address(name))] = " ".join(owner.split(_LINE_BREAK))
    return state


def write_state(state: Mapping[str, Mapping[str, str]], directory: str | Path) -> None:
    r"""Write a state as the plugin would have left it on disk.

    Parameters
    ----------
    state : mapping
        As `HostLocal.state` gives it.
    directory : str or Path
        An existing directory.

    Raises
    ------
    OSError
        The directory cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_state({"reserved": {"10.1.0.2": "web-0 eth0"}}, directory)
    ...     pathlib.Path(directory, "10.1.0.2").read_bytes()
    b'web-0\r\neth0'
    """
    folder = Path(directory)
    for text, owner in state.get("reserved", {}).items():
        (folder / text).write_bytes(_LINE_BREAK.join(owner.split(" ")).encode())
    for index, text in state.get("last", {}).items():
        (folder / f"{_LAST}{index}").write_bytes(text.encode())


def _load(config: Mapping[str, Any], *, args: str, version: str) -> tuple[dict[Address, None], list[list[Range]]]:
    """Read addresses asked for and range sets, refusing what the plugin refuses, in its order."""
    ipam, runtime = config.get("ipam"), config.get("runtimeConfig") or {}
    if not isinstance(ipam, dict):
        raise CNIError("IPAM config missing 'ipam' key")
    runtime_sets = [[decode_range(each) for each in ranges] for ranges in runtime.get("ipRanges") or ()]
    named_sets = [[decode_range(each) for each in ranges] for ranges in ipam.get("ranges") or ()]
    legacy = decode_range(ipam)
    named = ((config.get("args") or {}).get("cni") or {}).get("ips") or ()
    asked = [*filter(None, [read_args(args)]), *map(read_ip, named), *map(read_ip, runtime.get("ips") or ())]
    raw_sets = [*runtime_sets, *([[legacy]] if "subnet" in legacy else []), *named_sets]
    if not raw_sets:
        raise CNIError("no IP ranges specified")
    sets = [read_range_set(index, ranges) for index, ranges in enumerate(raw_sets)]
    families = [ranges[0].family for ranges in sets]
    if len(families) > len(set(families)) and (version or "0.1.0") < "0.3.0":
        raise CNIError(f"CNI version {version} does not support more than 1 address per family")
    refuse_overlaps(sets)
    return dict.fromkeys(asked), sets


def _routes(ipam: Mapping[str, Any]) -> list[dict[str, str]]:
    """Copy the routes a result repeats."""
    return [{key: route[key] for key in ("dst", "gw") if route.get(key)} for route in ipam.get("routes") or ()]


def _owner(container_id: str, ifname: str) -> str:
    """Name the holder of a reservation."""
    return f"{container_id.strip()} {ifname}"


def _owners(container_id: str, ifname: str) -> tuple[str, str]:
    """Name the holders an interface answers to: itself, and the container as versions before 0.7 wrote it."""
    return _owner(container_id, ifname), container_id.strip()


def _is_address(name: str) -> bool:
    """Tell whether a file name is an address."""
    try:
        parse_address(name)
    except InvalidAddress:
        return False
    return True


def _known_address(text: str) -> Address:
    """Read an address of a state."""
    try:
        return read_ip(text.strip())
    except CNIError:
        raise InconsistentState(
            f"the state of host-local names {text!r}, which is no address; the file or value it came from is damaged"
        ) from None
