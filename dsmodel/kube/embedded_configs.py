"""Configuration files that ConfigMaps carry as text: YAML or JSON to plain values.

Promises values or an `InvalidConfig` that names the place; text that multiplies by aliases is refused, as is text of
more than a ConfigMap's size.

What it does not know: what the keys mean, and lines: files that a user hands over are read by `dsmodel.io`.

Source: YAML 1.1; ``MaxSecretSize`` of ``pkg/apis/core/types.go``, which limits ConfigMaps too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dsmodel.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_embedded_config"]

_LARGEST: Final = 1 << 20  # characters


def read_embedded_config(text: str, *, place: str) -> Mapping[str, Any]:
    r"""Read one configuration file.

    Parameters
    ----------
    text : str
        YAML or JSON, of one document.
    place : str
        Where it stands, for errors: "ConfigMap/kube-system/kube-proxy, config.conf".

    Returns
    -------
    mapping of str to object
        Empty for an empty file.

    Raises
    ------
    InvalidConfig
        Text that is no YAML, uses aliases, is too long, or is no mapping.

    Examples
    --------
    >>> read_embedded_config("mode: nftables\nnftables: {masqueradeAll: true}", place="example")
    {'mode': 'nftables', 'nftables': {'masqueradeAll': True}}
    """
    import yaml

    if len(text) > _LARGEST:
        raise InvalidConfig(f"{place}: {len(text)} characters, and a ConfigMap holds {_LARGEST}")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InvalidConfig(f"{place}: uses aliases; write the values out")
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidConfig):
            raise
        words = " ".join(str(error).split())
        raise InvalidConfig(f"{place}: is no YAML: {words}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidConfig(f"{place}: is {type(values).__name__}, and a mapping of keys is needed")
    return {str(key): value for key, value in values.items()}
