"""A pass as plain JSON values."""

from typing import Any

from revisit.commands import shown
from revisit.passes import Pass


def seen(one: Pass) -> dict[str, Any]:
    """One that is expected, to the second."""
    return {"expected": shown.moment(one.expected.replace(microsecond=0)), "platform": one.platform, "relative_orbit": one.relative_orbit,
            "tiles": list(one.tiles), "learnt_from": one.learnt_from, "last": shown.moment(one.last)}
