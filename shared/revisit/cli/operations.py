"""`revisit status`, `doctor` and `dead-letters`: how things stand, and putting them right."""

from typing import Annotated, Any

import typer

from revisit.cli.console import minute, plain, print_json, print_table, say
from revisit.cli.options import Data, Json, Project, data_folder, opened, project_of

Id = Annotated[str, typer.Argument(help="Id of the dead letter.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    letters = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show and replay messages that could not be handled.")
    for command, name in ((list_, "list"), (show, "show"), (replay, "replay")):
        letters.command(name)(command)
    app.add_typer(letters, name="dead-letters")
    app.command()(status)
    app.command()(doctor)


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all dead letters."""
    from revisit.presenters import documents
    from revisit.services import dead_letters

    rows = [documents.dead_letter(letter) for letter in dead_letters(opened(data, project))]
    if json:
        print_json({"dead_letters": rows})
        return
    print_table(("AT", "FUNCTION", "TRIES", "REASON", "ID"), [(minute(row["at"]), row["function"], row["attempts"], row["reason"], row["id"]) for row in rows], ("TRIES",))
    if not rows:
        say("there is none")


def show(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show one dead letter with its event."""
    from revisit.presenters import documents
    from revisit.services import dead_letter

    value = documents.dead_letter(dead_letter(opened(data, project), id), body=True)
    if json:
        print_json(value)
    else:
        print_table(("", ""), list(value.items()))


def replay(
    id: Annotated[str, typer.Argument(help="Id of the dead letter; none with --all.", metavar="ID", show_default=False)] = "",
    every: Annotated[bool, typer.Option("--all", help="Replay all of them.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Send a dead letter's event again."""
    from revisit.errors import BadInput, Conflict
    from revisit.services import dead_letters
    from revisit.services import replay as again

    if bool(id) == every:
        raise BadInput("name one dead letter, or --all of them")
    backend = opened(data, project)
    sent, kept = [], []
    for one in [id] if id else [letter.id for letter in dead_letters(backend)]:
        try:
            sent.append(again(backend, one).id)
        except Conflict as error:
            if id:
                raise
            kept.append(str(error))
    if json:
        print_json({"replayed": sent, "kept": kept})
    say(f"{len(sent)} sent again" + (f", {len(kept)} kept: {kept[0]}" if kept else ""))
    if kept:
        raise typer.Exit(1)


def status(json: Json = False, data: Data = None, project: Project = None) -> None:
    """Tell how things stand."""
    from revisit.embedded.lock import server_of
    from revisit.services import status as stand

    deployment = project_of(data, project)
    value = stand(opened(data, project))
    if deployment is None:
        value["data"], value["server"] = str(data_folder(data)), server_of(data_folder(data))
    else:
        value["project"] = deployment
    if json:
        print_json(value)
        return
    queue = value["queue"]
    place = [("project", deployment)] if deployment else [("data folder", value["data"]), ("served at", value["server"] or "nowhere; `revisit serve` starts")]
    print_table(("", ""), [
        ("version", value["version"]), *place, ("queue", _depth(queue)),
        ("subscriptions", _counts(value["subscriptions"])), ("jobs", _counts(value["jobs"])), ("alerts", value["alerts"]),
        ("deliveries", _counts(value["deliveries"])), ("dead letters", value["dead_letters"]),
    ])
    print_table(("SOURCE", "PRODUCTS", "LATEST SENSING", "LAG", "REFRESHED", "ERROR"),
                [(one["source"], one["products"], minute(one["last_sensing"]), _span(one["lag_hours"]), minute(one["refreshed"]), one["error"])
                 for one in value["sources"]], ("PRODUCTS", "LAG"), spare=("REFRESHED",))
    if queue["note"]:
        say(queue["note"])


def _depth(queue: dict[str, Any]) -> str:
    then = f" (Pub/Sub's part as of {minute(queue['as_of'])})" if queue["as_of"] else ""
    if not queue["ready"] + queue["leased"] + queue["delayed"]:
        return f"empty{then}"
    return f"{queue['ready']:,} ready, {queue['leased']:,} in hand, {queue['delayed']:,} to be tried again, the oldest {queue['oldest_s']:g} s old{then}"


def _span(hours: float | None) -> str | None:
    if hours is None:
        return None
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in values.items() if count) or "none"


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the sources.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the catalog's index again from its log first.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Look for everything that may be wrong; exit code 1 if something is."""
    from revisit.adapters.local.integrity_check import check_data
    from revisit.errors import BadInput
    from revisit.services.operations.doctor import deployment_doctor
    from revisit.services.operations.doctor import doctor as examine

    if project_of(data, project) is None:
        findings = examine(data_folder(data), lambda: opened(data), check_data, not offline, rebuild)
    elif rebuild:
        raise BadInput("a deployment's catalog has no index to be made again; leave out --rebuild")
    else:
        findings = deployment_doctor(opened(data, project), not offline)
    if json:
        print_json({"findings": [{"check": one.check, "ok": one.ok, "sentence": one.sentence} for one in findings]})
    else:
        for one in findings:
            print(f"{'ok     ' if one.ok else 'PROBLEM'}  {plain(one.sentence)}")
    if not all(one.ok for one in findings):
        raise typer.Exit(1)
