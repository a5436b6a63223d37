"""Commands about what a subscription sends: alerts, deliveries, the feed and webhook signing secrets."""

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


def alerts(
    id: SubscriptionId,
    after: Annotated[int, typer.Option("--after", help="Only alerts with a higher number.", metavar="N")] = 0,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List the alerts of a subscription."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.results import list_alerts

    rows: list[dict[str, Any]] = [
        documents.alert(record) for record in list_alerts(open_backend(data, project), id, after)
    ]
    if json:
        print_json({"alerts": rows})
        return
    indices = list(dict.fromkeys(name for row in rows for name in row["indices"]))
    updates = ("UPDATES",) if any(row["updates"] for row in rows) else ()
    print_table(
        ("NO", *updates, "SENSED", "COVERAGE", "CLEAR", *indices, "ACQUISITION", "JOB"),
        [
            (
                row["number"],
                *((row["updates"],) if updates else ()),
                format_minute(row["datetime"]),
                format_percent(row["coverage"]),
                format_percent(row["clear_fraction"]),
                *(format_value(row["indices"].get(name, {}).get("mean")) for name in indices),
                row["acquisition"],
                row["job"],
            )
            for row in rows
        ],
        ("NO", *updates, "COVERAGE", "CLEAR", *indices),
        optional=("ACQUISITION",),
    )
    if not rows:
        print_message("no alert yet" if not after else f"no alert after number {after}")


def feed(
    id: SubscriptionId,
    end: Annotated[bool, typer.Option("--end", help="Remove the feed and the calendar instead.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Replace the secret feed and calendar addresses."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.update import revoke_feed_token, rotate_feed_token

    change = revoke_feed_token if end else rotate_feed_token
    value = documents.subscription(change(open_backend(data, project), id))
    if json:
        print_json({name: value[name] for name in ("subscription", "feed", "calendar")})
    elif end:
        print_message(
            f"the feed and the calendar of {value['name']} are removed; "
            "`revisit subscriptions feed` creates new addresses"
        )
    else:
        print(value["feed"])
        print(value["calendar"])


def deliveries(
    id: SubscriptionId,
    state: Annotated[
        str,
        typer.Option(
            "--state",
            help="Only deliveries in this state: due, delivered or failed.",
            metavar="S",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", help="Maximum number, newest first.", metavar="N", min=1, max=10_000)
    ] = 100,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """List deliveries to webhooks and files, with their attempts."""
    from revisit.presenters import documents
    from revisit.services.subscriptions.redeliver import list_deliveries

    page = list_deliveries(open_backend(data, project), id, state=state, limit=limit)
    rows = [documents.delivery(record) for record in page.items]
    if json:
        print_json({"deliveries": rows})
        return
    print_table(
        ("CREATED", "STATE", "ATTEMPTS", "LAST", "DUE", "TARGET", "DELIVERY"),
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
        ("ATTEMPTS",),
        optional=("TARGET", "CREATED"),
    )
    if not rows:
        print_message("no delivery yet; `revisit subscriptions change --webhook URL` adds a webhook")


def redeliver(
    delivery: Annotated[
        str, typer.Argument(help="Delivery id, from `revisit subscriptions deliveries`.", metavar="DELIVERY")
    ],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Send a delivery again."""
    from revisit.presenters import documents
    from revisit.services.subscriptions import redeliver

    value = documents.delivery(redeliver.redeliver(open_backend(data, project), delivery))
    if json:
        print_json(value)
    else:
        print_message(
            f"{value['delivery']} to {value['target']} is due at {format_minute(value['due'])}; "
            "a running server or deployment sends it within a minute"
        )


def rotate_secret(
    id: SubscriptionId,
    channel: Annotated[
        str, typer.Argument(help="URL of the webhook, or id of the channel.", metavar="CHANNEL")
    ],
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Replace a webhook's signing secret; the previous one stays valid for a day."""
    from revisit.domain.subscription import SECRET_OVERLAP
    from revisit.presenters import documents
    from revisit.services.subscriptions import update

    backend = open_backend(data, project)
    subscription, webhook = update.rotate_secret(backend, id, channel)
    secret = update.webhook_secrets(backend, subscription)[webhook.id]
    until = documents.json_time(webhook.rotated[-1] + SECRET_OVERLAP)
    if json:
        print_json(
            {
                "subscription": subscription.id,
                "channel": webhook.id,
                "target": webhook.target,
                "before_until": until,
                "secret": secret,
            }
        )
    else:
        print(secret)
        print_message(
            f"{webhook.target} is signed with this secret from now on, and also with the previous one until "
            f"{format_minute(until)}; save it, it is not shown again"
        )


def print_new_secrets(targets: dict[str, str], secrets: dict[str, str]) -> None:
    """Print the signing secrets of new webhooks on stderr.

    Args:
        targets: Channel id -> URL.
        secrets: Channel id -> signing secret.
    """
    for id, target in targets.items():
        if id in secrets:
            print_message(f"{target} is signed with {secrets[id]}; save it, it is not shown again")
