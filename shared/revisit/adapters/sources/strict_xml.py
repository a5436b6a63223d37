"""Parser for untrusted XML: no entities, no document type, bounded in size and depth."""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from revisit.errors import PermanentError

MAX_BYTES = 20_000_000
MAX_DEPTH = 64


def parse(content: bytes, name: str) -> Element:
    """The root element.

    Args:
        content: XML.
        name: Name of the file, for messages.

    Raises:
        PermanentError: It is not XML, or is larger or deeper than metadata of a product.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if len(content) > MAX_BYTES:
        raise PermanentError(f"{name} has {len(content):,} bytes, more than {MAX_BYTES:,}")
    parser = DefusedXMLParser(target=_DepthLimitedBuilder(name), forbid_dtd=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DefusedXmlException as refused:
        raise PermanentError(
            f"{name} declares a document type or entities, which are refused: {type(refused).__name__}"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise PermanentError(f"{name} is not XML: {error}") from None
    return root


def find_text(root: Element, tag: str) -> str | None:
    """The stripped text of the first element `tag` below `root`; None if there is none."""
    found = next(root.iter(tag), None)
    return found.text.strip() if found is not None and found.text else None


class _DepthLimitedBuilder(TreeBuilder):
    """Refuses elements nested deeper than `MAX_DEPTH`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PermanentError(f"{self._name} is nested deeper than {MAX_DEPTH} elements")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)
