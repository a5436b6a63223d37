"""`revisit status`, `doctor` and `dead-letters`: how things stand, and putting them right."""

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
    letters = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="List, show and replay messages that could not be handled.",
    )
    for command, name in ((list_, "list"), (show, "show"), (replay, "replay")):
        letters.command(name)(command)
    app.add_typer(letters, name="dead-letters")
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
        ("AT", "FUNCTION", "TRIES", "REASON", "ID"),
        [
            (format_minute(row["at"]), row["function"], row["attempts"], row["reason"], row["id"])
            for row in rows
        ],
        ("TRIES",),
    )
    if not rows:
        print_message("there is none")


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
        str, typer.Argument(help="Id of the dead letter; none with --all.", metavar="ID", show_default=False)
    ] = "",
    replay_all: Annotated[bool, typer.Option("--all", help="Replay all of them.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Send a dead letter's event again."""
    from revisit.errors import ConflictError, InvalidInputError
    from revisit.services.operations.dead_letters import list_dead_letters
    from revisit.services.operations.dead_letters import replay_dead_letter as again

    if bool(id) == replay_all:
        raise InvalidInputError("name one dead letter, or --all of them")
    backend = open_backend(data, project)
    sent, kept = [], []
    for one in [id] if id else [letter.id for letter in list_dead_letters(backend)]:
        try:
            sent.append(again(backend, one).id)
        except ConflictError as error:
            if id:
                raise
            kept.append(str(error))
    if json:
        print_json({"replayed": sent, "kept": kept})
    print_message(f"{len(sent)} sent again" + (f", {len(kept)} kept: {kept[0]}" if kept else ""))
    if kept:
        raise typer.Exit(1)


def status(json: Json = False, data: Data = None, project: Project = None) -> None:
    """Tell how things stand."""
    from revisit.embedded.lock import server_url
    from revisit.services.operations.status import get_status as stand

    deployment = project_of(data, project)
    value = stand(open_backend(data, project))
    if deployment is None:
        value["data"], value["server"] = str(data_folder(data)), server_url(data_folder(data))
    else:
        value["project"] = deployment
    if json:
        print_json(value)
        return
    queue = value["queue"]
    place = (
        [("project", deployment)]
        if deployment
        else [
            ("data folder", value["data"]),
            ("served at", value["server"] or "nowhere; `revisit serve` starts"),
        ]
    )
    print_table(
        ("", ""),
        [
            ("version", value["version"]),
            *place,
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
                one["source"],
                one["products"],
                format_minute(one["last_sensing"]),
                _format_hours(one["lag_hours"]),
                format_minute(one["refreshed"]),
                one["error"],
            )
            for one in value["sources"]
        ],
        ("PRODUCTS", "LAG"),
        optional=("REFRESHED",),
    )
    if queue["note"]:
        print_message(queue["note"])


def _format_queue(queue: dict[str, Any]) -> str:
    then = f" (Pub/Sub's part as of {format_minute(queue['as_of'])})" if queue["as_of"] else ""
    if not queue["ready"] + queue["leased"] + queue["delayed"]:
        return f"empty{then}"
    return f"{queue['ready']:,} ready, {queue['leased']:,} in hand, {queue['delayed']:,} to be tried again, the oldest {queue['oldest_s']:g} s old{then}"


def _format_hours(hours: float | None) -> str | None:
    if hours is None:
        return None
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def _format_counts(values: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in values.items() if count) or "none"


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the sources.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the catalog's index again from its log first.")
    ] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Look for everything that may be wrong; exit code 1 if something is."""
    from revisit.adapters.local.integrity_check import check_data
    from revisit.errors import InvalidInputError
    from revisit.services.operations.doctor import check_deployment
    from revisit.services.operations.doctor import check_installation as examine

    if project_of(data, project) is None:
        findings = examine(data_folder(data), lambda: open_backend(data), check_data, not offline, rebuild)
    elif rebuild:
        raise InvalidInputError("a deployment's catalog has no index to be made again; leave out --rebuild")
    else:
        findings = check_deployment(open_backend(data, project), not offline)
    if json:
        print_json(
            {"findings": [{"check": one.check, "ok": one.ok, "sentence": one.message} for one in findings]}
        )
    else:
        for one in findings:
            print(f"{'ok     ' if one.ok else 'PROBLEM'}  {strip_control_characters(one.message)}")
    if not all(one.ok for one in findings):
        raise typer.Exit(1)
