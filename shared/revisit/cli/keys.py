"""`revisit keys` and `revisit account`: what programs carry in their owner's place, and all that is an owner's."""

from typing import Annotated

import typer

from revisit.cli.console import minute, print_json, print_table, say
from revisit.cli.options import Data, Json, Project, names, opened

Owner = Annotated[str, typer.Option("--owner", help="Id of the user whose keys they are; in a deployment the uid of their account.", metavar="UID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    many = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Create, list and revoke keys for programs that ask the API.")
    for command, name in ((create, "create"), (list_, "list"), (revoke, "revoke")):
        many.command(name)(command)
    app.add_typer(many, name="keys")
    whole = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Export and delete all that is a user's.")
    whole.command("export")(export)
    whole.command("delete")(delete)
    app.add_typer(whole, name="account")


def create(
    name: Annotated[str, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)],
    scope: Annotated[str, typer.Option("--scope", help="What it is good for: read, write, operator, separated by commas.", metavar="A,B")] = "read",
    days: Annotated[int | None, typer.Option("--days", help="How long; else as long as its scope allows.", metavar="N", show_default=False)] = None,
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Make a key and print it, this once."""
    from revisit.presenters import documents
    from revisit.services import make_key

    backend = opened(data, project)
    made, text = make_key(backend, name, names(scope), days, owner)
    if json:
        print_json({**documents.key(made, backend.now()), "secret": text})
    else:
        print(text)
        say(f"send it as Authorization: Bearer ...; good for {' and '.join(made.scopes)} until {made.expires:%Y-%m-%d}; keep it, it is never shown again")


def list_(owner: Owner = "local", json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all keys."""
    from revisit.presenters import documents
    from revisit.services import keys

    backend = opened(data, project)
    rows = [documents.key(one, backend.now()) for one in keys(backend, owner)]
    if json:
        print_json({"keys": rows})
        return
    print_table(("NAME", "STATE", "SCOPES", "CREATED", "EXPIRES", "USED", "KEY"),
                [(row["name"], row["state"], " ".join(row["scopes"]), minute(row["created"]), minute(row["expires"]), row["used"], row["key"]) for row in rows],
                spare=("CREATED", "USED"))
    if not rows:
        say("there is none; `revisit keys create` makes one")


def revoke(
    id: Annotated[str, typer.Argument(help="Id of the key, as `revisit keys list` tells it.", metavar="KEY")],
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Have a key open nothing any more."""
    from revisit.presenters import documents
    from revisit.services import revoke_key

    backend = opened(data, project)
    done = revoke_key(backend, id, owner)
    if json:
        print_json(documents.key(done, backend.now()))
    else:
        say(f"key {done.name} opens nothing any more")


def export(owner: Owner = "local", data: Data = None, project: Project = None) -> None:
    """Print all that is kept of a user, as JSON."""
    from revisit.services import export as tell

    print_json(tell(opened(data, project), owner))


def delete(
    owner: Annotated[str, typer.Option("--owner", help="Id of the user: the uid of their account.", metavar="UID", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would be done.")] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Delete every record and every file of a user."""
    from revisit.errors import BadInput
    from revisit.services import erase
    from revisit.services import export as tell

    backend = opened(data, project)
    if not yes:
        told = {name: len(value) for name, value in tell(backend, owner).items() if isinstance(value, list) and value}
        raise BadInput(f"this would delete {_counted(told)} of {owner!r} for good; add --yes to do it")
    done = erase(backend, owner)
    if json:
        print_json(done)
        return
    say(f"deleted {_counted(done['deleted'])}")


def _counted(numbers: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items()) or "nothing"
