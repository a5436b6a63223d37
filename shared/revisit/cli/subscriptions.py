"""`revisit subscribe`, `list_subscriptions` and `alerts`: what is watched, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from revisit.cli import alerts
from revisit.cli.console import (
    format_cell,
    format_minute,
    format_percent,
    print_json,
    print_message,
    print_table,
    show_status,
)
from revisit.cli.options import (
    Aoi,
    Bands,
    Data,
    Index,
    Json,
    LevelName,
    MaxCloud,
    MinClear,
    Project,
    Repair,
    SubscriptionId,
    data_folder,
    open_backend,
    parse_start,
    project_of,
    read_aoi,
    read_level,
    read_recipe,
    split_names,
)
from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

    from msgspec import UnsetType

    from revisit.domain.subscription import Subscription


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(subscribe)
    many = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="List, show, change, pause, resume and delete subscriptions, preview one, and see to what they send.",
    )
    for command, name in (
        (list_, "list"),
        (show, "show"),
        (pause, "pause"),
        (resume, "resume"),
        (delete, "delete"),
        (preview, "preview"),
        (change, "change"),
        (alerts.feed, "feed"),
        (alerts.deliveries, "deliveries"),
        (alerts.redeliver, "redeliver"),
        (alerts.rotate_secret, "rotate-secret"),
    ):
        many.command(name)(command)
    app.add_typer(many, name="subscriptions")
    app.command()(alerts.alerts)


def subscribe(
    aoi: Aoi,
    name: Annotated[str, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)],
    index: Index = "",
    bands: Bands = "",
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option("--webhook", help="Post alerts there, signed; repeat for several.", metavar="URL"),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Append alerts to this file below the data folder.", metavar="NAME"),
    ] = None,
    backfill: Annotated[
        str,
        typer.Option(
            "--backfill", help="Also work the past from this day on.", metavar="DATE", show_default=False
        ),
    ] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Watch an area."""
    from revisit.domain.subscription import Channel
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.create import create_subscription as watch
    from revisit.services.subscriptions.update import webhook_secrets

    channels = [Channel("webhook", url) for url in webhook or ()] + [
        Channel("file", target) for target in file or ()
    ]
    area, recipe = read_aoi(aoi, repair), read_recipe(index, bands)
    backend = open_backend(data, project)
    with show_status("Subscribing"):
        made = watch(
            backend,
            area,
            name,
            recipe,
            read_level(level) or "L2A",
            max_cloud,
            min_clear,
            channels,
            parse_start(backfill),
        )
    secrets = webhook_secrets(backend, made)
    if json:
        print_json(told.subscription(made, secrets))
    else:
        print(made.id)
        for channel in made.channels:
            if channel.id in secrets:
                print_message(
                    f"{channel.target} is signed with {secrets[channel.id]}; keep it, it is shown by this command only"
                )
    if project_of(data, project) is None:
        _print_server_hint(data)


def _print_server_hint(data: "Path | None") -> None:
    from revisit.embedded.lock import server_url

    if server_url(data_folder(data)) is None:
        print_message("nothing is serving this data folder: `revisit serve` keeps watching")


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all subscriptions."""
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.create import list_subscriptions

    there = list_subscriptions(open_backend(data, project))
    if json:
        print_json({"subscriptions": [told.subscription(one) for one in there]})
        return
    print_table(
        ("NAME", "STATE", "ALERTS", "TILES", "INDICES", "SUBSCRIPTION"),
        [
            (
                one.name,
                one.state,
                one.alerts,
                " ".join(one.tiles),
                " ".join((*one.recipe.indices, *one.recipe.bands)),
                one.id,
            )
            for one in there
        ],
        ("ALERTS",),
        optional=("TILES", "INDICES"),
    )
    if not there:
        print_message("nothing is watched yet; `revisit subscribe` begins")


def show(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show one subscription."""
    from revisit.services.subscriptions.create import get_subscription

    _print_result(get_subscription(open_backend(data, project), id), json)


