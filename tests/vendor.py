"""`make vendor`: download of the page's libraries as in locks/vendor.json, with their checksums.

Each is the package's own built file, unchanged. `npm pack` holds a package against the registry's checksum
and runs no script of it.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "web" / "vendor"
LIST = "checksums.txt"


def checksums(folder: Path) -> str:
    """A line for each file, as `sha256sum` writes and checks them."""
    files = sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != LIST
    )
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in files)


def main() -> int:
    """Write web/vendor/ from scratch."""
    npm = shutil.which("npm")
    if npm is None:
        print("npm is missing: install Node.js, whose npm fetches the page's libraries")
        return 2
    wanted = json.loads((ROOT / "locks" / "vendor.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "vendor"
        for one in wanted:
            name = f"{one['package']}@{one['version']}"
            package, target = _fetch(npm, name, Path(folder)), made / name.replace("@", "-")
            target.mkdir(parents=True)
            for file in one["files"]:
                shutil.copyfile(package / file, target / Path(file).name)
            licences = [(package / one["licence"]).read_text()]
            for within, licence in one.get("holds", {}).items():
                licences.append(
                    f"{within.partition('@')[0]}, which it "
                    f"holds:\n\n{(_fetch(npm, within, Path(folder)) / licence).read_text()}"
                )
            (target / "LICENSE.txt").write_text("\n----\n\n".join(licences))
        (made / LIST).write_text(checksums(made))
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.copytree(made, VENDOR)
    return 0


def _fetch(npm: str, name: str, folder: Path) -> Path:
    """A package, unpacked below a folder."""
    if not (folder / name).exists():
        packed = subprocess.run(
            [npm, "pack", "--ignore-scripts", "--silent", name],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            archive.extractall(folder / name, filter="data")
    return folder / name / "package"


if __name__ == "__main__":
    sys.exit(main())
