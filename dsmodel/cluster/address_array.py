"""Hold an address column inside pandas: sorted, grouped and looked up as numbers, shown as text.

`AddressArray` is a pandas extension array of dtype ``"ipv4"`` (4 bytes a row) or ``"ipv6"`` (16 bytes a row) and a
boolean mask that takes no memory where no value is missing. Its elements are `ipaddress` objects; it compares with
those, with text and with other arrays of its family. A comparison with a missing value is false.

Sorting, grouping and membership work on one ``uint64`` a row, made of the used bits of ``hi`` and of ``lo``, whenever
they fit, which they do in any cluster; otherwise on ranks.

What it does not know: arithmetic on addresses (`dsmodel.addresses.arrays` has it) and CIDRs.
"""
# ruff: noqa: FBT001, FBT002, SLF001 - signatures are those of pandas' contract; private parts of its own class

from __future__ import annotations

import ipaddress
import operator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype, take
from pandas.api.indexers import check_array_indexer

from dsmodel.addresses.arrays import IPV6_DTYPE, family_of
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.address_keys import AddressKeys, stable_order
from dsmodel.errors import InvalidAddress, InvalidInput

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AddressArray", "AddressDtype"]

_SCALARS: dict[IPFamily, type[ipaddress.IPv4Address | ipaddress.IPv6Address]] = {
    IPFamily.IPV4: ipaddress.IPv4Address,
    IPFamily.IPV6: ipaddress.IPv6Address,
}


