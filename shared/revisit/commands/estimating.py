"""What an order would take, said before anything runs; nothing is written."""

from dataclasses import replace

from revisit.backend import Backend
from revisit.commands.choosing import Wish, choose
from revisit.commands.limits import limits_of
from revisit.commands.ordering import deployed
from revisit.commands.quotas import used
from revisit.estimate import Estimate, estimate, too_many_pixels


def foresee(backend: Backend, wish: Wish) -> Estimate:
    """The estimate of a wish, and why it would be refused if it would.

    Raises:
        BadInput: What is asked makes no sense, as `fulfil` would say; more than the plan allows is told in `refused`.
        Retry: The source does not answer.
    """
    limits = limits_of(wish.owner)
    choice = choose(backend, wish)
    geometry, recipe = choice.wish.place.geometry, choice.wish.recipe
    expected = estimate(choice.products, choice.known, geometry, recipe, deployed(backend))
    refused = too_many_pixels(choice.products, geometry, recipe)
    if not refused and limits.jobs_a_day is not None:
        taken = used(backend, wish.owner)["jobs_a_day"]
        if taken + expected.jobs > limits.jobs_a_day:
            refused = (f"this would be {expected.jobs:,} acquisitions with {taken:,} of today's {limits.jobs_a_day:,} used; shorten the period, "
                       "or go on after midnight UTC")
    return replace(expected, refused=refused or None)


