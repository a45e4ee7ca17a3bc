"""Numbers as people read them, and round numbers for axes."""

import math
from collections.abc import Sequence

SPACE = "\u202f"  # narrow, and no line breaks there
NOTHING = "–"
MINUS = "\u2212"  # as wide as a plus


class Share(float):
    """A number in [0, 1] that is written as a percentage."""


class Score(float):
    """A metric, written with four decimals."""


def figure(value: object) -> str:
    """Any value as text: thousands grouped, four significant digits, shares in per cent, a dash for what is missing."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case float() if not math.isfinite(value):
            return NOTHING
        case Share():
            return f"{value * 100:.1f}{SPACE}%".replace("-", MINUS)
        case Score():
            return f"{value:.4f}".replace("-", MINUS)
        case int() | float():
            return f"{value:,.{'0f' if abs(value) >= 1e4 or value == int(value) else '4g'}}".replace("-", MINUS)
        case list() | tuple():
            return "; ".join(map(figure, value)) or NOTHING
        case _:
            return str(value)


def ticks(low: float, high: float, *, whole: bool = False, every: float | None = None) -> list[float]:
    """Equally spaced round numbers that enclose [low, high], with at most six steps between them.

    Their distance is 1, 2 or 5 times a power of ten, at least 1 with `whole`; or else it is `every`, however many.
    A range too narrow for the numbers in it is widened.
    """
    high = high if high - low > max(1e-9 * abs(low), 1e-9 * abs(high), 1e-15) else low + max(1.0, abs(low))
    step = every or _round_up((high - low) / 5)
    step = max(step, 1) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def tick_labels(values: Sequence[float], share: bool = False) -> list[str]:
    """One text per tick, all with as many decimals as their step needs."""
    scaled = [value * 100 for value in values] if share else list(values)
    step = scaled[1] - scaled[0] if len(scaled) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(abs(step)) + 1e-9)) if step else 0
    form = f",.{decimals}f" if decimals <= 4 else ".3g"
    return [f"{value:{form}}{SPACE + '%' if share else ''}".replace("-", MINUS) for value in scaled]


def _round_up(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if step <= factor * power * (1 + 1e-9))
