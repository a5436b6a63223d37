"""Check of the geometries in CQL2 text, for whose faults the `cql2` library has no class of error."""

import re

from revisit.errors import InvalidGeometryError

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_LITERAL = re.compile(
    r"\b(?P<kind>(?:MULTI)?(?:POINT|LINESTRING|POLYGON)|GEOMETRYCOLLECTION)\s*(?P<heights>ZM|Z|M)?\s*"
    r"(?P<body>EMPTY\b|\([^A-Z]*)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
_POSITIONS = re.compile(r"\(([^()]*)\)")


def require_positions(text: str) -> None:
    """Refuse geometries without positions, and positions that are not as many numbers as their kind has.

    Raises:
        InvalidGeometryError: One is; the message names its kind.
    """
    for literal in _LITERAL.finditer(_QUOTED.sub(" ", text)):
        kind, heights = literal["kind"].upper(), (literal["heights"] or "").upper()
        if literal["body"].upper() == "EMPTY":
            raise InvalidGeometryError(f"a {kind} of the filter is empty; leave it out")
        groups = _POSITIONS.findall(_balanced(literal["body"]))
        positions = [position.split() for group in groups for position in group.split(",")]
        numbers = 2 + len(heights)
        if not heights and positions:
            numbers = min(max(len(positions[0]), 2), 4)
        for position in positions:
            if len(position) != numbers or not all(map(_NUMBER.fullmatch, position)):
                raise InvalidGeometryError(
                    f"a {kind} of the filter has the position ({' '.join(position)[:60]}), which is not "
                    f"{numbers} numbers"
                )
        if (
            kind == "MULTIPOINT"
            and "((" in "".join(literal["body"].split())
            and any("," in each for each in groups)
        ):
            raise InvalidGeometryError("a MULTIPOINT of the filter has two positions in one pair of brackets")


def _balanced(text: str) -> str:
    """The start of a text up to the bracket that closes its first one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[: place + 1]
    return text
