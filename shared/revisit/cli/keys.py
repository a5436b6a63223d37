"""`revisit keys` and `revisit account`: what programs carry in their owner's place, and all that is an
owner's."""

from typing import Annotated

import typer

from revisit.cli.console import format_minute, print_json, print_message, print_table
from revisit.cli.options import Data, Json, Project, open_backend, split_names

Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        help="Id of the user whose keys they are; in a deployment the uid of their account.",
        metavar="UID",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    many = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Create, list and revoke keys for programs that ask the API.",
    )
    for command, name in ((create, "create"), (list_, "list"), (revoke, "revoke")):
        many.command(name)(command)
    app.add_typer(many, name="keys")
    whole = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Export and delete all that is a user's."
    )
    whole.command("export")(export)
    whole.command("delete")(delete)
    app.add_typer(whole, name="account")


def create(
    name: Annotated[str, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)],
    scope: Annotated[
        str,
        typer.Option(
            "--scope", help="What it is good for: read, write, operator, separated by commas.", metavar="A,B"
        ),
    ] = "read",
    days: Annotated[
        int | None,
        typer.Option(
            "--days", help="How long; else as long as its scope allows.", metavar="N", show_default=False
        ),
    ] = None,
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Make a key and print it, this once."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import create_key

    backend = open_backend(data, project)
    made, text = create_key(backend, name, split_names(scope), days, owner)
    if json:
        print_json({**documents.api_key(made, backend.now()), "secret": text})
    else:
        print(text)
        print_message(
            f"send it as Authorization: Bearer ...; good for {' and '.join(made.scopes)} until {made.expires:%Y-%m-%d}; keep it, it is never shown again"
        )


def list_(owner: Owner = "local", json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all keys."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import list_keys

    backend = open_backend(data, project)
    rows = [documents.api_key(one, backend.now()) for one in list_keys(backend, owner)]
    if json:
        print_json({"keys": rows})
        return
    print_table(
        ("NAME", "STATE", "SCOPES", "CREATED", "EXPIRES", "USED", "KEY"),
        [
            (
                row["name"],
                row["state"],
                " ".join(row["scopes"]),
                format_minute(row["created"]),
                format_minute(row["expires"]),
                row["used"],
                row["key"],
            )
            for row in rows
        ],
        optional=("CREATED", "USED"),
    )
    if not rows:
        print_message("there is none; `revisit keys create` makes one")


def revoke(
    id: Annotated[str, typer.Argument(help="Id of the key, as `revisit keys list` tells it.", metavar="KEY")],
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Have a key open nothing any more."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import revoke_key

    backend = open_backend(data, project)
    done = revoke_key(backend, id, owner)
    if json:
        print_json(documents.api_key(done, backend.now()))
    else:
        print_message(f"key {done.name} opens nothing any more")


def export(owner: Owner = "local", data: Data = None, project: Project = None) -> None:
    """Print all that is kept of a user, as JSON."""
    from revisit.services.accounts.account import export_account as tell

    print_json(tell(open_backend(data, project), owner))


def delete(
    owner: Annotated[
        str,
        typer.Option(
            "--owner", help="Id of the user: the uid of their account.", metavar="UID", show_default=False
        ),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without this it is only said what would be done.")
    ] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Delete every record and every file of a user."""
    from revisit.errors import InvalidInputError
    from revisit.services.accounts.account import delete_account
    from revisit.services.accounts.account import export_account as tell

    backend = open_backend(data, project)
    if not yes:
        told = {
            name: len(value)
            for name, value in tell(backend, owner).items()
            if isinstance(value, list) and value
        }
        raise InvalidInputError(
            f"this would delete {_format_counts(told)} of {owner!r} for good; add --yes to do it"
        )
    done = delete_account(backend, owner)
    if json:
        print_json(done)
        return
    print_message(f"deleted {_format_counts(done['deleted'])}")


def _format_counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items()) or "nothing"
