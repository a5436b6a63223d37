"""Hypothesis profiles: how many examples a property is tried with.

`ci`, the default, caps every property at 50 examples; `thorough` (`make test-thorough`) runs the full number.
"""

import os

from hypothesis import HealthCheck, settings

CI_EXAMPLES = 50
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def load() -> None:
    """Load the profile that HYPOTHESIS_PROFILE names."""
    # On a busy machine the first example pays for imports: no test fails over time alone.
    slow = [HealthCheck.too_slow]
    settings.register_profile("ci", max_examples=CI_EXAMPLES, suppress_health_check=slow, deadline=None)
    settings.register_profile("thorough", max_examples=300, suppress_health_check=slow, deadline=None)
    settings.load_profile("thorough" if THOROUGH else "ci")


def examples(count: int) -> int:
    """The examples of one property in this profile.

    Args:
        count: How many a thorough run tries.
    """
    return count if THOROUGH else min(count, CI_EXAMPLES)
