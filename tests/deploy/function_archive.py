"""What is deployed of a function, built from the very list of files that Terraform vendors."""

import json
import zipfile
from pathlib import Path

from import_graph import ROOT, SHARED

PATTERN_FILE = ROOT / "terraform" / "archive.json"


def vendored_files() -> set[str]:
    """Files of shared/ that every function is given, by the patterns of `terraform/archive.json`."""
    patterns = json.loads(PATTERN_FILE.read_text())
    return _match_files(patterns["include"]) - _match_files(patterns["exclude"])


def _match_files(patterns: list[str]) -> set[str]:
    # Terraform's ** stands for files too at the end of a pattern, Python's for folders.
    found = (
        path
        for pattern in patterns
        for path in SHARED.glob(pattern + "/*" if pattern.endswith("**") else pattern)
    )
    return {str(path.relative_to(SHARED)) for path in found if path.is_file()}


def build(function: str, file: Path) -> None:
    """The archive of one function."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("main.py", "requirements.txt"):
            archive.write(ROOT / "functions" / function / name, name)
        for name in sorted(vendored_files()):
            archive.write(SHARED / name, name)


def unpack(file: Path, folder: Path) -> None:
    """What the platform does with an archive."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
