"""Recipes built from the names that users write, and resolved to the index table's own names."""

from revisit.domain.recipe import Recipe

DEFAULT_INDICES = ("NDVI",)


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
        InvalidInputError: An index does not exist; the message suggests similar names.
    """
    from revisit.pixels.indices import resolve

    return recipe.with_indices(tuple(dict.fromkeys(resolve(name) for name in recipe.indices)))
