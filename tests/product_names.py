"""Hypothesis strategies for product names."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from revisit.domain.product_name import ProductName

MOMENTS = st.datetimes(datetime(2015, 6, 23), datetime(2099, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
NAMES = st.builds(
    ProductName,
    platform=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ").map("S2".__add__),
    level=st.sampled_from(["L1C", "L2A"]),
    datatake=MOMENTS,
    baseline=st.integers(0, 9999).map("{:04d}".format),
    relative_orbit=st.integers(0, 999),
    tile=st.from_regex(r"\A[0-6][0-9][C-HJ-NP-X][A-Z]{2}\Z"),
    discriminator=MOMENTS,
)
