"""Commands `revisit subscribe` and `revisit subscriptions preview`."""

from typing import TYPE_CHECKING, Annotated

import typer

from revisit.cli import alerts
from revisit.cli.console import print_json, print_message, print_table, show_status
from revisit.cli.options import (
    AlertMinCoverage,
    Aoi,
    Bands,
    Data,
    Index,
    Json,
    LevelName,
    MaxCloud,
    MinClear,
    MinClearOf,
    Project,
    Repair,
    data_folder,
    open_backend,
    parse_start,
    project_of,
    read_aoi,
    read_clear_base,
    read_level,
    read_recipe,
)

if TYPE_CHECKING:
    from pathlib import Path


def subscribe(
    aoi: Aoi,
    name: Annotated[str, typer.Option("--name", help="Name.", metavar="T", show_default=False)],
    index: Index = "",
    bands: Bands = "",
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    min_clear_of: MinClearOf = "",
    min_coverage: AlertMinCoverage = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option("--webhook", help="Post signed alerts to this URL; repeatable.", metavar="URL"),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Append alerts to this file in the data folder.", metavar="NAME"),
    ] = None,
    backfill: Annotated[
        str,
        typer.Option(
            "--backfill", help="Also process acquisitions since this day.", metavar="DATE", show_default=False
        ),
    ] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Watch an area: create a subscription."""
    from msgspec import UNSET

    from revisit.domain.subscription import Channel
    from revisit.presenters import documents
    from revisit.services.subscriptions.create import create_subscription
    from revisit.services.subscriptions.update import webhook_secrets

    channels = [Channel("webhook", url) for url in webhook or ()]
    channels += [Channel("file", path) for path in file or ()]
    area, recipe = read_aoi(aoi, repair), read_recipe(index, bands)
    backend = open_backend(data, project)
    with show_status("Subscribing"):
        created = create_subscription(
            backend,
            area,
            name,
            recipe,
            read_level(level) or "L2A",
            max_cloud,
            min_clear,
            channels,
            parse_start(backfill),
            min_coverage=UNSET if min_coverage is None else min_coverage,
            min_clear_of=read_clear_base(min_clear_of) or UNSET,
        )
    secrets = webhook_secrets(backend, created)
    if json:
        print_json(documents.subscription(created, secrets))
    else:
        print(created.id)
        alerts.print_new_secrets({channel.id: channel.target for channel in created.channels}, secrets)
    if project_of(data, project) is None:
        _print_server_hint(data)


def _print_server_hint(data: "Path | None") -> None:
    from revisit.embedded.lock import server_url

    if server_url(data_folder(data)) is None:
        print_message(
            "no server is running for this data folder; start `revisit serve` to process new products"
        )


def preview(
    aoi: Aoi,
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    min_clear_of: MinClearOf = "",
    min_coverage: AlertMinCoverage = None,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            help="First day of the preview; default: a year ago.",
            metavar="DATE",
            show_default=False,
        ),
    ] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Show how many alerts a subscription would have made, from the catalog."""
    from msgspec import UNSET

    from revisit.domain.recipe import Recipe
    from revisit.domain.subscription import Subscription
    from revisit.presenters import documents
    from revisit.services.subscriptions.create import new_limits
    from revisit.services.subscriptions.preview import preview_subscription

    backend = open_backend(data, project)
    draft = Subscription(
        "",
        "preview",
        {},
        (),
        Recipe(indices=("NDVI",)),
        backend.now(),
        level=read_level(level) or "L2A",
        max_cloud=max_cloud,
        **new_limits(
            min_clear,
            UNSET if min_coverage is None else min_coverage,
            read_clear_base(min_clear_of) or UNSET,
        ),
    )
    result = preview_subscription(backend, read_aoi(aoi, repair), draft, parse_start(since))
    if json:
        print_json(documents.subscription_preview(result))
        return
    print_table(("MONTH", "ALERTS", "ACQUISITIONS"), result.monthly_counts, ("ALERTS", "ACQUISITIONS"))
    print_message(f"{result.headline}: {result.note}")
    print_message(
        f"{len(result.acquisitions):,} acquisitions are known: {len(result.too_cloudy):,} are too cloudy, "
        f"and of {len(result.too_little_seen):,} the footprint covers too little of the area"
    )
