"""CQL2 filters (OGC 21-065): parsed by the `cql2` library, then pushed down to columns of the catalog.

parse       CQL2 text or JSON to a filter tree
pushdown    filter tree to column predicates and a residual
queryables  properties that a filter can name
"""

from revisit.stac.cql2.parse import MAX_TEXT, parse_cql2_json, parse_cql2_text
from revisit.stac.cql2.pushdown import Pushdown, push_down
from revisit.stac.cql2.queryables import PROPERTIES, Property

__all__ = [
    "MAX_TEXT",
    "PROPERTIES",
    "Property",
    "Pushdown",
    "parse_cql2_json",
    "parse_cql2_text",
    "push_down",
]
