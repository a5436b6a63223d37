"""`revisit keys`: what programs carry in their owner's place."""

from typing import Annotated

import typer

from revisit.cli.options import Data, Json, names, opened
from revisit.cli.screen import minute, print_json, print_table, say

Owner = Annotated[str, typer.Option("--owner", help="Id of the user whose keys they are; in a deployment the uid of their account.", metavar="UID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    many = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Create, list and revoke keys for programs that ask the API.")
    for command, name in ((create, "create"), (list_, "list"), (revoke, "revoke")):
        many.command(name)(command)
    app.add_typer(many, name="keys")


def create(
    name: Annotated[str, typer.Option("--name", help="What you call it.", metavar="T", show_default=False)],
    scope: Annotated[str, typer.Option("--scope", help="What it is good for: read, write, operator, separated by commas.", metavar="A,B")] = "read",
    days: Annotated[int | None, typer.Option("--days", help="How long; else as long as its scope allows.", metavar="N", show_default=False)] = None,
    owner: Owner = "local",
    json: Json = False,
    data: Data = None,
) -> None:
    """Make a key and print it, this once."""
    from revisit.commands import make_key, shown

    backend = opened(data)
    made, text = make_key(backend, name, names(scope), days, owner)
    if json:
        print_json({**shown.key(made, backend.now()), "secret": text})
    else:
        print(text)
        say(f"send it as Authorization: Bearer ...; good for {' and '.join(made.scopes)} until {made.expires:%Y-%m-%d}; keep it, it is never shown again")


def list_(owner: Owner = "local", json: Json = False, data: Data = None) -> None:
    """List all keys."""
    from revisit.commands import keys, shown

    backend = opened(data)
    rows = [shown.key(one, backend.now()) for one in keys(backend, owner)]
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
) -> None:
    """Have a key open nothing any more."""
    from revisit.commands import revoke_key, shown

    backend = opened(data)
    done = revoke_key(backend, id, owner)
    if json:
        print_json(shown.key(done, backend.now()))
    else:
        say(f"key {done.name} opens nothing any more")
