"""Formulas that users write: their one spelling, their values, and the position of each fault."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revisit.errors import InvalidInputError
from revisit.pixels.indices import index, resolve

NAMES = ("B02", "B03", "B04", "B08", "B8A", "B11")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("name=(B08-B04)/(B08+B04)", "name=(B08 - B04) / (B08 + B04)"),
        (" Wet_2 =  ( b8a - swir16)/(B8A+ B11) ", "Wet_2=(B8A - B11) / (B8A + B11)"),
        ("x=((B08))-(B04-B02)", "x=B08 - (B04 - B02)"),
        ("x=min(nir,b4)**(1/2)+max(B02, 1e-3)", "x=min(B08, B04) ** (1 / 2) + max(B02, 0.001)"),
        ("x=B10", "x=B10"),
    ],
)
def test_a_formula_has_one_spelling_that_means_the_same(text, stored):
    assert resolve(text) == resolve(stored) == stored == index(text).definition
    assert index(text).name == stored.partition("=")[0]


def test_a_formula_is_computed_of_the_bands_it_names():
    wet = index("wet=sqrt(B8A)-2*B11**2")
    assert wet.bands == ("B8A", "B11")
    assert wet.constants == {}
    assert wet.compute({"B8A": np.array([0.25]), "B11": np.array([0.5])}).tolist() == [0.0]


@given(st.recursive(
    st.sampled_from(NAMES) | st.floats(0.01, 9).map(repr),
    lambda part: st.tuples(part, st.sampled_from("+-*/"), part).map(lambda three: f"({''.join(three)})"),
    max_leaves=12,
))  # fmt: skip
def test_the_stored_spelling_has_the_value_of_the_text(text):
    values = {name: np.array([0.1 * place + 0.03]) for place, name in enumerate(NAMES)}
    text = f"x=B02*0+{text}"
    with np.errstate(all="ignore"):
        expected = eval(text[2:], {}, values)  # of a text that this test has made
    stored = resolve(text)
    assert resolve(stored) == stored
    np.testing.assert_array_equal(
        index(stored).compute(values), np.where(np.isfinite(expected), expected, np.nan)
    )


@pytest.mark.parametrize(
    ("text", "problem", "character"),
    [
        ("x=(B08-B04", "'(' was never closed", 3),
        ("x=B08-B04)", "unmatched ')'", 10),
        ("x=B08+", "a value is missing at the end", 7),
        ("x=", "a value is missing at the end", 3),
        ("x=B08 B04", "'B04' is not expected", 7),
        ("x=2B08", "an operator is missing before 'B08'", 4),
        ("x = B08 + B99", "'B99' is no band; choose from B01, B02", 11),
        ("x=B08+SCL", "'SCL' is no band", 7),
        ("x=B08+log", "'log' is not arithmetic", 7),
        ("x=1+sqrt(B08,B04)", "sqrt takes 1 value, not 2", 5),
        ("x=B08 if B04 else 1", "'B08 if B04 else 1' is not arithmetic", 3),
        ("x=B08+__import__('os')", "is not arithmetic", 7),
        ("x=B08.real", "'B08.real' is not arithmetic", 3),
        ("x=B08=B04", "'=' is not expected", 6),
        ("x=B08\n+B04", "'\\\\n' cannot be part of a formula", 6),
        ("x=\N{FULLWIDTH LATIN CAPITAL LETTER B}08", "cannot be part of a formula", 3),
        ("x=1+1", "it holds no band", 3),
        ("x=B08**B04", "an exponent is a number from -16 to 16", 8),
    ],
)
def test_a_fault_is_named_with_its_position_in_the_text(text, problem, character):
    with pytest.raises(InvalidInputError) as caught:
        resolve(text)
    assert problem.replace("\\\\", "\\") in str(caught.value)
    assert f"at character {character}" in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("B08**9**9**9**9", "an exponent is a number"),
        ("B08**1e9", "an exponent is a number"),
        ("9**" * 300 + "B08", "nests at most 60"),
        ("(" * 190 + "B08" + ")" * 190 + "**" + "9" * 100, "an exponent is a number"),
        ("(" * 400 + "B08" + ")" * 400, "too many nested parentheses"),
        ("-" * 900 + "B08", "nests at most 60"),
        ("exp(" * 70 + "B08" + ")" * 70, "nests at most 60"),
        ("+".join(["B08*B04"] * 60), "at most"),
        ("9" * 990, "too large"),
        ("B08+" * 1_000_000 + "B08", "at most 1000 characters, not 4000003"),
        ("B08" + "\n" * 2_000_000, "at most 1000 characters"),
    ],
)
def test_a_bomb_is_refused_at_once_with_the_reason(formula, reason):
    with pytest.raises(InvalidInputError, match=reason) as caught:
        resolve(f"x={formula}")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "cannot be the name"),
        ("1st", "cannot be the name"),
        ("../../etc/passwd", "cannot be the name"),
        ("a b", "cannot be the name"),
        ("x" * 33, "cannot be the name"),
        ("=cmd", "cannot be the name"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}", "cannot be the name"),
        ("B08", "name of a band or file"),
        ("scl", "name of a band or file"),
        ("red", "name of a band or file"),
        ("Bands", "name of a band or file"),
        ("item", "name of a band or file"),
        ("ndvi", "name of the catalogue's index NDVI"),
        ("NDWIGAO", "name of the catalogue's index NDMI"),
    ],
)
def test_a_name_that_no_file_can_have_or_that_is_taken_is_refused(name, reason):
    with pytest.raises(InvalidInputError, match=reason):
        resolve(f"{name}=B08-B04")


def test_a_formula_needs_little_memory_however_deep_it_is():
    import tracemalloc

    deep = "B08*B04" + "+(B08*B04" * 24 + ")" * 24
    bands = {"B08": np.full(1_000_000, 0.5, np.float32), "B04": np.full(1_000_000, 0.25, np.float32)}
    tracemalloc.start()
    found = index(f"x={deep}").compute(bands, np.float32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0] == found[-1] == 25 * 0.125
    assert peak < found.nbytes + 32 * 2**20
