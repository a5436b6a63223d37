"""Links of static STAC catalogs to items that a watched folder does not hold."""

import os
import re
from pathlib import Path

from revisit.adapters.sources import item_file, metadata_file

_SENTINEL_2 = re.compile(r"sentinel[-_ ]?s?2|(?<![A-Za-z0-9])S2[A-Z]_(MSI|\d{1,2}[A-Z]{3}_)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def reason_unread(file: Path, root: Path) -> str | None:
    """Why items that a catalog or collection of Sentinel-2 links to are not read; None if all are.

    The folder is walked, so that links to files in it need not be followed.

    Args:
        file: JSON file, which may be something else.
        root: The watched folder.

    Raises:
        PermanentError: It is not JSON.
    """
    if not file.name.lower().endswith((".json", ".json.gz")):
        return None
    document = metadata_file.read_json(file)
    if not isinstance(document, dict) or document.get("type") not in ("Catalog", "Collection"):
        return None
    links = document.get("links")
    hrefs = [
        href
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, dict) and link.get("rel") in ("item", "items", "child")
        if isinstance(href := link.get("href"), str)
    ]
    elsewhere = [href for href in hrefs if not _is_read(href, file.parent, root)]
    if not elsewhere or not _SENTINEL_2.search(" ".join([str(document.get("id")), *elsewhere])):
        return None
    named = f"{elsewhere[0][:200]!r}" + (f" and {len(elsewhere) - 1:,} more" if len(elsewhere) > 1 else "")
    return (
        f"it links to items that are not in this folder: {named}; copy them below it, or name a STAC API "
        "as the source (stac:URL#collection)"
    )


def _is_read(href: str, folder: Path, root: Path) -> bool:
    """Whether a link leads to a file of items, or to a folder, below the watched folder."""
    if _SCHEME.match(href):
        return False
    try:
        target = Path(os.path.realpath(folder / href))
        is_there = target.is_dir() or (target.is_file() and target.name.lower().endswith(item_file.SUFFIXES))
    except (OSError, ValueError):
        return False
    return is_there and target.is_relative_to(root)
