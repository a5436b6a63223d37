"""What Revisit asks of the place it lives in, by ability; answered by `revisit.local`, and by any other home in the same words.

`tests/ports` puts the same questions to every answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from revisit.bands import BandFile, SourceFile
from revisit.bookkeeping import DeadLetter
from revisit.condition import Condition
from revisit.job import Asset, Lane
from revisit.product import Level, Product
from revisit.wire import Envelope

if TYPE_CHECKING:
    import pyarrow as pa


# ---------------------------------------------------------------------------------------------------------------- catalog


@dataclass(frozen=True, slots=True)
class Query:
    """Which products to find; every condition given must hold."""

    tiles: tuple[str, ...] = ()
    """MGRS tiles; empty means any."""
    bounds: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west > east crosses the antimeridian. Bounds overlap, exact geometry is the caller's."""
    start: datetime | None = None
    """Sensed at or after."""
    end: datetime | None = None
    """Sensed at or before."""
    max_cloud: float | None = None
    """Percent; products that do not state their cloud cover are found too."""
    level: Level | None = None
    source: str = ""
    """SPEC; empty means any."""
    ids: tuple[str, ...] = ()
    """Only these; empty means any."""
    condition: Condition | None = None
    """What else their columns must hold."""
    latest_first: bool = False
    """Whether the order runs backward."""
    after: str = ""
    """The `next` of the page before."""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Products by (sensing_time, id, source), forward or backward, and where to go on."""

    products: tuple[Product, ...]
    next: str = ""
    """Give it as `after` to get what follows; empty at the end."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current one source is."""

    source: str
    rows: int
    """Products known from it."""
    last_sensing: datetime | None = None
    last_published: datetime | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """Products that lie where the catalog does, and need not travel: from a source of the same home, for its catalog only."""

    text: str
    """What stands for them in that catalog's language."""
    values: Mapping[str, Any]
    """That go with the text."""
    rows: int
    start: datetime | None
    end: datetime | None
    """In which they, and all versions of them, were sensed; None where that is not known."""


class Catalog(Protocol):
    """All products known, found by tile, place, time and cloud; a log that can also be read in the order it grew.

    Batches are pyarrow tables of `revisit.catalog_schema.SCHEMA`: many million rows pass here, one Python object each would not do.
    """

    def unseen(self, source: str, ids: "pa.Array | Sequence[str]") -> "Any":
        """Which of the ids are not in the catalog from this source: a numpy bool array of the same length."""
        ...

    def add(self, batch: "pa.Table | Staged") -> int:
        """Merge products by (source, id, published), durably, all or nothing; returns how many were new. Never appends twice."""
        ...

    def get(self, product: str, source: str = "") -> Product | None:
        """The product of that id, the one published last where there are several."""
        ...

    def search(self, query: Query) -> Page:
        """Products that meet the query, in its order; stable under additions between two pages."""
        ...

    def added_after(self, cursor: int, limit: int = 10_000, past: Mapping[str, datetime] | None = None) -> "tuple[list[Product], int]":
        """Products in the order they were added, and the cursor to go on from; 0 is the beginning.

        Args:
            past: Source and a moment: its products sensed before it are passed over, at a small part of what reading them costs.
        """
        ...

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        ...


# ---------------------------------------------------------------------------------------------------------------- sources


@dataclass(slots=True)
class Listing:
    """What a source has, batch by batch; the other fields are right once `batches` is used up."""

    batches: "Iterator[pa.Table | Staged]"
    """Products that the catalog had not seen, of `revisit.catalog_schema.SCHEMA`; never all in memory at once."""
    rows: int = 0
    """Products read, known ones included."""
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """(row or name, reason) of what could not be understood: at most the first 1,000; the refresh goes on without them."""
    rejections: int = 0
    """How many there were in all."""
    unchanged: bool = False
    """Nothing was read because nothing changed (ETag)."""
    unfinished: bool = False
    """There is more, for which there was no time: the next listing goes on, and says how many rows there are."""
    state: dict[str, Any] = field(default_factory=dict)
    """To be given back at the next listing: watermark, ETag. Only stored after the batches are."""


