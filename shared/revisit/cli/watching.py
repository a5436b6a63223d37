"""`revisit subscribe`, `subscriptions` and `alerts`: what is watched, and what came of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from revisit.cli.minding import COMMANDS
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
    begin,
    data_folder,
    opened,
    project_of,
    read_aoi,
    read_level,
    read_recipe,
)
from revisit.cli.screen import measured, minute, percent, print_json, print_table, say, shown, working

if TYPE_CHECKING:
    from pathlib import Path

    from revisit.subscription import Subscription


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(subscribe)
    many = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, change, pause, resume and delete subscriptions, preview one, and see to what they send.")
    for command, name in ((list_, "list"), (show, "show"), (pause, "pause"), (resume, "resume"), (delete, "delete"),
                          (rotate_secret, "rotate-secret"), *COMMANDS):
        many.command(name)(command)
    app.add_typer(many, name="subscriptions")
    app.command()(alerts)


def subscribe(
    aoi: Aoi,
    name: Annotated[str, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)],
    index: Index = "",
    bands: Bands = "",
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    webhook: Annotated[list[str] | None, typer.Option("--webhook", help="Post alerts there, signed; repeat for several.", metavar="URL")] = None,
    file: Annotated[list[str] | None, typer.Option("--file", help="Append alerts to this file below the data folder.", metavar="NAME")] = None,
    backfill: Annotated[str, typer.Option("--backfill", help="Also work the past from this day on.", metavar="DATE", show_default=False)] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Watch an area."""
    from revisit.commands import shown as told
    from revisit.commands import subscribe as watch
    from revisit.commands import webhook_secrets
    from revisit.subscription import Channel

    channels = [Channel("webhook", url) for url in webhook or ()] + [Channel("file", target) for target in file or ()]
    area, recipe = read_aoi(aoi, repair), read_recipe(index, bands)
    backend = opened(data, project)
    with working("Subscribing"):
        made = watch(backend, area, name, recipe, read_level(level) or "L2A", max_cloud, min_clear, channels, begin(backfill))
    secrets = webhook_secrets(backend, made)
    if json:
        print_json(told.subscription(made, secrets))
    else:
        print(made.id)
        for channel in made.channels:
            if channel.id in secrets:
                say(f"{channel.target} is signed with {secrets[channel.id]}; keep it, it is shown by this command only")
    if project_of(data, project) is None:
        _hint(data)


def _hint(data: "Path | None") -> None:
    from revisit.embedded.lock import server_of

    if server_of(data_folder(data)) is None:
        say("nothing is serving this data folder: `revisit serve` keeps watching")


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all subscriptions."""
    from revisit.commands import shown as told
    from revisit.commands import subscriptions

    there = subscriptions(opened(data, project))
    if json:
        print_json({"subscriptions": [told.subscription(one) for one in there]})
        return
    print_table(("NAME", "STATE", "ALERTS", "TILES", "INDICES", "SUBSCRIPTION"),
                [(one.name, one.state, one.alerts, " ".join(one.tiles), " ".join((*one.recipe.indices, *one.recipe.bands)), one.id) for one in there],
                ("ALERTS",), spare=("TILES", "INDICES"))
    if not there:
        say("nothing is watched yet; `revisit subscribe` begins")


def show(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show one subscription."""
    from revisit.commands import subscription

    _print(subscription(opened(data, project), id), json)


def pause(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Begin nothing new for it."""
    from revisit.commands import pause as rest

    _print(rest(opened(data, project), id), json)


def resume(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Go on, and catch up with what was published meanwhile."""
    from revisit.commands import resume as go_on

    _print(go_on(opened(data, project), id), json)


def delete(id: SubscriptionId, json: Json = False, data: Data = None, project: Project = None) -> None:
    """End it."""
    from revisit.commands import delete as end

    _print(end(opened(data, project), id), json)


def rotate_secret(
    id: SubscriptionId,
    channel: Annotated[str, typer.Argument(help="Address of the webhook, or the channel's id.", metavar="CHANNEL")],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Sign what a webhook is sent with a new secret, and for a day with the one before too."""
    from revisit.commands import rotate_secret as rotate
    from revisit.commands import shown as told
    from revisit.commands import webhook_secrets
    from revisit.subscription import OVERLAP

    backend = opened(data, project)
    watcher, way = rotate(backend, id, channel)
    secret, until = webhook_secrets(backend, watcher)[way.id], told.moment(way.rotated[-1] + OVERLAP)
    if json:
        print_json({"subscription": watcher.id, "channel": way.id, "target": way.target, "before_until": until, "secret": secret})
    else:
        print(secret)
        say(f"{way.target} is signed with it from now on, until {minute(until)} with the one before too; it is shown by this command only")


def _print(one: "Subscription", json: bool) -> None:
    if json:
        from revisit.commands import shown as told

        print_json(told.subscription(one))
    else:
        print_subscription(one)


def print_subscription(one: "Subscription") -> None:
    """A subscription as a table of its fields."""
    from revisit.commands import shown as told

    value = told.subscription(one)
    last = value.pop("last_alert")
    value["last_alert"] = f"number {last['number']}, seen {minute(last['datetime'])}" if last else None
    recipe, channels = value.pop("recipe"), value.pop("channels")
    value |= {"aoi": value["aoi"]["type"], "tiles": " ".join(one.tiles), "indices": " ".join(recipe["indices"]), "bands": " ".join(recipe["bands"])}
    value |= {f"channel {number}": f"{channel['kind']} {channel['target']} ({channel['state']})" for number, channel in enumerate(channels, 1)}
    print_table(("", ""), [(key, shown(item)) for key, item in value.items() if item not in (None, "")])


def alerts(
    id: SubscriptionId,
    after: Annotated[int, typer.Option("--after", help="Only those with a higher number.", metavar="N")] = 0,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List the alerts of a subscription."""
    from revisit.commands import alerts as log
    from revisit.commands import shown as told

    rows: list[dict[str, Any]] = [told.alert(line) for line in log(opened(data, project), id, after)]
    if json:
        print_json({"alerts": rows})
        return
    indices = list(dict.fromkeys(name for row in rows for name in row["indices"]))
    print_table(("NO", "SENSED", "CLEAR", "COVERED", *indices, "ACQUISITION", "JOB"),
                [(row["number"], minute(row["datetime"]), percent(row["clear_fraction"]), percent(row["coverage"]),
                  *(measured(row["indices"].get(name, {}).get("mean")) for name in indices), row["acquisition"], row["job"]) for row in rows],
                ("NO", "CLEAR", "COVERED", *indices), spare=("ACQUISITION", "COVERED"))
    if not rows:
        say("no alert yet" if not after else f"no alert after number {after}")
