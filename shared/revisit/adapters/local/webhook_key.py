"""The key of a data folder that webhooks are signed with: a file that its user alone can read, made when it is first asked for."""

import contextlib
import os
import stat
from pathlib import Path
from secrets import token_hex

from revisit.adapters.local.disk_space import place
from revisit.atomic_write import carry_to_disk
from revisit.domain.webhook_secret import key_of, new_key
from revisit.errors import GiveUp

FILE = "signing.key"


def signing_key(data: Path) -> bytes:
    """The key of a data folder.

    Raises:
        BadInput: What is in the file is none.
        GiveUp: It can be neither read nor made.
    """
    file = data / FILE
    try:
        if not file.exists():
            _make(file)
        return key_of(file.read_text("ascii", "replace"), str(file))
    except OSError as error:
        raise GiveUp(f"{file}, which webhooks are signed with, cannot be read or made ({error.strerror}); make it readable") from error


def open_to_others(data: Path) -> bool:
    """Whether users other than its owner can read the key."""
    with contextlib.suppress(FileNotFoundError):
        return bool(stat.S_IMODE((data / FILE).stat().st_mode) & 0o077)
    return False


def _make(file: Path) -> None:
    """Whole or not at all; of several that make it at once, one does."""
    aside = file.with_name(f".{FILE}.{token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_key() + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        place(aside, file)
        carry_to_disk(file.parent)
    finally:
        aside.unlink(missing_ok=True)
