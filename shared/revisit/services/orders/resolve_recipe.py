"""Recipes as users write them, at the door."""

from revisit.domain.recipe import Recipe


def resolve_recipe(recipe: Recipe) -> Recipe:
    """The same recipe under the table's own index names, so that aliases and spellings make no second job.

    Raises:
        InvalidInputError: There is no such index; the sentence names those that are spelt alike.
    """
    from revisit.pixels.indices import resolve

    return recipe.with_indices(tuple(dict.fromkeys(resolve(name) for name in recipe.indices)))


def build_recipe(
    indices: tuple[str, ...] = (),
    bands: tuple[str, ...] = (),
    resolution_m: float | None = None,
    resampling: str = "bilinear",
) -> Recipe:
    """The recipe of the index and band names given; NDVI where there are none.

    Raises:
        InvalidInputError: A name is unknown.
    """
    from revisit.pixels.indices import resolve

    names = indices if indices or bands else ("NDVI",)
    return Recipe(bands, tuple(dict.fromkeys(resolve(name) for name in names)), resolution_m, resampling)
