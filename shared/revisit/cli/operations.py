"""Commands `revisit status`, `revisit doctor` and `revisit dead-letters`."""

from typing import Annotated, Any

import typer

from revisit.cli.console import (
    format_minute,
    print_json,
    print_message,
    print_table,
    strip_control_characters,
)
from revisit.cli.options import Data, Json, Project, data_folder, open_backend, project_of

Id = Annotated[str, typer.Argument(help="Id of the dead letter.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="List, show and replay messages that failed too often.",
    )
    for command, name in ((list_, "list"), (show, "show"), (replay, "replay")):
        group.command(name)(command)
    app.add_typer(group, name="dead-letters")
    app.command()(status)
    app.command()(doctor)


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all dead letters."""
    from revisit.presenters import documents
    from revisit.services.operations.dead_letters import list_dead_letters

    rows = [documents.dead_letter(letter) for letter in list_dead_letters(open_backend(data, project))]
    if json:
        print_json({"dead_letters": rows})
        return
    print_table(
        ("AT", "FUNCTION", "ATTEMPTS", "REASON", "ID"),
        [
            (format_minute(row["at"]), row["function"], row["attempts"], row["reason"], row["id"])
            for row in rows
        ],
        ("ATTEMPTS",),
    )
    if not rows:
        print_message("no dead letters")


def show(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show one dead letter with its event."""
    from revisit.presenters import documents
    from revisit.services.operations.dead_letters import get_dead_letter

    value = documents.dead_letter(get_dead_letter(open_backend(data, project), id), body=True)
    if json:
        print_json(value)
    else:
        print_table(("", ""), list(value.items()))


def replay(
    id: Annotated[
        str,
        typer.Argument(help="Id of the dead letter; leave out with --all.", metavar="ID", show_default=False),
    ] = "",
    replay_all: Annotated[bool, typer.Option("--all", help="Replay all of them.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Publish the event of a dead letter again."""
    from revisit.errors import ConflictError, InvalidInputError
    from revisit.services.operations.dead_letters import list_dead_letters, replay_dead_letter

    if bool(id) == replay_all:
        raise InvalidInputError("give the id of one dead letter, or --all")
    backend = open_backend(data, project)
    replayed, kept = [], []
    for letter_id in [id] if id else [letter.id for letter in list_dead_letters(backend)]:
        try:
            replayed.append(replay_dead_letter(backend, letter_id).id)
        except ConflictError as error:
            if id:
                raise
            kept.append(str(error))
    if json:
        print_json({"replayed": replayed, "kept": kept})
    print_message(f"{len(replayed)} replayed" + (f", {len(kept)} kept: {kept[0]}" if kept else ""))
    if kept:
        raise typer.Exit(1)


def status(json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show the current state: queue, jobs, sources, deliveries and dead letters."""
    from revisit.embedded.lock import server_url
    from revisit.services.operations.status import get_status

    deployment = project_of(data, project)
    value = get_status(open_backend(data, project))
    if deployment is None:
        value["data"], value["server"] = str(data_folder(data)), server_url(data_folder(data))
    else:
        value["project"] = deployment
    if json:
        print_json(value)
        return
    queue = value["queue"]
    location = (
        [("project", deployment)]
        if deployment
        else [
            ("data folder", value["data"]),
            ("server", value["server"] or "not running; `revisit serve` starts it"),
        ]
    )
    print_table(
        ("", ""),
        [
            ("version", value["version"]),
            *location,
            ("queue", _format_queue(queue)),
            ("subscriptions", _format_counts(value["subscriptions"])),
            ("jobs", _format_counts(value["jobs"])),
            ("alerts", value["alerts"]),
            ("deliveries", _format_counts(value["deliveries"])),
            ("dead letters", value["dead_letters"]),
        ],
    )
    print_table(
        ("SOURCE", "PRODUCTS", "LATEST SENSING", "LAG", "REFRESHED", "ERROR"),
        [
            (
                source["source"],
                source["products"],
                format_minute(source["last_sensing"]),
                _format_hours(source["lag_hours"]),
                format_minute(source["refreshed"]),
                source["error"],
            )
            for source in value["sources"]
        ],
        ("PRODUCTS", "LAG"),
        optional=("REFRESHED",),
    )
    for source in value["sources"]:
        for each in source["rejections"]:
            print_message(f"rejected {each['row']}: {each['reason']}")
        if (more := source["rejected"] - len(source["rejections"])) > 0:
            print_message(f"and {more:,} more rejected by {source['source']}")
        for each in source["incomplete"]:
            wait = ", waits for its files" if each["waiting"] else ""
            print_message(f"incomplete {each['product']}: {each['missing']}{wait}")
    if queue["note"]:
        print_message(queue["note"])


def _format_queue(queue: dict[str, Any]) -> str:
    measured = f" (Pub/Sub figures as of {format_minute(queue['as_of'])})" if queue["as_of"] else ""
    if not queue["ready"] + queue["leased"] + queue["delayed"]:
        return f"empty{measured}"
    return (
        f"{queue['ready']:,} ready, {queue['leased']:,} leased, {queue['delayed']:,} waiting for a retry, "
        f"oldest {queue['oldest_s']:g} s{measured}"
    )


def _format_hours(hours: float | None) -> str | None:
    if hours is None:
        return None
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def _format_counts(values: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in values.items() if count) or "none"


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Skip the checks that use the network.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="First rebuild the catalog's index from its log.")
    ] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Check the installation and the data; exit code 1 if a check fails."""
    from revisit.adapters.local.integrity_check import check_data
    from revisit.errors import InvalidInputError
    from revisit.services.operations.doctor import check_deployment, check_installation

    if project_of(data, project) is None:
        findings = check_installation(
            data_folder(data), lambda: open_backend(data), check_data, not offline, rebuild
        )
    elif rebuild:
        raise InvalidInputError(
            "--rebuild is for a data folder; the catalog of a deployment has no index to rebuild"
        )
    else:
        findings = check_deployment(open_backend(data, project), not offline)
    if json:
        print_json(
            {
                "findings": [
                    {"check": finding.check, "ok": finding.ok, "sentence": finding.message}
                    for finding in findings
                ]
            }
        )
    else:
        for finding in findings:
            print(f"{'ok     ' if finding.ok else 'PROBLEM'}  {strip_control_characters(finding.message)}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
