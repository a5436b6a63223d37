"""Commands `revisit keys` and `revisit account`: API keys, and export and deletion of a user's data."""

from typing import Annotated

import typer

from revisit.cli.console import format_minute, print_json, print_message, print_table
from revisit.cli.options import Data, Json, Project, open_backend, split_names

Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        help="Id of the user who owns the keys; in a deployment, the uid of the account.",
        metavar="UID",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Create, list and revoke API keys.")
    for command, name in ((create, "create"), (list_, "list"), (revoke, "revoke")):
        keys.command(name)(command)
    app.add_typer(keys, name="keys")
    account = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Export or delete all data of a user."
    )
    account.command("export")(export)
    account.command("delete")(delete)
    app.add_typer(account, name="account")


def create(
    name: Annotated[str, typer.Option("--name", help="Name.", metavar="T", show_default=False)],
    scope: Annotated[
        str,
        typer.Option(
            "--scope", help="Scopes of the key: read, write, operator; comma-separated.", metavar="A,B"
        ),
    ] = "read",
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            help="Days until it expires; default: the maximum for its scopes.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Create a key (shown once)."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import create_key

    backend = open_backend(data, project)
    key, secret = create_key(backend, name, split_names(scope), days, owner)
    if json:
        print_json({**documents.api_key(key, backend.now()), "secret": secret})
    else:
        print(secret)
        print_message(
            f"send it as `Authorization: Bearer KEY`; scopes {', '.join(key.scopes)}; "
            f"expires {key.expires:%Y-%m-%d}; save it, it is not shown again"
        )


def list_(owner: Owner = "local", json: Json = False, data: Data = None, project: Project = None) -> None:
    """List all keys."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import list_keys

    backend = open_backend(data, project)
    rows = [documents.api_key(key, backend.now()) for key in list_keys(backend, owner)]
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
        print_message("no keys; `revisit keys create` creates one")


def revoke(
    id: Annotated[str, typer.Argument(help="Id of the key, from `revisit keys list`.", metavar="KEY")],
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Revoke a key."""
    from revisit.presenters import documents
    from revisit.services.accounts.keys import revoke_key

    backend = open_backend(data, project)
    key = revoke_key(backend, id, owner)
    if json:
        print_json(documents.api_key(key, backend.now()))
    else:
        print_message(f"key {key.name} is revoked")


def export(owner: Owner = "local", data: Data = None, project: Project = None) -> None:
    """Print all data of a user as JSON."""
    from revisit.services.accounts.account import export_account

    print_json(export_account(open_backend(data, project), owner))


def delete(
    owner: Annotated[
        str,
        typer.Option(
            "--owner", help="Id of the user: the uid of the account.", metavar="UID", show_default=False
        ),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it, only show what would be deleted.")
    ] = False,
    json: Json = False,
    data: Data = None,
    project: Project = None,
) -> None:
    """Delete all records and files of a user."""
    from revisit.errors import InvalidInputError
    from revisit.services.accounts.account import delete_account, export_account

    backend = open_backend(data, project)
    if not yes:
        counts = {
            name: len(value)
            for name, value in export_account(backend, owner).items()
            if isinstance(value, list) and value
        }
        raise InvalidInputError(
            f"this would permanently delete {_format_counts(counts)} of {owner!r}; add --yes to do it"
        )
    deleted = delete_account(backend, owner)
    if json:
        print_json(deleted)
        return
    print_message(f"deleted {_format_counts(deleted['deleted'])}")


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
