"""Settings of a deployment, read from the environment and validated."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from revisit.domain.job import STALL_AFTER
from revisit.domain.webhook_secret import parse_key
from revisit.errors import InvalidInputError

EMULATOR_VARIABLES = (
    "FIRESTORE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "BIGQUERY_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
)
"""Variables by which Google's client libraries find an emulator."""

SIGNING_KEY_VARIABLE = "REVISIT_SIGNING_KEY"
_PROJECT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_NAME_PATTERNS = {
    "REVISIT_DATABASE": re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]"),
    "REVISIT_DATASET": re.compile(r"[A-Za-z0-9_]{1,1024}"),
    "REVISIT_BUCKET": re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
    "REVISIT_LOCATION": re.compile(r"[A-Za-z]+[A-Za-z0-9-]*"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one deployment."""

    project: str
    """REVISIT_PROJECT."""
    bucket: str = ""
    """REVISIT_BUCKET: bucket of the assets; by default PROJECT-revisit-results."""
    database: str = "(default)"
    """REVISIT_DATABASE: Firestore database."""
    dataset: str = "revisit"
    """REVISIT_DATASET: BigQuery dataset."""
    location: str = "europe-west1"
    """REVISIT_LOCATION: region of bucket, dataset and functions."""
    sources: tuple[str, ...] = ()
    """REVISIT_SOURCES: SPECs that a refresh lists, separated by spaces."""
    base_url: str = ""
    """REVISIT_BASE_URL: public URL of the API."""
    signer: str = ""
    """REVISIT_SIGNER: e-mail of the service account that signs URLs; by default the running one."""
    allowed_origins: tuple[str, ...] = ()
    """REVISIT_SITES: origins that may call the API (CORS), separated by spaces."""
    operators: tuple[str, ...] = ()
    """REVISIT_OPERATORS: verified e-mail addresses of the operators, separated by spaces."""
    webhook_key: bytes = field(default=b"", repr=False)
    """REVISIT_SIGNING_KEY: key that webhook secrets are derived from; Secret Manager provides it to `api` and
    `deliver` only."""
    stall_after: timedelta = STALL_AFTER
    """REVISIT_STALL_SECONDS: time after which the event of an open job is published again whose state has not
    changed."""
    auth_emulator: str = ""
    """FIREBASE_AUTH_EMULATOR_HOST: emulator of Identity Platform, for demonstration projects only."""

    def __post_init__(self) -> None:
        if not self.bucket:
            object.__setattr__(self, "bucket", f"{self.project}-revisit-results")

    @property
    def uses_emulator(self) -> bool:
        """Whether an emulator replaces any of Google's services."""
        return any(os.environ.get(name) for name in EMULATOR_VARIABLES)

    @property
    def pubsub_url(self) -> str:
        """Base URL of Pub/Sub."""
        emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
        return f"http://{emulator}" if emulator else "https://pubsub.googleapis.com"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate the environment.

    Raises:
        InvalidInputError: A variable is missing or invalid; the message names it and the remedy.
    """
    project = environment.get("REVISIT_PROJECT", "").strip()
    if not project:
        emulator = next((name for name in EMULATOR_VARIABLES if environment.get(name)), None)
        because = f"{emulator} names an emulator but " if emulator else ""
        raise InvalidInputError(
            f"{because}REVISIT_PROJECT is {'empty' if 'REVISIT_PROJECT' in environment else 'not set'}: "
            "set it to the id of your Google Cloud project, such as revisit-lakes"
        )
    if not _PROJECT_ID.fullmatch(project):
        raise InvalidInputError(
            f"REVISIT_PROJECT {project!r} is not a project id (6 to 30 small letters, digits and hyphens); "
            "see `gcloud projects list`, column PROJECT_ID"
        )
    for name, form in _NAME_PATTERNS.items():
        value = environment.get(name, "").strip()
        if value and not form.fullmatch(value):
            raise InvalidInputError(
                f"{name} {value!r} is not a name that Google Cloud accepts; correct it or leave it out"
            )
    given = {
        name: environment[variable].strip()
        for name, variable in _FIELD_VARIABLES.items()
        if environment.get(variable, "").strip()
    }
    stall = environment.get("REVISIT_STALL_SECONDS", "").strip()
    if stall and not (stall.isdecimal() and 1 <= int(stall) <= 86_400):
        raise InvalidInputError(f"REVISIT_STALL_SECONDS {stall!r} is not a number from 1 to 86400")
    key = environment.get(SIGNING_KEY_VARIABLE, "").strip()
    return Settings(
        project,
        sources=tuple(environment.get("REVISIT_SOURCES", "").split()),
        allowed_origins=tuple(environment.get("REVISIT_SITES", "").split()),
        operators=tuple(environment.get("REVISIT_OPERATORS", "").split()),
        webhook_key=parse_key(key, SIGNING_KEY_VARIABLE) if key else b"",
        stall_after=timedelta(seconds=int(stall)) if stall else STALL_AFTER,
        auth_emulator=environment.get("FIREBASE_AUTH_EMULATOR_HOST", "").strip(),
        **given,
    )


_FIELD_VARIABLES = {
    "bucket": "REVISIT_BUCKET",
    "database": "REVISIT_DATABASE",
    "dataset": "REVISIT_DATASET",
    "location": "REVISIT_LOCATION",
    "base_url": "REVISIT_BASE_URL",
    "signer": "REVISIT_SIGNER",
}