def pause(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Begin nothing new for it."""
    from revisit.services.subscriptions.create import pause_subscription as rest

    _print_result(rest(open_backend(data, project), id), json)


def resume(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Go on, and catch up with what was published meanwhile."""
    from revisit.services.subscriptions.create import resume_subscription as go_on

    _print_result(go_on(open_backend(data, project), id), json)


def delete(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """End it."""
    from revisit.services.subscriptions.create import delete_subscription as end

    _print_result(end(open_backend(data, project), id), json)


def _print_result(record: "Subscription", json: bool) -> None:
    if json:
        from revisit.presenters import documents as told

        print_json(told.subscription(record))
    else:
        print_subscription(record)


def print_subscription(record: "Subscription") -> None:
    """A subscription as a table of its fields."""
    from revisit.presenters import documents as told

    value = told.subscription(record)
    last = value.pop("last_alert")
    value["last_alert"] = f"number {last['number']}, seen {format_minute(last['datetime'])}" if last else None
    recipe, channels = value.pop("recipe"), value.pop("channels")
    value |= {
        "aoi": value["aoi"]["type"],
        "tiles": " ".join(record.tiles),
        "indices": " ".join(recipe["indices"]),
        "bands": " ".join(recipe["bands"]),
    }
    value |= {
        f"channel {number}": f"{channel['kind']} {channel['target']} ({channel['state']})"
        for number, channel in enumerate(channels, 1)
    }
    print_table(("", ""), [(key, format_cell(item)) for key, item in value.items() if item not in (None, "")])


def preview(
    aoi: Aoi,
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            help="From this day on; a year ago where none is named.",
            metavar="DATE",
            show_default=False,
        ),
    ] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Tell what watching an area would have brought, by what the catalog knows."""
    from revisit.domain.recipe import Recipe
    from revisit.domain.subscription import Subscription
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.preview import preview_subscription

    backend = open_backend(data, project)
    wish = Subscription(
        "",
        "preview",
        {},
        (),
        Recipe(indices=("NDVI",)),
        backend.now(),
        level=read_level(level) or "L2A",
        max_cloud=max_cloud,
        min_clear=min_clear,
    )
    past = preview_subscription(backend, read_aoi(aoi, repair), wish, parse_start(since))
    if json:
        print_json(told.subscription_preview(past))
        return
    print_table(("MONTH", "ALERTS", "ACQUISITIONS"), past.monthly_counts, ("ALERTS", "ACQUISITIONS"))
    share = (
        f", of which about {format_percent(past.clear_share)} clear enough"
        if past.clear_share is not None
        else ""
    )
    print_message(
        f"since {past.start:%Y-%m-%d} {len(past.matching):,} of {len(past.matching) + len(past.too_cloudy):,} acquisitions would have made an alert{share}: {past.clear_note}"
    )


def change(
    id: SubscriptionId,
    name: Annotated[
        str | None, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)
    ] = None,
    aoi: Annotated[
        str,
        typer.Option(
            "--aoi",
            help="GeoJSON (or WKT) file of the area to watch from now on; - reads standard input.",
            metavar="FILE",
            show_default=False,
        ),
    ] = "",
    index: Index = "",
    bands: Bands = "",
    level: LevelName = "",
    max_cloud: Annotated[
        str,
        typer.Option(
            "--max-cloud",
            help="Percent of cloud over the whole product at most, or any.",
            metavar="P",
            show_default=False,
        ),
    ] = "",
    min_clear: Annotated[
        str,
        typer.Option(
            "--min-clear",
            help="Percent of the area's valid pixels that must be clear, or any.",
            metavar="P",
            show_default=False,
        ),
    ] = "",
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            "--webhook", help="Post alerts there and nowhere else; repeat for several.", metavar="URL"
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Append alerts to this file and no other.", metavar="NAME"),
    ] = None,
    no_webhook: Annotated[bool, typer.Option("--no-webhook", help="Post alerts nowhere.")] = False,
    no_file: Annotated[bool, typer.Option("--no-file", help="Append alerts to no file.")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Change what is named; all else stays, and so do the id, the alerts and the feed."""
    from msgspec import UNSET

    from revisit.presenters import documents as told
    from revisit.services.subscriptions.create import get_subscription
    from revisit.services.subscriptions.update import SubscriptionUpdate, webhook_secrets
    from revisit.services.subscriptions.update import update_subscription as alter

    wanted = SubscriptionUpdate(
        name=UNSET if name is None else name,
        aoi=read_aoi(aoi, repair) if aoi else UNSET,
        indices=split_names(index) or UNSET,
        bands=split_names(bands) or UNSET,
        level=read_level(level) or UNSET,
        max_cloud=_parse_limit(max_cloud),
        min_clear=_parse_limit(min_clear),
        webhooks=() if no_webhook else tuple(webhook) if webhook else UNSET,
        files=() if no_file else tuple(file) if file else UNSET,
    )
    if wanted == SubscriptionUpdate():
        raise InvalidInputError("nothing is to be different; name what is, such as --max-cloud 30")
    backend = open_backend(data, project)
    before = {channel.id for channel in get_subscription(backend, id).channels}
    changed = alter(backend, id, wanted)
    secrets = (
        {way: secret for way, secret in webhook_secrets(backend, changed).items() if way not in before}
        if webhook
        else {}
    )
    if json:
        print_json(told.subscription(changed, secrets))
        return

    print_subscription(changed)
    for channel in changed.channels:
        if channel.id in secrets:
            print_message(
                f"{channel.target} is signed with {secrets[channel.id]}; keep it, it is shown by this command only"
            )


def _parse_limit(text: str) -> "float | UnsetType | None":
    from msgspec import UNSET

    if not text:
        return UNSET
    if text == "any":
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(
            f"{text[:40]!r} is no percentage; give a number from 0 to 100, or any"
        ) from None