@register_extension_dtype
class AddressDtype(ExtensionDtype):
    """The pandas dtype of addresses of one family: ``"ipv4"`` or ``"ipv6"``.

    Parameters
    ----------
    family : IPFamily or str
        "IPv4" or "IPv6".

    Examples
    --------
    >>> pd.Series(["fd00::a", None], dtype="ipv6").isna().tolist()
    [False, True]
    """

    _metadata = ("family",)

    def __init__(self, family: IPFamily | str = IPFamily.IPV6) -> None:
        self.family = IPFamily(family)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The word pandas knows it by."""
        return self.family.lower()

    @property
    def type(self) -> type[ipaddress.IPv4Address | ipaddress.IPv6Address]:  # type: ignore[override]
        """The class of one element."""
        return _SCALARS[self.family]

    @property
    def na_value(self) -> object:
        """What a missing element is, as in pandas' text."""
        return np.nan

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of the address column inside."""
        return np.dtype(np.uint32) if self.family is IPFamily.IPV4 else IPV6_DTYPE

    def construct_array_type(self) -> builtins.type[AddressArray]:
        """Return the class of the arrays.

        Returns
        -------
        type
            `AddressArray`.

        Raises
        ------
        None
            There is one.
        """
        return AddressArray

    @classmethod
    def construct_from_string(cls, string: str) -> Self:
        """Return the dtype a word stands for.

        Parameters
        ----------
        string : str
            "ipv4" or "ipv6".

        Returns
        -------
        AddressDtype
            Of that family.

        Raises
        ------
        TypeError
            For any other word, as pandas asks.
        """
        if not isinstance(string, str):
            raise TypeError(f"'construct_from_string' expects a string, got {type(string)}")
        if string not in {"ipv4", "ipv6"}:
            raise TypeError(f"Cannot construct a 'AddressDtype' from '{string}': the words are ipv4 and ipv6")
        return cls(IPFamily.IPV4 if string == "ipv4" else IPFamily.IPV6)


class AddressArray(ExtensionArray):
    """An address column that pandas can hold.

    Parameters
    ----------
    column : address column, shape (n,)
        ``uint32`` or fields ``hi``, ``lo``; shared, not copied.
    valid : array-like of bool, shape (n,), optional
        Where there is an address; everywhere if left out.

    Raises
    ------
    InvalidInput
        If the column is no address column, or the mask has another length.

    Examples
    --------
    >>> array = AddressArray(np.array([0x0A000001, 0x0A000002], dtype=np.uint32))
    >>> array == "10.0.0.2"
    array([False,  True])
    """

    __pandas_priority__ = 1000

    def __init__(self, column: NDArray[Any], valid: ArrayLike | None = None) -> None:
        column = np.asarray(column)
        self._dtype = AddressDtype(family_of(column))
        self._column = column
        mask = np.broadcast_to(np.True_, column.shape) if valid is None else np.asarray(valid)
        if mask.dtype != np.bool_ or mask.shape != column.shape or column.ndim != 1:
            raise InvalidInput(f"an address column of shape {column.shape} needs a mask of as many booleans")
        self._valid = mask

    # what pandas asks of every array ------------------------------------------------------------------------------

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> Self:
        if isinstance(scalars, cls):
            if dtype is not None and pd.api.types.pandas_dtype(dtype) != scalars.dtype:
                raise InvalidAddress(f"{scalars.dtype.name} addresses are no {dtype}")
            return scalars.copy() if copy else scalars
        values = np.asarray(scalars, dtype=object)
        valid = ~np.asarray(pd.isna(values), dtype=np.bool_)
        texts = [str(value) for value in values[valid]]
        if dtype is None:
            family = IPFamily.IPV6 if texts and ":" in texts[0] else IPFamily.IPV4
        else:
            found = pd.api.types.pandas_dtype(dtype)
            if not isinstance(found, AddressDtype):
                raise InvalidInput(f"dtype {dtype!r} is no address dtype; use 'ipv4' or 'ipv6'")
            family = found.family
        column = np.zeros(len(values), AddressDtype(family).numpy_dtype)
        column[valid] = _parsed(texts, family)
        return cls(column, valid)

    @classmethod
    def _from_sequence_of_strings(cls, strings: Any, *, dtype: Any, copy: bool = False) -> Self:
        return cls._from_sequence(strings, dtype=dtype, copy=copy)

    @classmethod
    def _from_factorized(cls, values: Any, original: Self) -> Self:
        return cls._from_sequence(values, dtype=original.dtype)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        column = np.concatenate([array._column for array in to_concat])
        if all(array._all_valid for array in to_concat):
            return cls(column)
        return cls(column, np.concatenate([array._valid for array in to_concat]))

    @property
    def dtype(self) -> AddressDtype:
        """The pandas dtype."""
        return self._dtype

    @property
    def family(self) -> IPFamily:
        """The family of every element."""
        return self._dtype.family

    @property
    def column(self) -> NDArray[Any]:
        """The address column; what stands in missing rows means nothing."""
        return self._column

    @property
    def nbytes(self) -> int:
        """Bytes of the column and of the mask, which takes none where nothing is missing."""
        return int(self._column.nbytes + (0 if self._valid.strides == (0,) else self._valid.nbytes))

    @property
    def _all_valid(self) -> bool:
        return self._valid.strides == (0,) or bool(self._valid.all())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._column)

    def __getitem__(self, item: Any) -> Any:
        """Return one element, or an array of chosen rows."""
        item = check_array_indexer(self, item)
        if isinstance(item, int | np.integer):
            return self._scalar(item)
        if isinstance(item, str):  # which numpy would take for the name of a field
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays "
                "are valid indices"
            )
        part = type(self)(self._column[item], self._valid[item])
        if isinstance(item, slice):
            part._readonly = getattr(self, "_readonly", False)  # type: ignore[attr-defined]
        return part

    def __setitem__(self, key: Any, value: Any) -> None:
        """Change rows in place."""
        if getattr(self, "_readonly", False):
            raise ValueError("Cannot modify read-only array")
        key = check_array_indexer(self, key)
        fresh = value if isinstance(value, AddressArray) else None
        if fresh is None:
            many = pd.api.types.is_list_like(value)
            fresh = self._from_sequence(value if many else [value], dtype=self.dtype)
            if not many:
                self._assign(key, fresh._column[0], valid=bool(fresh._valid[0]))
                return
        if fresh.dtype != self.dtype:
            raise InvalidAddress(f"cannot put {fresh.dtype.name} addresses into an {self.dtype.name} array")
        self._assign(key, fresh._column, valid=fresh._valid)

    def _assign(self, key: Any, column: Any, *, valid: Any) -> None:
        if not self._column.flags.writeable:
            self._column = self._column.copy()
        if not self._valid.flags.writeable:
            self._valid = self._valid.copy()
        self._column[key] = column
        self._valid[key] = valid

    def _scalar(self, index: int | np.integer[Any]) -> object:
        if not self._valid[index]:
            return self.dtype.na_value
        value = self._column[index]
        if self.family is IPFamily.IPV4:
            return ipaddress.IPv4Address(int(value))
        return ipaddress.IPv6Address((int(value["hi"]) << 64) | int(value["lo"]))

    def isna(self) -> NDArray[np.bool_]:
        """Tell which rows have no address.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where missing.

        Raises
        ------
        None
            Every array has an answer.
        """
        return ~self._valid

    def copy(self) -> Self:
        """Return an array whose changes do not show in this one.

        Returns
        -------
        AddressArray
            With memory of its own.

        Raises
        ------
        None
            Every array has an answer.
        """
        valid = self._valid if self._valid.strides == (0,) else self._valid.copy()
        return type(self)(self._column.copy(), valid)

    def view(self, dtype: Any = None) -> Any:
        """Return the same memory in a new array.

        Parameters
        ----------
        dtype : None
            pandas asks for it; only the own dtype is allowed.

        Returns
        -------
        AddressArray
            Shares the memory.

        Raises
        ------
        NotImplementedError
            For another dtype.
        """
        if dtype is not None:
            return super().view(dtype)
        if self._valid.strides == (0,) and self._column.flags.writeable:
            self._valid = self._valid.copy()  # so that both write to one mask
        return type(self)(self._column[:], self._valid[:])

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """Return chosen rows.

        Parameters
        ----------
        indices : sequence of int
            Rows; with ``allow_fill``, -1 asks for a filled row.
        allow_fill : bool, default False
            Whether -1 means fill or the last row.
        fill_value : address, text or missing, optional
            What to fill with; missing if left out.

        Returns
        -------
        AddressArray
            One row for each index.

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        if not allow_fill:
            chosen = np.asarray(indices, dtype=np.intp)
            if not len(self) and len(chosen):
                raise IndexError("cannot do a non-empty take from an empty axes.")
            valid = np.broadcast_to(np.True_, chosen.shape) if self._valid.strides == (0,) else self._valid[chosen]
            return type(self)(self._column[chosen], valid)
        filler = self._from_sequence([pd.NA if fill_value is None else fill_value], dtype=self.dtype)
        positions = np.asarray(
            take(np.arange(len(self)), np.asarray(indices, dtype=np.intp), allow_fill=True, fill_value=-1)
        )
        both = self._concat_same_type([self, filler])
        return both.take(np.where(positions < 0, len(self), positions))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Return the addresses as another dtype.

        Parameters
        ----------
        dtype : dtype or str
            The own one, a text dtype (canonical text), or ``object`` (`ipaddress` objects).
        copy : bool, default True
            Whether the own dtype is copied.

        Returns
        -------
        array
            Of that dtype.

        Raises
        ------
        TypeError
            If pandas knows no way to the dtype.
        """
        target = pd.api.types.pandas_dtype(dtype)
        if target == self.dtype:
            return self.copy() if copy else self
        if isinstance(target, pd.StringDtype):
            return pd.array(self.to_texts(), dtype=target)
        if isinstance(target, np.dtype) and target.kind in "UT":
            return np.asarray([str(value) for value in self], dtype=target)
        return super().astype(target, copy=copy)

    def to_texts(self) -> NDArray[np.object_]:
        """Return canonical text, missing rows as NaN.

        Returns
        -------
        ndarray of object, shape (n,)
            ``str`` or NaN.

        Raises
        ------
        None
            Every array has an answer.
        """
        texts = np.asarray(self.__arrow_array__().to_numpy(zero_copy_only=False), dtype=object)
        texts[~self._valid] = np.nan
        return texts

    def _values_for_json(self) -> NDArray[np.object_]:
        texts = self.to_texts()
        texts[~self._valid] = None
        return texts

    def __arrow_array__(self, type: Any = None) -> Any:  # noqa: A002 - Arrow's contract
        """Give Arrow the canonical text."""
        from dsmodel.addresses.text import format_addresses

        text = format_addresses(self._column, valid=self._valid)
        return text if type is None else text.cast(type)

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:
        return str if boxed else repr

    # order, groups, membership ------------------------------------------------------------------------------------

    def argsort(
        self,
        *,
        ascending: bool = True,
        kind: str = "quicksort",  # noqa: ARG002 - every order is stable
        na_position: str = "last",
        **kwargs: Any,  # noqa: ARG002 - pandas' contract
    ) -> NDArray[np.intp]:
        """Return the rows in order of address, equal ones in their own order.

        Parameters
        ----------
        ascending : bool, default True
            Smallest first.
        kind : str
            pandas asks for it; every order is stable.
        na_position : {"last", "first"}
            Where missing rows go.
        **kwargs
            Nothing else is looked at.

        Returns
        -------
        ndarray of intp, shape (n,)
            Row numbers.

        Raises
        ------
        None
            Every array has an answer.
        """
        rows = None if self._all_valid else np.flatnonzero(self._valid)
        keys = AddressKeys(self._column if rows is None else self._column[rows]).keys
        order = stable_order(keys if ascending else np.uint64(0xFFFF_FFFF_FFFF_FFFF) - keys)
        if rows is None:
            return order
        missing = np.flatnonzero(~self._valid)
        return np.concatenate((missing, rows[order]) if na_position == "first" else (rows[order], missing))

    def factorize(self, use_na_sentinel: bool = True) -> tuple[NDArray[np.intp], Self]:
        """Give each different address a number, in order of appearance.

        Parameters
        ----------
        use_na_sentinel : bool, default True
            Whether missing rows get -1 or a number of their own.

        Returns
        -------
        tuple of ndarray of intp, AddressArray
            A number for each row; the different addresses.

        Raises
        ------
        None
            Every array has an answer.
        """
        if self._all_valid:
            packed = AddressKeys(self._column)
            codes, uniques = pd.factorize(packed.keys)
            return codes, type(self)(packed.addresses(uniques))
        rows = np.flatnonzero(self._valid)
        packed = AddressKeys(self._column[rows])
        found, uniques = pd.factorize(packed.keys)
        codes = np.full(len(self), -1, np.intp)
        codes[rows] = found
        different = type(self)(packed.addresses(uniques))
        if use_na_sentinel:
            return codes, different
        first = int(np.flatnonzero(~self._valid)[0])
        place = int(codes[:first].max(initial=-1)) + 1
        codes[codes >= place] += 1
        codes[~self._valid] = place
        missing = self._from_sequence([pd.NA], dtype=self.dtype)
        return codes, self._concat_same_type([different[:place], missing, different[place:]])

    def unique(self) -> Self:
        """Return the different addresses in order of appearance, missing counted as one.

        Returns
        -------
        AddressArray
            Each value once.

        Raises
        ------
        None
            Every array has an answer.
        """
        return self.factorize(use_na_sentinel=False)[1]

    def isin(self, values: Any) -> NDArray[np.bool_]:
        """Tell which rows are among the values.

        Parameters
        ----------
        values : AddressArray or sequence
            Addresses, text or missing; what is no address of this family matches nothing.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where the row's address is one of them.

        Raises
        ------
        None
            Every pair has an answer.
        """
        wanted = values if isinstance(values, AddressArray) else _lenient(values, self.dtype)
        found = np.zeros(len(self), np.bool_)
        if wanted.dtype == self.dtype and len(self):
            keys = AddressKeys(self._column)
            inside = keys.of(wanted._column[wanted._valid])
            found = pd.Series(keys.keys, copy=False).isin(inside).to_numpy(copy=True)
            found &= self._valid
        if not self._all_valid and bool(np.any(pd.isna(values))):
            found |= ~self._valid
        return found

    def _values_for_factorize(self) -> tuple[NDArray[Any], Any]:
        return self.astype(object), np.nan

    def _hash_pandas_object(self, *, encoding: str, hash_key: str, categorize: bool) -> NDArray[np.uint64]:
        from pandas.util import hash_array

        kwargs: dict[str, Any] = {"encoding": encoding, "hash_key": hash_key, "categorize": categorize}
        if self.family is IPFamily.IPV4:
            hashed = hash_array(self._column.astype(np.uint64), **kwargs)
        else:
            hashed = hash_array(np.ascontiguousarray(self._column["hi"]), **kwargs)
            hashed = hash_array(hashed ^ self._column["lo"], **kwargs)
        hashed[~self._valid] = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        return hashed

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:  # noqa: ARG002 - pandas' contract
        if name not in {"min", "max"}:
            raise TypeError(f"'{self.dtype.name}' with dtype {self.dtype.name} does not support operation '{name}'")
        order = self[self._valid] if skipna else self
        if not len(order) or not order._all_valid:
            result = self._from_sequence([pd.NA], dtype=self.dtype)
        else:
            keys = AddressKeys(order._column).keys
            result = order[[int(keys.argmin() if name == "min" else keys.argmax())]]
        return result if keepdims else result[0]

    # comparison ---------------------------------------------------------------------------------------------------

    def _compare(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        many = pd.api.types.is_list_like(other)
        if many and len(other) != len(self):
            raise ValueError("Lengths must match to compare")
        array = other if isinstance(other, AddressArray) else _lenient(other if many else [other], self.dtype)
        no_address = not many and not array._valid[0] and pd.isna(other) is not True
        if array.dtype != self.dtype or no_address:
            if operation not in {operator.eq, operator.ne}:
                raise TypeError(f"{operation.__name__}: {other!r} is no {self.dtype.name} address to compare with")
            return np.full(len(self), operation is operator.ne)
        result = _compared(self._column, array._column, operation)
        both = self._valid & array._valid
        return result | ~both if operation is operator.ne else result & both

    def __eq__(self, other: object) -> Any:
        """Compare element by element; a missing one equals nothing."""
        return self._compare(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        """Compare element by element; a missing one differs from everything."""
        return self._compare(other, operator.ne)

    def __lt__(self, other: object) -> Any:
        """Compare element by element, in order of address."""
        return self._compare(other, operator.lt)

    def __le__(self, other: object) -> Any:
        """Compare element by element, in order of address."""
        return self._compare(other, operator.le)

    def __gt__(self, other: object) -> Any:
        """Compare element by element, in order of address."""
        return self._compare(other, operator.gt)

    def __ge__(self, other: object) -> Any:
        """Compare element by element, in order of address."""
        return self._compare(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]


def _compared(first: NDArray[Any], second: NDArray[Any], operation: Callable[[Any, Any], Any]) -> NDArray[np.bool_]:
    """Compare two columns, the second of the same length or of one row."""
    if first.dtype.names is None:
        return np.asarray(operation(first, second))
    hi, lo = first["hi"], first["lo"]
    if operation is operator.eq:
        return np.asarray((hi == second["hi"]) & (lo == second["lo"]))
    if operation is operator.ne:
        return np.asarray((hi != second["hi"]) | (lo != second["lo"]))
    strict = operator.lt if operation in {operator.lt, operator.le} else operator.gt
    return np.asarray(strict(hi, second["hi"]) | ((hi == second["hi"]) & operation(lo, second["lo"])))


def _parsed(texts: list[str], family: IPFamily) -> NDArray[Any]:
    from dsmodel.addresses.text import parse_addresses

    return parse_addresses(texts, family=family)


def _lenient(values: Any, dtype: AddressDtype) -> AddressArray:
    """Read what is an address of the family; the rest is missing."""
    from dsmodel.addresses.text import parse_addresses

    objects = np.asarray(values, dtype=object)
    texts = [str(value) if isinstance(value, str | dtype.type) else "" for value in objects]
    column, valid = parse_addresses(texts, family=dtype.family, on_invalid="mask")
    return AddressArray(column, valid)
