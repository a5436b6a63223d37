"""A filter as a tree of tests. Negation stands at the tests only: De Morgan's rules hold for what is unknown
too (SQL's null)."""

from dataclasses import dataclass
from typing import Any, Literal

from revisit.domain.product_filter import ComparisonOperator
from revisit.stac.cql2.queryables import Property

type Relation = Literal[
    "s_contains", "s_crosses", "s_disjoint", "s_equals", "s_intersects", "s_overlaps", "s_touches", "s_within"
]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A property compared with a value: neither it nor its opposite holds of what has no such property."""

    property: Property
    sign: ComparisonOperator
    value: Any


@dataclass(frozen=True, slots=True)
class InList:
    """A property is one of the values, or none of them."""

    property: Property
    values: tuple[Any, ...]
    among: bool = True


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """A text fits the pattern, or does not; in it None stands for one sign and an empty text for any."""

    property: Property
    pattern: tuple[str | None, ...]
    fit: bool = True


@dataclass(frozen=True, slots=True)
class IsNull:
    """There is no such property, or there is."""

    property: Property
    missing: bool = True


@dataclass(frozen=True, slots=True)
class SpatialPredicate:
    """The item's geometry is so related to a shapely geometry, or is not."""

    relation: Relation
    shape: Any
    holds: bool = True
    swapped: bool = False
    """Whether the shape stands first: it contains, or lies within, the geometry."""


@dataclass(frozen=True, slots=True)
class Constant:
    """True or false whatever the item."""

    holds: bool


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    parts: "tuple[Filter, ...]"


type Filter = Comparison | InList | PatternMatch | IsNull | SpatialPredicate | Constant | And | Or
