"""`revisit subscriptions preview`, `change`, `feed`, `deliveries` and `redeliver`: what a watch would bring, is to be, and has sent."""

from typing import TYPE_CHECKING, Annotated

import typer

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
    names,
    opened,
    read_aoi,
    read_level,
)
from revisit.cli.screen import minute, percent, print_json, print_table, say
from revisit.errors import BadInput

if TYPE_CHECKING:
    from msgspec import UnsetType



def preview(
    aoi: Aoi,
    level: LevelName = "L2A",
    max_cloud: MaxCloud = None,
    min_clear: MinClear = None,
    since: Annotated[str, typer.Option("--from", help="From this day on; a year ago where none is named.", metavar="DATE", show_default=False)] = "",
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Tell what watching an area would have brought, by what the catalog knows."""
    from revisit.commands import past_of
    from revisit.commands import shown as told
    from revisit.recipe import Recipe
    from revisit.subscription import Subscription

    backend = opened(data, project)
    wish = Subscription("", "preview", {}, (), Recipe(indices=("NDVI",)), backend.now(), level=read_level(level) or "L2A", max_cloud=max_cloud, min_clear=min_clear)
    past = past_of(backend, read_aoi(aoi, repair), wish, begin(since))
    if json:
        print_json(told.past(past))
        return
    print_table(("MONTH", "ALERTS", "ACQUISITIONS"), past.months, ("ALERTS", "ACQUISITIONS"))
    share = f", of which about {percent(past.clear_share)} clear enough" if past.clear_share is not None else ""
    say(f"since {past.start:%Y-%m-%d} {len(past.fired):,} of {len(past.fired) + len(past.cloudy):,} acquisitions would have made an alert{share}: {past.judged}")


def change(
    id: SubscriptionId,
    name: Annotated[str | None, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)] = None,
    aoi: Annotated[str, typer.Option("--aoi", help="GeoJSON (or WKT) file of the area to watch from now on; - reads standard input.", metavar="FILE", show_default=False)] = "",
    index: Index = "",
    bands: Bands = "",
    level: LevelName = "",
    max_cloud: Annotated[str, typer.Option("--max-cloud", help="Percent of cloud over the whole product at most, or any.", metavar="P", show_default=False)] = "",
    min_clear: Annotated[str, typer.Option("--min-clear", help="Percent of the area's valid pixels that must be clear, or any.", metavar="P", show_default=False)] = "",
    webhook: Annotated[list[str] | None, typer.Option("--webhook", help="Post alerts there and nowhere else; repeat for several.", metavar="URL")] = None,
    file: Annotated[list[str] | None, typer.Option("--file", help="Append alerts to this file and no other.", metavar="NAME")] = None,
    no_webhook: Annotated[bool, typer.Option("--no-webhook", help="Post alerts nowhere.")] = False,
    no_file: Annotated[bool, typer.Option("--no-file", help="Append alerts to no file.")] = False,
    repair: Repair = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Change what is named; all else stays, and so do the id, the alerts and the feed."""
    from msgspec import UNSET

    from revisit.commands import change as alter
    from revisit.commands import shown as told
    from revisit.commands import subscription, webhook_secrets
    from revisit.commands.changing import Change

    wanted = Change(
        name=UNSET if name is None else name, aoi=read_aoi(aoi, repair) if aoi else UNSET, indices=names(index) or UNSET, bands=names(bands) or UNSET,
        level=read_level(level) or UNSET, max_cloud=_limit(max_cloud), min_clear=_limit(min_clear),
        webhooks=() if no_webhook else tuple(webhook) if webhook else UNSET, files=() if no_file else tuple(file) if file else UNSET)
    if wanted == Change():
        raise BadInput("nothing is to be different; name what is, such as --max-cloud 30")
    backend = opened(data, project)
    before = {channel.id for channel in subscription(backend, id).channels}
    changed = alter(backend, id, wanted)
    secrets = {way: secret for way, secret in webhook_secrets(backend, changed).items() if way not in before} if webhook else {}
    if json:
        print_json(told.subscription(changed, secrets))
        return
    from revisit.cli.watching import print_subscription

    print_subscription(changed)
    for channel in changed.channels:
        if channel.id in secrets:
            say(f"{channel.target} is signed with {secrets[channel.id]}; keep it, it is shown by this command only")


def _limit(text: str) -> "float | UnsetType | None":
    from msgspec import UNSET

    if not text:
        return UNSET
    if text == "any":
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is no percentage; give a number from 0 to 100, or any") from None


def feed(
    id: SubscriptionId,
    end: Annotated[bool, typer.Option("--end", help="Take the address away instead.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Give the feed and the calendar a new secret address; the one before ends."""
    from revisit.commands import end_feed, renew_feed
    from revisit.commands import shown as told

    value = told.subscription((end_feed if end else renew_feed)(opened(data, project), id))
    if json:
        print_json({name: value[name] for name in ("subscription", "feed", "calendar")})
    elif end:
        say(f"the feed and the calendar of {value['name']} have no address any more; `revisit subscriptions feed` makes another")
    else:
        print(value["feed"])
        print(value["calendar"])


def deliveries(
    id: SubscriptionId,
    state: Annotated[str, typer.Option("--state", help="Only those that are due, delivered or failed.", metavar="S", show_default=False)] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many, the newest.", metavar="N", min=1, max=10_000)] = 100,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List what was carried outward, with its attempts."""
    from revisit.commands import deliveries as carried
    from revisit.commands import shown as told

    rows = [told.delivery(way) for way in carried(opened(data, project), id, state=state, limit=limit).page]
    if json:
        print_json({"deliveries": rows})
        return
    print_table(("CREATED", "STATE", "TRIED", "LAST", "DUE", "TARGET", "DELIVERY"),
                [(minute(row["created"]), row["state"], len(row["attempts"]), row["attempts"][-1]["outcome"] if row["attempts"] else None,
                  minute(row["due"]) if row["due"] else None, row["target"], row["delivery"]) for row in rows], ("TRIED",), spare=("TARGET", "CREATED"))
    if not rows:
        say("nothing was carried outward yet; `revisit subscriptions change --webhook URL` says where to")


def redeliver(
    delivery: Annotated[str, typer.Argument(help="Id of the delivery, as `deliveries` lists it.", metavar="DELIVERY")],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Have a delivery tried once more."""
    from revisit.commands import redeliver as again
    from revisit.commands import shown as told

    value = told.delivery(again(opened(data, project), delivery))
    if json:
        print_json(value)
    else:
        say(f"{value['delivery']} to {value['target']} is due {minute(value['due'])}; a server or a deployment carries it within a minute")


COMMANDS = ((preview, "preview"), (change, "change"), (feed, "feed"), (deliveries, "deliveries"), (redeliver, "redeliver"))
"""Of `revisit subscriptions`, besides those of `revisit.cli.watching`."""
