"""Commands about what a subscription sent: alerts, deliveries, feed addresses and signing secrets."""

from typing import Annotated, Any

import typer

from revisit.cli.console import (
    format_minute,
    format_percent,
    format_value,
    print_json,
    print_message,
    print_table,
)
from revisit.cli.options import Data, Json, Project, SubscriptionId, open_backend


def feed(
    id: SubscriptionId,
    end: Annotated[bool, typer.Option("--end", help="Take the address away instead.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Give the feed and the calendar a new secret address; the one before ends."""
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.update import revoke_feed_token, rotate_feed_token

    value = told.subscription(
        (revoke_feed_token if end else rotate_feed_token)(open_backend(data, project), id)
    )
    if json:
        print_json({name: value[name] for name in ("subscription", "feed", "calendar")})
    elif end:
        print_message(
            f"the feed and the calendar of {value['name']} have no address any more; `revisit subscriptions feed` makes another"
        )
    else:
        print(value["feed"])
        print(value["calendar"])


def deliveries(
    id: SubscriptionId,
    state: Annotated[
        str,
        typer.Option(
            "--state", help="Only those that are due, delivered or failed.", metavar="S", show_default=False
        ),
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", help="At most so many, the newest.", metavar="N", min=1, max=10_000)
    ] = 100,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List what was carried outward, with its attempts."""
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.redeliver import list_deliveries as carried

    rows = [
        told.delivery(way) for way in carried(open_backend(data, project), id, state=state, limit=limit).items
    ]
    if json:
        print_json({"deliveries": rows})
        return
    print_table(
        ("CREATED", "STATE", "TRIED", "LAST", "DUE", "TARGET", "DELIVERY"),
        [
            (
                format_minute(row["created"]),
                row["state"],
                len(row["attempts"]),
                row["attempts"][-1]["outcome"] if row["attempts"] else None,
                format_minute(row["due"]) if row["due"] else None,
                row["target"],
                row["delivery"],
            )
            for row in rows
        ],
        ("TRIED",),
        optional=("TARGET", "CREATED"),
    )
    if not rows:
        print_message(
            "nothing was carried outward yet; `revisit subscriptions change --webhook URL` says where to"
        )


def redeliver(
    delivery: Annotated[
        str, typer.Argument(help="Id of the delivery, as `deliveries` lists it.", metavar="DELIVERY")
    ],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Have a delivery tried once more."""
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.redeliver import redeliver as again

    value = told.delivery(again(open_backend(data, project), delivery))
    if json:
        print_json(value)
    else:
        print_message(
            f"{value['delivery']} to {value['target']} is due {format_minute(value['due'])}; a server or a deployment carries it within a minute"
        )


def rotate_secret(
    id: SubscriptionId,
    channel: Annotated[
        str, typer.Argument(help="Address of the webhook, or the channel's id.", metavar="CHANNEL")
    ],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Sign what a webhook is sent with a new secret, and for a day with the one before too."""
    from revisit.domain.subscription import SECRET_OVERLAP
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.update import rotate_secret as rotate
    from revisit.services.subscriptions.update import webhook_secrets

    backend = open_backend(data, project)
    watcher, way = rotate(backend, id, channel)
    secret, until = (
        webhook_secrets(backend, watcher)[way.id],
        told.json_time(way.rotated[-1] + SECRET_OVERLAP),
    )
    if json:
        print_json(
            {
                "subscription": watcher.id,
                "channel": way.id,
                "target": way.target,
                "before_until": until,
                "secret": secret,
            }
        )
    else:
        print(secret)
        print_message(
            f"{way.target} is signed with it from now on, until {format_minute(until)} with the one before too; it is shown by this command only"
        )


def alerts(
    id: SubscriptionId,
    after: Annotated[int, typer.Option("--after", help="Only those with a higher number.", metavar="N")] = 0,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List the alerts of a subscription."""
    from revisit.presenters import documents as told
    from revisit.services.subscriptions.results import list_alerts as log

    rows: list[dict[str, Any]] = [told.alert(line) for line in log(open_backend(data, project), id, after)]
    if json:
        print_json({"alerts": rows})
        return
    indices = list(dict.fromkeys(name for row in rows for name in row["indices"]))
    print_table(
        ("NO", "SENSED", "CLEAR", "COVERED", *indices, "ACQUISITION", "JOB"),
        [
            (
                row["number"],
                format_minute(row["datetime"]),
                format_percent(row["clear_fraction"]),
                format_percent(row["coverage"]),
                *(format_value(row["indices"].get(name, {}).get("mean")) for name in indices),
                row["acquisition"],
                row["job"],
            )
            for row in rows
        ],
        ("NO", "CLEAR", "COVERED", *indices),
        optional=("ACQUISITION", "COVERED"),
    )
    if not rows:
        print_message("no alert yet" if not after else f"no alert after number {after}")