class Source(Protocol):
    """Where products are found and their bands read."""

    spec: str
    """As the user wrote it: folder:PATH, google-index:PATH-or-URL, stac:URL#collection."""
    announces_all: bool
    """Whether its first listing is news as a whole (a folder) or history but for the last 10 days (a feed)."""

    def listing(self, state: dict[str, Any], unseen: "Callable[[Any], Any]", now: datetime) -> Listing:
        """What is there now and the catalog has not seen.

        Args:
            state: Of the listing before; empty the first time. Feeds read on from its watermark less 24 h, and all of the last
                10 days once a day.
            unseen: Takes ids, gives the numpy bool array of those the catalog lacks.
            now: The present.

        Raises:
            Retry: The source does not answer, or is cut off in the middle.
            GiveUp: It is not what the SPEC says, its columns changed, or it is empty where it was not before.
        """
        ...

    def check(self) -> None:
        """Ask it one small question, as `revisit doctor` does.

        Raises:
            Retry: It does not answer.
            GiveUp: It is not there, or not what the SPEC says.
        """
        ...

    def bands(self, product: Product) -> dict[str, BandFile]:
        """The band files of a product by band name (B02, SCL), with scale and offset from its own metadata.

        Raises:
            Retry: The source does not answer.
            GiveUp: The metadata cannot be read or names files outside the source.
        """
        ...

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product, with sizes and checksums where the source states them.

        Raises:
            Retry: The source does not answer.
            GiveUp: There is no such product, or it names files outside the source.
        """
        ...


# ---------------------------------------------------------------------------------------------------------------- records


class Reader(Protocol):
    """Records by id and by their indexed fields (`revisit.records.KINDS`)."""

    def get[T](self, kind: type[T], id: str) -> T | None:
        """The record, or None."""
        ...

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        """Records whose indexed fields equal the values given, by id; a field that is a tuple matches if it contains the value.

        Args:
            after: Id of the last record of the page before.
        """
        ...

    def count(self, kind: type[Any], **fields: Any) -> int:
        """How many records `find` would give, page after page."""
        ...


class Transaction(Protocol):
    """Reads, then writes, all or nothing. Reads after the first write are refused, as Firestore refuses them."""

    def get[T](self, kind: type[T], id: str) -> T | None: ...

    def put(self, record: Any) -> None:
        """Write a record of a known kind, whether or not it is there."""
        ...

    def delete(self, kind: type[Any], id: str) -> None: ...

    def marked(self, mark: str) -> bool:
        """Whether a dedupe mark has been set."""
        ...

    def mark(self, mark: str) -> None:
        """Set a dedupe mark; marks are kept 30 days."""
        ...

    def send(self, envelope: Envelope) -> None:
        """Put an event into the outbox; an event of the same id that is still in it is not doubled."""
        ...


class Records(Reader, Protocol):
    """Subscriptions, orders, jobs, alerts, deliveries: small values, each written whole."""

    def transact[T](self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one serialisable transaction; it may be run again if another one got in between, so it must only read
        and write through the transaction. What it raises undoes everything.

        Raises:
            Retry: The store is busy or full; nothing was written.
        """
        ...


# ----------------------------------------------------------------------------------------------------------- assets and bus


class Assets(Protocol):
    """Files that jobs made, under content-addressed names; visible whole or not at all."""

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        """Move a finished local file in under `path` (relative, '/'-separated). There already: the same success.

        Raises:
            Retry: The disk is full or the store does not answer; nothing is visible.
        """
        ...

    def locate(self, path: str) -> str:
        """Where GDAL reads it: a local path or a /vsigs/ path."""
        ...

    def read(self, path: str) -> bytes:
        """The whole file.

        Raises:
            NotFound: There is none.
        """
        ...

    def link(self, path: str, seconds: float, name: str = "") -> str | None:
        """An address that lets its bearer read this one asset for a while; None where the API hands it out itself.

        Whoever asks has been found to have a right to it. The address is a secret: it is not written into a log.

        Args:
            seconds: How long it holds, a day at most.
            name: What the file is called where it is saved.

        Raises:
            Retry: Whoever signs it does not answer.
            GiveUp: The account may not sign.
        """
        ...

    def remove(self, path: str) -> int:
        """Take a file, or all that lies below a folder, away for good; returns how many files. What is not there is gone already.

        Raises:
            Retry: The disk fails or the store does not answer; some may be gone.
        """
        ...

    def workspace(self) -> Path:
        """A local folder for unfinished files, on the same disk where there is one; left-overs are cleared at start."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way to one function."""

    id: str
    function: str
    """Name of the function's folder."""
    body: bytes
    """`Envelope.encode`."""
    attempt: int
    """1 at the first delivery; also the fencing number of the lease."""
    lane: Lane


@dataclass(frozen=True, slots=True)
class Depth:
    """What one function has before it, in one lane."""

    function: str
    lane: Lane
    ready: int
    leased: int
    delayed: int
    """Waiting for their next attempt."""
    oldest_s: float
    """Age of the oldest message, seconds."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a service that carries messages says it holds."""

    depths: tuple[Depth, ...] = ()
    """All that is not yet answered for counts as ready."""
    at: datetime | None = None
    """Of the figures, where they are not of now."""
    note: str = ""
    """Why there are none; empty where there are."""


class Bus(Protocol):
    """Carries what the outbox holds to the functions that want it."""

    def relay(self) -> int:
        """Publish what a crash left in the outbox; returns how many."""
        ...

    def collect(self, keep: Callable[[DeadLetter], None]) -> int:
        """Hand over what the bus gave up by itself, since nobody ever answered; each is let go once `keep` returns. Returns how many."""
        ...

    def depth(self) -> list[Depth]:
        """What is queued, by function and lane; where a service carries it, what that does not have yet."""
        ...

    def carried(self) -> Carried:
        """What such a service holds. It is asked for what it says of itself, and not in vain: where it does not answer, that is noted."""
        ...
