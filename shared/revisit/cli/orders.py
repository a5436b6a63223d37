"""`revisit orders`: those that were placed, how far they are, and taking one back."""

from typing import Annotated, Any

import typer

from revisit.cli.options import Data, Json, Project, opened, places
from revisit.cli.screen import minute, percent, print_json, print_table, say

Id = Annotated[str, typer.Argument(help="Id of an order.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    many = typer.Typer(help="Show orders, or take one back.", no_args_is_help=True)
    for command, name in ((list_, "list"), (show, "show"), (cancel, "cancel")):
        many.command(name)(command)
    app.add_typer(many, name="orders")


def list_(json: Json = False, data: Data = None, project: Project = None) -> None:
    """List orders, the newest first."""
    from revisit.commands import orders, shown

    placed = [shown.order_line(one) for one in orders(opened(data, project))]
    if json:
        print_json({"orders": placed})
    else:
        print_table(("ORDER", "STATE", "OPEN", "OF", "PLACED", "RECIPE"),
                    [(one["order"], one["state"], one["open"], one["total"], minute(one["created"]), _recipe(one)) for one in placed], ("OPEN", "OF"))


def show(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Show how far an order is, what was expected of it and what it took."""
    from revisit.commands import order_of, results, shown_orders

    backend = opened(data, project)
    placed = order_of(backend, id)
    _print(shown_orders.order(placed, results(backend, id), backend.now(), places(backend)), json)


def cancel(id: Id, json: Json = False, data: Data = None, project: Project = None) -> None:
    """Take an order back: what of it has not ended is not worked."""
    from revisit.commands import results, shown_orders
    from revisit.commands.cancelling import cancel as take_back

    backend = opened(data, project)
    over = take_back(backend, id)
    _print(shown_orders.order(over, results(backend, id), backend.now(), places(backend)), json)
    if not over.cancelled:
        say(f"order {id} had finished before; nothing of it was left to take back")


def _print(told: dict[str, Any], json: bool) -> None:
    if json:
        print_json(told)
        return
    far, expected, took = told["progress"], told["estimate"] or {}, told["actual"]
    print_table(("", ""), [
        ("order", told["order"]), ("state", told["state"]), ("placed", minute(told["created"])), ("age in seconds", told["age_s"]),
        ("done", far["done"]), ("skipped", far["skipped"]), ("failed", far["failed"]), ("open", far["open"]), ("worked", percent(far["share"]))])
    print_table(("", "EXPECTED", "SO FAR"), [(name.replace("_", " "), _count(expected.get(name)), _count(took[name]))
                                             for name in ("pixels", "bytes_read", "bytes_written", "seconds")], ("EXPECTED", "SO FAR"))
    for job in told["jobs"]:
        if job["reason"]:
            say(f"{job['acquisition']} {job['state']}: {job['reason']}")


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _recipe(one: dict[str, Any]) -> str:
    return ",".join((*one["recipe"]["indices"], *one["recipe"]["bands"]))
