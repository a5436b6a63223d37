"""Options that several commands share, and what they are read into."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from revisit.domain.aoi import AOI
    from revisit.domain.product import Level
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
        help="Google Cloud project whose deployment is meant; else REVISIT_PROJECT, where no data folder is named.",
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
        help="GeoJSON (or WKT) file of the area of interest; - reads standard input.",
        metavar="FILE",
        show_default=False,
    ),
]
Repair = Annotated[
    bool,
    typer.Option(
        "--repair", help="Mend an area that crosses itself or leaves the map instead of refusing it."
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
        help="Spectral indices, separated by commas; NDVI where neither index nor band is named.",
        metavar="A,B",
        show_default=False,
    ),
]
Bands = Annotated[
    str,
    typer.Option(
        "--bands",
        help="Bands to deliver as they are, separated by commas.",
        metavar="A,B",
        show_default=False,
    ),
]
MaxCloud = Annotated[
    float | None,
    typer.Option(
        "--max-cloud",
        help="Percent of cloud over the whole product at most.",
        metavar="P",
        show_default=False,
    ),
]
MinClear = Annotated[
    float | None,
    typer.Option(
        "--min-clear",
        help="Percent of the area's valid pixels that must be clear.",
        metavar="P",
        show_default=False,
    ),
]
SubscriptionId = Annotated[
    str, typer.Argument(help="Id of the subscription, or its name.", metavar="SUBSCRIPTION")
]
LevelName = Annotated[str, typer.Option("--level", help="L1C or L2A.", metavar="L", show_default=False)]


def data_folder(data: Path | None) -> Path:
    """The data folder: as the option says, else REVISIT_DATA, else the user's own place for data (XDG base
    directories)."""
    named = data or os.environ.get("REVISIT_DATA")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "revisit"


def project_of(data: Path | None, project: str | None) -> str | None:
    """The Google Cloud project whose deployment is meant, None where a data folder is: an option goes before
    the environment.

    Raises:
        InvalidInputError: Both are meant.
    """
    if data is not None and project is not None:
        raise InvalidInputError(
            "--data names a folder of this computer and --project a deployment; give the one that is meant"
        )
    if data is not None or project is not None:
        return project
    named = os.environ.get("REVISIT_PROJECT")
    if os.environ.get("REVISIT_DATA"):
        if named:
            raise InvalidInputError(
                "both REVISIT_DATA and REVISIT_PROJECT are set; unset the one that is not meant, or say --data or --project"
            )
        return None
    if named is None:
        _reject_emulators()
    return named


def _reject_emulators() -> None:
    """Whoever starts an emulator means a deployment; without its project what they ask for would go to their
    own data folder."""
    from revisit.adapters.gcp.settings import EMULATOR_VARIABLES

    if emulator := next((name for name in EMULATOR_VARIABLES if os.environ.get(name)), None):
        raise InvalidInputError(
            f"{emulator} names an emulator but REVISIT_PROJECT is not set: set it to the id of a project, or name a data folder with --data"
        )


def open_backend(data: Path | None, project: str | None = None) -> "Backend":
    """The backend of the deployment that is meant, else of the data folder, which is made where it is
    missing."""
    deployed = project_of(data, project)
    if deployed is None:
        from revisit.adapters.local.backend import local_backend

        return local_backend(data_folder(data))
    from revisit.adapters.gcp.backend import gcp_backend
    from revisit.adapters.gcp.settings import read_settings

    return gcp_backend(read_settings({**os.environ, "REVISIT_PROJECT": deployed}))


def local_data_folder(data: Path | None, command: str) -> Path:
    """The data folder, for what a deployment does by itself.

    Raises:
        InvalidInputError: A deployment is meant.
    """
    if project_of(data, None) is not None:
        raise InvalidInputError(
            f"`revisit {command}` works on this computer, and REVISIT_PROJECT names a deployment, which runs by itself; "
            "name a data folder with --data"
        )
    return data_folder(data)


def url_builder(backend: "Backend") -> "UrlBuilder":
    """Files on this computer."""
    from revisit.domain.job import Job
    from revisit.presenters.documents import UrlBuilder

    def item(job: Job) -> str | None:
        kept = job.asset("item")
        return backend.assets.locate(kept.path) if kept else None

    return UrlBuilder(item, lambda _, asset: backend.assets.locate(asset.path))


def read_aoi(file: str, repair: bool = False) -> "AOI":
    """The area in a GeoJSON file.

    Raises:
        InvalidInputError: The file cannot be read, or does not hold an area.
    """
    from revisit.domain.aoi import AOI
    from revisit.geo.geojson import MAX_BYTES
    from revisit.services.accounts.limits import limits_of

    try:
        with sys.stdin.buffer if file == "-" else Path(file).expanduser().open("rb") as stream:
            document = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(
            f"the AOI {file!r} cannot be read ({error.strerror}); name a GeoJSON file"
        ) from None
    return (AOI.parse_repaired if repair else AOI.parse)(document, limits_of("local").area_km2)


def split_names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_recipe(index: str, bands: str) -> "Recipe":
    """The recipe of --index and --bands."""
    from revisit.services.orders.resolve_recipe import build_recipe

    return build_recipe(split_names(index), split_names(bands))


def parse_start(text: str) -> datetime | None:
    """The beginning of a period."""
    from revisit.domain.clock import parse_instant

    return parse_instant(text) if text else None


def parse_end(text: str) -> datetime | None:
    """The end of a period; a day is meant whole."""
    from revisit.domain.clock import parse_end_instant

    return parse_end_instant(text) if text else None


def read_level(text: str) -> "Level | None":
    """A level, in capitals or not."""
    from revisit.domain.product import LEVELS

    if text and text.upper() not in LEVELS:
        raise InvalidInputError(f"level {text!r} does not exist; choose {' or '.join(LEVELS)}")
    return cast("Level | None", text.upper() or None)
