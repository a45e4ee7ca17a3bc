import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.page import Share, figure
from recsys.page.numbers import tick_labels, ticks

THIN = "\u202f"
amounts = st.floats(-1e12, 1e12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (12345.6, "12,346"),
        (3.0, "3"),
        (float("nan"), "–"),
        (None, "–"),
        (True, "yes"),
        (Share(0.4444), f"44.4{THIN}%"),
        (Share("nan"), "–"),
        ([0, 90_000], "0; 90,000"),
        ([], "–"),
        ("as it is", "as it is"),
    ],
)
def test_a_value_as_text(value, text):
    assert figure(value) == text


@given(amounts, amounts, st.booleans())
def test_ticks_enclose_the_range_in_few_equal_steps(one, other, whole):
    low, high = sorted((one, other))
    rungs = ticks(low, high, whole=whole)
    slack = 1e-6 * max(1, abs(low), abs(high))
    assert rungs[0] <= low + slack
    assert rungs[-1] >= high - slack
    assert 2 <= len(rungs) <= 7
    assert not whole or all(rung == int(rung) for rung in rungs)


def test_ticks_are_round():
    assert ticks(0, 93) == [0, 20, 40, 60, 80, 100]
    assert ticks(0, 2, whole=True) == [0, 1, 2]
    assert ticks(0, 23, every=6) == [0, 6, 12, 18, 24]


def test_tick_labels_have_the_decimals_of_their_step():
    assert tick_labels([0, 0.5, 1]) == ["0.0", "0.5", "1.0"]
    assert tick_labels([0, 2000, 4000]) == ["0", "2,000", "4,000"]
    assert tick_labels([0, 0.005, 0.01], share=True) == [f"0.0{THIN}%", f"0.5{THIN}%", f"1.0{THIN}%"]
