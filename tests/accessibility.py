"""Accessibility rules in the browser: axe sees each element once for all that changes its result."""

from functools import cache
from pathlib import Path
from typing import Any

COLOUR_RULES = ("color-contrast", "link-in-text-block")
"""The rules whose result depends on the colour scheme; by far the slowest ones too."""
ALIKE = 3
"""Elements of one style that are judged, since axe passes over one that is covered or scrolled away."""
SEEN_STYLES: set[str] = set()
"""Styles (colours, font, and what stands behind) that passed the rules of colours in this process."""


@cache
def script() -> str:
    """The checker axe, to be run in the page before `violations`."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def violations(page: Any) -> list[tuple[str, str, list[str]]]:
    """What the rules find on the page in light and dark, each as (scheme, rule, elements).

    All rules but those of colours judge every element once: their result does not depend on the scheme. They
    judge the page from its top, where the head that stays in sight covers no target. The rules of colours
    judge some elements of each style that no page had before, in both schemes: elements that share colours,
    font and all that stands behind them share the result.
    """
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found = [("any", *one) for one in _judge(page, "judgeStructure", list(COLOUR_RULES))]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        judged = _judge(page, "judgeColours", [list(COLOUR_RULES), sorted(SEEN_STYLES), ALIKE])
        SEEN_STYLES.update(judged["passed"])
        found += [(scheme, *one) for one in judged["found"]]
    return found


def _judge(page: Any, method: str, argument: Any) -> Any:
    return page.evaluate(f"(argument) => {_judges()}.{method}(argument)", argument)


@cache
def _judges() -> str:
    text = Path(__file__).with_suffix(".js").read_text()
    return text[text.index("({") :].strip().removesuffix(";")
