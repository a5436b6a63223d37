"""What an order would take, said before anything runs; nothing is written."""

from dataclasses import replace

from revisit.backend import Backend
from revisit.commands.choosing import Wish, choose
from revisit.commands.ordering import deployed
from revisit.commands.quotas import refusal
from revisit.estimate import Estimate, estimate, too_many_pixels


def foresee(backend: Backend, wish: Wish) -> Estimate:
    """The estimate of a wish, and why it would be refused if it would.

    Raises:
        BadInput: What is asked makes no sense, as `fulfil` would say; what of a day's or of the running orders is not left is told in `refused`.
        Retry: The source does not answer.
    """
    choice = choose(backend, wish)
    geometry, recipe = choice.wish.place.geometry, choice.wish.recipe
    expected = estimate(choice.products, choice.known, geometry, recipe, deployed(backend))
    refused = too_many_pixels(choice.products, geometry, recipe) or refusal(backend, wish.owner, expected.jobs)
    return replace(expected, refused=refused or None)
