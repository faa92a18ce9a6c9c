"""Many names at once are judged as one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.kube.names import dns_1035_label, dns_1123_label, labels_fit

NAME = st.one_of(
    st.text("ab1-", max_size=5), st.text("a-Z_.\né\ud800 ", max_size=3), st.sampled_from(["a" * 63, "a" * 64])
)


@pytest.mark.parametrize(("digit_first", "check"), [(True, dns_1123_label), (False, dns_1035_label)])
@given(names=st.lists(NAME, max_size=8))
def test_many_names_are_judged_as_one_by_one(digit_first, check, names):
    assert labels_fit(names, digit_first=digit_first).tolist() == [not check(name) for name in names]
