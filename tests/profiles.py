"""Hypothesis profiles: how many examples a property is tried with.

`ci`, the default, caps every property at 50 examples; `thorough` (`make test-thorough`) runs the full number.
"""

import os

from hypothesis import settings

CI_EXAMPLES = 50
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def load() -> None:
    """Load the profile that HYPOTHESIS_PROFILE names."""
    settings.register_profile("ci", max_examples=CI_EXAMPLES)
    settings.register_profile("thorough", max_examples=300)
    settings.load_profile("thorough" if THOROUGH else "ci")


def examples(count: int) -> int:
    """The examples of one property in this profile.

    Args:
        count: How many a thorough run tries.
    """
    return count if THOROUGH else min(count, CI_EXAMPLES)
