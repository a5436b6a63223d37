"""Commands about what a subscription sent: alerts, deliveries, feed addresses and signing secrets."""

from typing import Annotated, Any

import typer

from revisit.cli.console import measured, minute, percent, print_json, print_table, say
from revisit.cli.options import Data, Json, Project, SubscriptionId, opened


def feed(
    id: SubscriptionId,
    end: Annotated[bool, typer.Option("--end", help="Take the address away instead.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Give the feed and the calendar a new secret address; the one before ends."""
    from revisit.presenters import documents as told
    from revisit.services import end_feed, renew_feed

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
    from revisit.presenters import documents as told
    from revisit.services import deliveries as carried

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
    from revisit.presenters import documents as told
    from revisit.services import redeliver as again

    value = told.delivery(again(opened(data, project), delivery))
    if json:
        print_json(value)
    else:
        say(f"{value['delivery']} to {value['target']} is due {minute(value['due'])}; a server or a deployment carries it within a minute")


def rotate_secret(
    id: SubscriptionId,
    channel: Annotated[str, typer.Argument(help="Address of the webhook, or the channel's id.", metavar="CHANNEL")],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Sign what a webhook is sent with a new secret, and for a day with the one before too."""
    from revisit.domain.subscription import OVERLAP
    from revisit.presenters import documents as told
    from revisit.services import rotate_secret as rotate
    from revisit.services import webhook_secrets

    backend = opened(data, project)
    watcher, way = rotate(backend, id, channel)
    secret, until = webhook_secrets(backend, watcher)[way.id], told.moment(way.rotated[-1] + OVERLAP)
    if json:
        print_json({"subscription": watcher.id, "channel": way.id, "target": way.target, "before_until": until, "secret": secret})
    else:
        print(secret)
        say(f"{way.target} is signed with it from now on, until {minute(until)} with the one before too; it is shown by this command only")


def alerts(
    id: SubscriptionId,
    after: Annotated[int, typer.Option("--after", help="Only those with a higher number.", metavar="N")] = 0,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List the alerts of a subscription."""
    from revisit.presenters import documents as told
    from revisit.services import alerts as log

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
