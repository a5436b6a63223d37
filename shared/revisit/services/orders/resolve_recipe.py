"""Recipes built from the names that users write, and resolved to the index table's own names."""

from collections import Counter
from typing import TYPE_CHECKING

from revisit.domain.recipe import Recipe
from revisit.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from revisit.pixels.indices import Index

DEFAULT_INDICES = ("NDVI",)
MAX_FORMULAS = 20
"""Formulas of the user's own in a recipe."""


def build_recipe(
    indices: tuple[str, ...] = (),
    bands: tuple[str, ...] = (),
    resolution_m: float | None = None,
    resampling: str = "bilinear",
) -> Recipe:
    """The recipe of the names given, NDVI where there are none; index names are not resolved yet.

    Raises:
        InvalidInputError: A band does not exist, or another value is out of range.
    """
    return Recipe(bands, indices if indices or bands else DEFAULT_INDICES, resolution_m, resampling)


def resolve_recipe(recipe: Recipe) -> Recipe:
    """The recipe under the table's own index names, so that an alias makes no second job.

    Raises:
        InvalidInputError: An index does not exist, with similar names; or a formula of the user's own is
            wrong, with the position; or two have one name.
    """
    from revisit.pixels.indices import resolve

    resolved = recipe.with_indices(tuple(dict.fromkeys(resolve(name) for name in recipe.indices)))
    own = [name for name, each in zip(resolved.index_names, resolved.indices, strict=True) if "=" in each]
    if len(own) > MAX_FORMULAS:
        raise InvalidInputError(f"a recipe has at most {MAX_FORMULAS} formulas of its own, not {len(own)}")
    name, count = Counter(map(str.lower, own)).most_common(1)[0] if own else ("", 0)
    if count > 1:
        raise InvalidInputError(f"{count} formulas are named {name!r}; give each a name of its own")
    return resolved


def find_index(name: str) -> "Index":
    """The index of a name or alias.

    Raises:
        NotFoundError: There is none; the message suggests similar names.
    """
    from revisit.pixels.indices import index

    try:
        return index(name)
    except InvalidInputError as error:
        raise NotFoundError(str(error)) from None


def read_formula(text: str) -> "Index":
    """The index that "name=formula" defines.

    Raises:
        InvalidInputError: The formula or its name is wrong; with the position of the fault.
    """
    from revisit.pixels.indices import index, resolve

    if "=" not in text:
        raise InvalidInputError(f"{text[:60]!r} has no name; write it as in ratio=B08/B04")
    return index(resolve(text))
