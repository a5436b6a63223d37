"""CQL2 filters (OGC 21-065): read by the library `cql2`, judged exactly, and narrowed to a condition on the
catalog's columns.

reading     text or JSON to a tree of tests
judging     what a tree says of one item
narrowing   what the columns of every product that it says yes to hold
"""

from revisit.stac.cql2.ast import Filter
from revisit.stac.cql2.evaluate import evaluate
from revisit.stac.cql2.parse import MAX_TEXT, parse_cql2_json, parse_cql2_text
from revisit.stac.cql2.pushdown import pushdown_condition
from revisit.stac.cql2.queryables import PROPERTIES, Property

__all__ = [
    "MAX_TEXT",
    "PROPERTIES",
    "Filter",
    "Property",
    "evaluate",
    "parse_cql2_json",
    "parse_cql2_text",
    "pushdown_condition",
]
