"""The only caller of BigQuery: every query has a limit of what it may cost, and every failure is a sentence."""

import random
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from revisit.adapters.gcp.bigquery_settings import PATIENCE, ROWS
from revisit.adapters.gcp.catalog_check import check
from revisit.adapters.gcp.catalog_sql import Question, Tables
from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.errors import GiveUp, Retry

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

MAX_BYTES = 2 * 10**9
"""What one query may read, and so cost; a load of a whole index names its own limit."""
SECONDS = 60.0
"""Longest a question may take, its tries included."""
PATIENCE_S = 120.0
"""An addition that others get in the way of is not begun again later than this."""
ROLE = "roles/bigquery.dataEditor on the dataset and roles/bigquery.jobUser on the project"
LABELS = {"suite": "revisit"}


class TooMuch(GiveUp):
    """The query would read more than it may; nothing was read and nothing is charged."""


class _Contended(Retry):
    """Another transaction was quicker."""


def client_of(settings: Settings) -> "Client":
    """The client of a deployment's dataset."""
    with asking("BigQuery", f"the project {settings.project}", ROLE):
        return bigquery.Client(settings.project, AnonymousCredentials() if settings.emulated else None,
                               location=settings.location)


class Asker:
    """Asks BigQuery about one dataset."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.dataset = f"{settings.project}.{settings.dataset}"
        self.tables = Tables(*(self.named(name) for name in ("product", "addition", "turn")))

    def named(self, table: str) -> str:
        """A table of the dataset as a text has it."""
        return f"`{self.dataset}.{table}`"

    @cached_property
    def client(self) -> "Client":
        """Made on first use, and handed out once the dataset lies where it should and its tables are those that the texts know: four
        small requests, which cost nothing, before anything is read or written.

        Raises:
            Retry: BigQuery does not answer.
            GiveUp: They are not, or the account may not see them.
        """
        if faults := check(self, self._settings.location):
            raise GiveUp(faults[0])
        return self.unchecked

    @cached_property
    def unchecked(self) -> "Client":
        """For whoever looks whether all is well."""
        return client_of(self._settings)

    def ask(self, question: Question, limit: int = MAX_BYTES, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """The rows of the answer.

        Args:
            limit: Bytes the query may read.
            seconds: How long it may take.

        Raises:
            TooMuch: It would read more.
            Retry: BigQuery does not answer.
            GiveUp: It refuses, or the tables are not those that Revisit knows.
        """
        config = bigquery.QueryJobConfig(query_parameters=[_parameter(*one) for one in question.values.items()], maximum_bytes_billed=limit,
                                         use_legacy_sql=False, labels=LABELS)
        with self.asking():
            job = self.client.query(question.text, job_config=config, timeout=seconds, retry=PATIENCE)
            return [dict(row.items()) for row in job.result(timeout=seconds, retry=PATIENCE)]

    def transact(self, question: Question, limit: int = MAX_BYTES, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """As `ask`, begun anew where another transaction was quicker."""
        until, longest = time.monotonic() + PATIENCE_S, 0.5
        while True:
            try:
                return self.ask(question, limit, seconds)
            except _Contended:
                if time.monotonic() > until:
                    raise
                # A different wait for each lets one of them through.
                time.sleep(random.uniform(0, longest))  # noqa: S311
                longest = min(2 * longest, 8.0)

    def asking(self) -> "_Sentences":
        """Say in one sentence why BigQuery did not do what was asked."""
        return _Sentences(self._settings)


class _Sentences:
    """What BigQuery answers when it does not, as one of the two ways to fail."""

    def __init__(self, settings: Settings) -> None:
        self._dataset = f"{settings.project}.{settings.dataset}"
        self._location = settings.location
        self._outer = asking("BigQuery", f"the dataset {self._dataset}", ROLE)

    def __enter__(self) -> None:
        self._outer.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, exceptions.GoogleAPICallError) and (sentence := self._sentence(error)):
            raise sentence from error
        self._outer.__exit__(kind, error, trace)

    def _sentence(self, error: exceptions.GoogleAPICallError) -> Exception | None:
        said, reasons = str(error.message), {one.get("reason") for one in error.errors or ()}
        if "aborted due to concurrent update" in said or "write-write conflict" in said:
            return _Contended(f"others are adding to the dataset {self._dataset}; it is tried again later")
        if "bytesBilledLimitExceeded" in reasons or "exceeded limit for bytes billed" in said.lower():
            return TooMuch(f"BigQuery would read more than it may for this question to {self._dataset}; name a shorter period or a tile")
        if reasons & {"rateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded", "backendError"}:
            return Retry(f"BigQuery has no room for {self._dataset} just now: {said[:200]}")
        if isinstance(error, exceptions.NotFound):
            return GiveUp(f"BigQuery finds no such thing in {self._location} ({said.splitlines()[0][:200]}); run `terraform apply`, "
                          "or set REVISIT_DATASET and REVISIT_LOCATION as it printed them")
        if isinstance(error, exceptions.BadRequest):
            return GiveUp(f"BigQuery cannot do what was asked of {self._dataset}: {said.splitlines()[0][:300]}; "
                          "if its tables are of another version, run `terraform apply`")
        return None


_SCALARS = {str: "STRING", bool: "BOOL", int: "INT64", float: "FLOAT64", datetime: "TIMESTAMP"}


def _parameter(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return bigquery.ScalarQueryParameter(name, _SCALARS[type(value)], value)
    if value and isinstance(value[0], Mapping):
        return bigquery.ArrayQueryParameter(name, "RECORD", [_struct(row) for row in value])
    return bigquery.ArrayQueryParameter(name, "STRING", value)


def _struct(row: Mapping[str, Any]) -> Any:
    kinds = dict(ROWS)
    return bigquery.StructQueryParameter(None, *(bigquery.ScalarQueryParameter(name, kinds[name], value) for name, value in row.items()))
