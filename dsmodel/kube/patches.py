"""Patches as the API server applies them: JSON patch, merge patch, strategic merge patch.

Promises: RFC 6902 and RFC 7386, and Kubernetes' strategic merge with the merge keys of the modelled kinds and the
directives ``$patch``, ``$retainKeys``, ``$setElementOrder`` and ``$deleteFromPrimitiveList``. The document patched is
never changed.

Not known here: server-side apply.

Sources: k8s.io/apimachinery ``pkg/util/strategicpatch/patch.go``; the ``patchStrategy`` tags of ``k8s.io/api``.
"""

from __future__ import annotations

from typing import Any

from dsmodel.errors import Rejected
from dsmodel.kube.fields import bad_request

__all__ = ["apply_patch", "merge_patch", "strategic_patch"]

# list fields that a strategic patch merges instead of replacing: path -> merge key, "" for a set of scalars
_MERGED_LISTS = {
    "metadata.finalizers": "",
    "metadata.ownerReferences": "uid",
    "spec.podCIDRs": "",
    "spec.ports": "port",
    "status.addresses": "type",
    "status.conditions": "type",
}
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_patch(document: Any, patch: Any, *, patch_type: str) -> Any:
    """Apply a patch to a document.

    Parameters
    ----------
    document : dict
        The object as stored.
    patch : dict or list
        A list of operations for ``"json"``, else a partial object.
    patch_type : {"json", "merge", "strategic"}
        Which kind of patch it is.

    Returns
    -------
    dict
        A new document; parts that did not change are shared with the old one.

    Raises
    ------
    Rejected
        400 for a patch that cannot be read, 422 for JSON operations that do not fit the document, 415 for another
        type.

    Examples
    --------
    >>> apply_patch({"spec": {"a": 1, "b": 2}}, {"spec": {"a": None}}, patch_type="merge")
    {'spec': {'b': 2}}
    """
    if patch_type == "json":
        return _json_patch(document, patch)
    if patch_type not in {"merge", "strategic"}:
        words = (
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json"
        )
        raise Rejected(words, code=415, reason="UnsupportedMediaType")
    if not isinstance(patch, dict):
        raise bad_request(f"a {patch_type} patch is an object, not {type(patch).__name__}")
    return merge_patch(document, patch) if patch_type == "merge" else strategic_patch(document, patch)


def merge_patch(document: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch.

    Parameters
    ----------
    document, patch : JSON value
        What is stored, and what changes; null removes a field.

    Returns
    -------
    JSON value
        The patched document.

    Raises
    ------
    None
        Every pair of values has an answer.

    Examples
    --------
    >>> merge_patch({"a": [1], "b": 2}, {"a": [3], "c": {"d": None}})
    {'a': [3], 'b': 2, 'c': {}}
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_patch(document: Any, patch: dict[str, Any], *, path: str = "") -> Any:
    """Apply a strategic merge patch.

    Parameters
    ----------
    document : JSON value
        What is stored.
    patch : dict
        What changes; null removes a field, merged lists are merged by key.
    path : str
        Field path of the document inside the object.

    Returns
    -------
    JSON value
        The patched document.

    Raises
    ------
    Rejected
        400 for an element of a merged list without its key, or an unknown ``$patch``.

    Examples
    --------
    >>> old = {"ports": [{"port": 80, "name": "a"}, {"port": 443, "name": "b"}]}
    >>> strategic_patch(old, {"ports": [{"port": 80, "name": "c"}]}, path="spec")
    {'ports': [{'port': 80, 'name': 'c'}, {'port': 443, 'name': 'b'}]}
    """
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    _known(directive)
    merged = dict(document) if isinstance(document, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [item for item in merged.get(name) or () if item not in value]
        elif not key.startswith("$"):
            _strategic_field(merged, key, value, path=f"{path}.{key}" if path else key)
    for key, value in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], value, _MERGED_LISTS.get(f"{path}.{name}" if path else name, ""))
    return merged


def _strategic_field(merged: dict[str, Any], key: str, value: Any, *, path: str) -> None:
    """Patch one field in place."""
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = strategic_patch(merged.get(key), value, path=path)
    elif isinstance(value, list) and path in _MERGED_LISTS:
        merged[key] = _merged_list(list(merged.get(key) or ()), value, _MERGED_LISTS[path])
    else:
        merged[key] = value


def _merged_list(items: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    """Merge a list by its key, or as a set of scalars."""
    if not merge_key:
        return items + [value for value in patch if value not in items]
    if any(isinstance(element, dict) and element.get("$patch") == "replace" for element in patch):
        return [e for e in patch if not (isinstance(e, dict) and "$patch" in e)]
    for element in patch:
        if not isinstance(element, dict) or merge_key not in element:
            raise bad_request(f"map: {element} does not contain declared merge key: {merge_key}")
        at = next((i for i, item in enumerate(items) if item.get(merge_key) == element[merge_key]), None)
        if element.get("$patch") == "delete":
            items = [item for item in items if item.get(merge_key) != element[merge_key]]
            continue
        _known(element.get("$patch"))
        if at is None:
            items.append(strategic_patch({}, element))
        else:
            items[at] = strategic_patch(items[at], element)
    return items


def _ordered(items: list[Any], order: list[Any], merge_key: str) -> list[Any]:
    """Put a merged list into the order the patch asks for; items it does not name keep their place at the end."""
    keys = [item.get(merge_key) if merge_key else item for item in items]
    wanted = [entry.get(merge_key) if merge_key and isinstance(entry, dict) else entry for entry in order]
    named = [items[keys.index(key)] for key in wanted if key in keys]
    return named + [item for key, item in zip(keys, items, strict=True) if key not in wanted]


def _known(directive: Any) -> None:
    """Refuse a directive that does not exist."""
    if directive not in {None, "merge", "replace", "delete"}:
        raise bad_request(f"Unknown patch type: {directive}")


def _json_patch(document: Any, patch: Any) -> Any:
    """Apply an RFC 6902 patch."""
    import jsonpatch
    import jsonpointer

    if not isinstance(patch, list):
        raise bad_request("a json patch is a list of operations")
    try:
        return jsonpatch.apply_patch(document, patch)
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPatchTestFailed, jsonpointer.JsonPointerException) as error:
        words = f"the server rejected our request due to an error in our request ({error})"
        raise Rejected(words, code=422, reason="Invalid") from error
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(str(error)) from error
