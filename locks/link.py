"""Point the editable install at `shared/` by a path relative to site-packages.

Setuptools writes the absolute path in the locale's encoding, and Python reads it in that of the locale it
runs in: with LC_ALL=C a folder whose name holds an umlaut would not be found.
"""

import os
import sysconfig
from pathlib import Path


def main() -> None:
    """Rewrite the one `.pth` file of the install."""
    site = Path(sysconfig.get_path("purelib"))
    shared = Path(__file__).resolve().parent.parent / "shared"
    [link] = site.glob("__editable__.revisit-*.pth")
    link.write_text(os.path.relpath(shared, site.resolve()) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
