"""Options that several commands share, and the functions that read them."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from revisit.domain.aoi import AOI
    from revisit.domain.job import ClearBase
    from revisit.domain.product import Level, LevelChoice
    from revisit.domain.recipe import Recipe
    from revisit.ports.backend import Backend
    from revisit.presenters.documents import UrlBuilder

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Data folder; else REVISIT_DATA, else ~/.local/share/revisit.",
        metavar="DIR",
        show_default=False,
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        help="Google Cloud project of a deployment; else REVISIT_PROJECT, unless a data folder is given.",
        metavar="ID",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Aoi = Annotated[
    str,
    typer.Option(
        "--aoi",
        help="Area of interest: a GeoJSON or WKT file; - reads standard input.",
        metavar="FILE",
        show_default=False,
    ),
]
Repair = Annotated[
    bool,
    typer.Option(
        "--repair", help="Fix an area that crosses itself or leaves the map, instead of rejecting it."
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from", help="First day or instant, such as 2024-06-01.", metavar="DATE", show_default=False
    ),
]
To = Annotated[str, typer.Option("--to", help="Last day or instant.", metavar="DATE", show_default=False)]
Index = Annotated[
    str,
    typer.Option(
        "--index",
        help=(
            "Spectral indices (see `revisit indices`) and own formulas such as 'wet=(B8A-B11)/(B8A+B11)', "
            "comma-separated; NDVI if neither indices nor bands are given."
        ),
        metavar="A,B",
        show_default=False,
    ),
]
Bands = Annotated[
    str,
    typer.Option(
        "--bands",
        help="Bands to deliver as reflectance, comma-separated.",
        metavar="A,B",
        show_default=False,
    ),
]
MaxCloud = Annotated[
    float | None,
    typer.Option(
        "--max-cloud",
        help="Maximum scene cloud cover, percent.",
        metavar="P",
        show_default=False,
    ),
]
MinClear = Annotated[
    float | None,
    typer.Option(
        "--min-clear",
        help="Minimum clear share, percent, of what --min-clear-of says.",
        metavar="P",
        show_default=False,
    ),
]
MinClearOf = Annotated[
    str,
    typer.Option(
        "--min-clear-of",
        help="Whether --min-clear is of the whole area (aoi, the default) or of its seen part (seen).",
        metavar="aoi|seen",
        show_default=False,
    ),
]
MinCoverage = Annotated[
    float | None,
    typer.Option(
        "--min-coverage",
        help="Minimum share of the area that was seen, percent; default: any.",
        metavar="P",
        show_default=False,
    ),
]
AlertMinCoverage = Annotated[
    float | None,
    typer.Option(
        "--min-coverage",
        help="Minimum share of the area that was seen, percent; default 50, 0 accepts any.",
        metavar="P",
        show_default=False,
    ),
]
SubscriptionId = Annotated[
    str, typer.Argument(help="Id or name of the subscription.", metavar="SUBSCRIPTION")
]
LevelName = Annotated[str, typer.Option("--level", help="L1C or L2A.", metavar="L", show_default=False)]
OrderLevel = Annotated[
    str,
    typer.Option(
        "--level",
        help="L1C, L2A, or any: L1C where there is no L2A. Default: L2A, or L1C where no L2A is known.",
        metavar="L",
        show_default=False,
    ),
]


def data_folder(data: Path | None) -> Path:
    """Absolute path of the data folder: the option, else REVISIT_DATA, else revisit/ in the XDG data
    directory."""
    named = data or os.environ.get("REVISIT_DATA")
    if named:
        return Path(named).expanduser().absolute()
    share = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(share).absolute() / "revisit"


def project_of(data: Path | None, project: str | None) -> str | None:
    """The Google Cloud project to use, None to use a data folder; options override the environment.

    Raises:
        InvalidInputError: A project and a data folder are both given.
    """
    if data is not None and project is not None:
        raise InvalidInputError("use either --data (a folder on this computer) or --project (a deployment)")
    if data is not None or project is not None:
        return project
    named = os.environ.get("REVISIT_PROJECT")
    if os.environ.get("REVISIT_DATA"):
        if named:
            raise InvalidInputError(
                "REVISIT_DATA and REVISIT_PROJECT are both set; unset one, or give --data or --project"
            )
        return None
    if named is None:
        _reject_emulators()
    return named


def _reject_emulators() -> None:
    """Reject an emulator without a project: the command would silently use the local data folder.

    Raises:
        InvalidInputError: An emulator's variable is set, and neither a project nor a data folder is.
    """
    from revisit.adapters.gcp.settings import EMULATOR_VARIABLES

    if emulator := next((name for name in EMULATOR_VARIABLES if os.environ.get(name)), None):
        raise InvalidInputError(
            f"{emulator} is set but REVISIT_PROJECT is not; "
            "set it to a project id, or give a data folder with --data"
        )


def open_backend(data: Path | None, project: str | None = None) -> "Backend":
    """The backend of the deployment or of the data folder, which is created if it does not exist."""
    project_id = project_of(data, project)
    if project_id is None:
        from revisit.adapters.local.backend import local_backend

        return local_backend(data_folder(data))
    from revisit.adapters.gcp.backend import gcp_backend
    from revisit.adapters.gcp.settings import read_settings

    return gcp_backend(read_settings({**os.environ, "REVISIT_PROJECT": project_id}))


def local_data_folder(data: Path | None, command: str) -> Path:
    """The data folder, for commands that a deployment does not need.

    Raises:
        InvalidInputError: REVISIT_PROJECT selects a deployment.
    """
    if project_of(data, None) is not None:
        raise InvalidInputError(
            f"`revisit {command}` runs on this computer, but REVISIT_PROJECT selects a deployment; "
            "give a data folder with --data"
        )
    return data_folder(data)


def url_builder(backend: "Backend") -> "UrlBuilder":
    """Links of results as paths or URIs of their files."""
    from revisit.domain.job import Job
    from revisit.presenters.documents import UrlBuilder

    def item(job: Job) -> str | None:
        asset = job.asset("item")
        return backend.assets.locate(asset.path) if asset else None

    return UrlBuilder(item, lambda _, asset: backend.assets.locate(asset.path))


def read_aoi(file: str, repair: bool = False) -> "AOI":
    """The area of interest in a GeoJSON or WKT file.

    Args:
        file: Path, or - for standard input.
        repair: Fix an invalid geometry instead of rejecting it.

    Raises:
        InvalidInputError: The file cannot be read, or holds no area.
    """
    from revisit.domain.aoi import AOI
    from revisit.geo.geojson import MAX_BYTES
    from revisit.services.accounts.limits import limits_of

    try:
        with sys.stdin.buffer if file == "-" else Path(file).expanduser().open("rb") as stream:
            document = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(
            f"the AOI file {file!r} cannot be read ({error.strerror}); give a GeoJSON or WKT file"
        ) from None
    return (AOI.parse_repaired if repair else AOI.parse)(document, limits_of("local").area_km2)


def split_names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def split_indices(text: str) -> tuple[str, ...]:
    """The index names and formulas of a list: commas within parentheses separate nothing."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(part.strip() for part in parts if part.strip())


