"""Commands `revisit subscribe`, `revisit subscriptions` and `revisit alerts`."""

from typing import TYPE_CHECKING, Annotated

import typer

from revisit.cli import alerts
from revisit.cli.console import format_cell, format_minute, print_json, print_message, print_table
from revisit.cli.new_subscription import preview, subscribe
from revisit.cli.options import (
    Bands,
    Data,
    Index,
    Json,
    LevelName,
    MinClearOf,
    Project,
    Repair,
    SubscriptionId,
    open_backend,
    read_aoi,
    read_clear_base,
    read_level,
    split_indices,
    split_names,
)
from revisit.errors import InvalidInputError

if TYPE_CHECKING:
    from msgspec import UnsetType

    from revisit.domain.subscription import Subscription


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(subscribe)
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Manage subscriptions, their feeds and deliveries."
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
        group.command(name)(command)
    app.add_typer(group, name="subscriptions")
    app.command()(alerts.alerts)


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all subscriptions."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.records import list_subscriptions

    subscriptions = list_subscriptions(open_backend(data, project))
    if json:
        print_json({"subscriptions": [documents.subscription(record) for record in subscriptions]})
        return
    print_table(
        ("NAME", "STATE", "ALERTS", "TILES", "INDICES", "SUBSCRIPTION"),
        [
            (
                record.name,
                record.state,
                record.alerts,
                " ".join(record.tiles),
                " ".join(record.recipe.names),
                record.id,
            )
            for record in subscriptions
        ],
        ("ALERTS",),
        optional=("TILES", "INDICES"),
    )
    if not subscriptions:
        print_message("no subscriptions yet; `revisit subscribe` creates one")


def show(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show one subscription."""
    from revisit.services.subscriptions.records import get_subscription

    _print_result(get_subscription(open_backend(data, project), id), json)


def pause(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Pause a subscription: no new jobs."""
    from revisit.services.subscriptions.lifecycle import pause_subscription

    _print_result(pause_subscription(open_backend(data, project), id), json)


def resume(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Resume a subscription and process what was published meanwhile."""
    from revisit.services.subscriptions.lifecycle import resume_subscription

    _print_result(resume_subscription(open_backend(data, project), id), json)


def delete(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Delete a subscription; results and alerts are kept until they expire."""
    from revisit.services.subscriptions.lifecycle import delete_subscription

    _print_result(delete_subscription(open_backend(data, project), id), json)


def _print_result(record: "Subscription", json: bool) -> None:
    if json:
        from revisit.presenters import documents

        print_json(documents.subscription(record))
    else:
        _print_subscription(record)


def _print_subscription(record: "Subscription") -> None:
    """A subscription as a table of its fields."""
    from revisit.presenters import documents

    value = documents.subscription(record)
    last = value.pop("last_alert")
    value["last_alert"] = (
        f"number {last['number']}, sensed {format_minute(last['datetime'])}" if last else None
    )
    recipe, channels = value.pop("recipe"), value.pop("channels")
    value |= {
        "aoi": value["aoi"]["type"],
        "tiles": " ".join(record.tiles),
        "indices": ", ".join(recipe["indices"]),
        "bands": " ".join(recipe["bands"]),
    }
    value |= {
        f"channel {number}": f"{channel['kind']} {channel['target']} ({channel['state']})"
        for number, channel in enumerate(channels, 1)
    }
    print_table(("", ""), [(key, format_cell(item)) for key, item in value.items() if item not in (None, "")])


def change(
    id: SubscriptionId,
    name: Annotated[
        str | None, typer.Option("--name", help="New name.", metavar="T", show_default=False)
    ] = None,
    aoi: Annotated[
        str,
        typer.Option(
            "--aoi",
            help="New area: a GeoJSON or WKT file; - reads standard input.",
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
            help="Maximum scene cloud cover, percent, or any.",
            metavar="P",
            show_default=False,
        ),
    ] = "",
    min_clear: Annotated[
        str,
        typer.Option(
            "--min-clear",
            help="Minimum clear share, percent, of what --min-clear-of says, or any.",
            metavar="P",
            show_default=False,
        ),
    ] = "",
    min_clear_of: MinClearOf = "",
    min_coverage: Annotated[
        str,
        typer.Option(
            "--min-coverage",
            help="Minimum share of the area that was seen, percent, or any.",
            metavar="P",
            show_default=False,
        ),
    ] = "",
    webhook: Annotated[
        list[str] | None,
        typer.Option("--webhook", help="Post alerts to this URL only; repeatable.", metavar="URL"),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="Append alerts to this file only; repeatable.", metavar="NAME"),
    ] = None,
    no_webhook: Annotated[bool, typer.Option("--no-webhook", help="Remove all webhooks.")] = False,
    no_file: Annotated[bool, typer.Option("--no-file", help="Remove all files.")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Change the given options of a subscription; id, alerts and feed stay."""
    from msgspec import UNSET

    from revisit.presenters import documents
    from revisit.services.subscriptions.records import get_subscription
    from revisit.services.subscriptions.update import SubscriptionUpdate, update_subscription, webhook_secrets

    requested = SubscriptionUpdate(
        name=UNSET if name is None else name,
        aoi=read_aoi(aoi, repair) if aoi else UNSET,
        indices=split_indices(index) or UNSET,
        bands=split_names(bands) or UNSET,
        level=read_level(level) or UNSET,
        max_cloud=_parse_limit(max_cloud),
        min_clear=_parse_limit(min_clear),
        min_coverage=_parse_limit(min_coverage),
        min_clear_of=read_clear_base(min_clear_of) or UNSET,
        webhooks=() if no_webhook else tuple(webhook) if webhook else UNSET,
        files=() if no_file else tuple(file) if file else UNSET,
    )
    if requested == SubscriptionUpdate():
        raise InvalidInputError("nothing to change; give an option, such as --max-cloud 30")
    backend = open_backend(data, project)
    known = {channel.id for channel in get_subscription(backend, id).channels}
    changed = update_subscription(backend, id, requested)
    secrets = webhook_secrets(backend, changed) if webhook else {}
    secrets = {channel_id: secret for channel_id, secret in secrets.items() if channel_id not in known}
    if json:
        print_json(documents.subscription(changed, secrets))
        return
    _print_subscription(changed)
    alerts.print_new_secrets({channel.id: channel.target for channel in changed.channels}, secrets)


def _parse_limit(text: str) -> "float | UnsetType | None":
    """A percentage; None for `any`, unset where the option is not given."""
    from msgspec import UNSET

    if not text:
        return UNSET
    if text == "any":
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(
            f"{text[:40]!r} is not a percentage; give a number from 0 to 100, or any"
        ) from None