def read_recipe(index: str, bands: str) -> "Recipe":
    """The recipe given by --index and --bands."""
    from revisit.services.orders.resolve_recipe import build_recipe

    return build_recipe(split_indices(index), split_names(bands))


def parse_start(text: str) -> datetime | None:
    """The start of a date range; None for an empty text."""
    from revisit.domain.clock import parse_instant

    return parse_instant(text) if text else None


def parse_end(text: str) -> datetime | None:
    """The end of a date range, None for an empty text; a day includes its last instant."""
    from revisit.domain.clock import parse_end_instant

    return parse_end_instant(text) if text else None


def read_level(text: str) -> "Level | None":
    """A processing level in upper or lower case; None for an empty text."""
    from revisit.domain.product import LEVELS

    if text and text.upper() not in LEVELS:
        raise InvalidInputError(f"level {text!r} does not exist; choose {' or '.join(LEVELS)}")
    return cast("Level | None", text.upper() or None)


def read_clear_base(text: str) -> "ClearBase | None":
    """What a clear share is a percentage of, in upper or lower case; None for an empty text."""
    from revisit.domain.conditions import CLEAR_BASES

    if text and text.lower() not in CLEAR_BASES:
        raise InvalidInputError(f"--min-clear-of {text!r} does not exist; choose {' or '.join(CLEAR_BASES)}")
    return cast("ClearBase | None", text.lower() or None)


def read_level_choice(text: str) -> "LevelChoice | None":
    """A processing level or "any" in upper or lower case; None for an empty text."""
    return "any" if text.lower() == "any" else read_level(text)


def reject_both(first: str, first_given: bool, second: str, second_given: bool) -> None:
    """Reject two options that exclude each other.

    Raises:
        InvalidInputError: Both are given.
    """
    if first_given and second_given:
        raise InvalidInputError(f"use either {first} or {second}")
