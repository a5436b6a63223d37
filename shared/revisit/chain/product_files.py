"""Files of a job's products, from the first of their sources that has them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from revisit.domain.bands import BandFiles
from revisit.domain.job import Job
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.ports.backend import Backend


def try_sources(job: Job, process: Callable[[Job], None]) -> None:
    """Process a job with its product from the first source that it can be read from.

    Args:
        job: A job; its alternates are tried in their order.
        process: Processes a job whose `product` is as one source has it; raises what that source lacks.

    Raises:
        TransientError: A source does not answer, and no other has the product.
        PermanentError: No source has it; the message names each that was tried.
    """
    failures: list[tuple[str, PermanentError]] = []
    unavailable: TransientError | None = None
    for product in copies_of(job.product, job):
        others = tuple(one for one in (job.product, *job.alternates) if one != product)
        try:
            process(job if product == job.product else job.with_changes(product=product, alternates=others))
        except PermanentError as error:
            failures.append((product.source, error))
        except TransientError as error:
            unavailable = unavailable or error
        else:
            return
    if unavailable:
        raise unavailable
    if len(failures) == 1:
        raise failures[0][1]
    raise PermanentError("; ".join(f"{source}: {error}" for source, error in failures))


def copies_of(product: Product, job: Job) -> Iterator[Product]:
    """A product of a job, and the same product as other sources have it, in the order to try."""
    yield product
    used = {(one.id, one.source) for one in job.products}
    others = [one for one in job.alternates if (one.id, one.source) not in used]
    is_alone = sum(one.acquisition == product.acquisition for one in job.products) == 1
    for one in others:
        # Another source may name a product otherwise; which part of an acquisition it has is not known then.
        if one.id == product.id or (is_alone and one.acquisition == product.acquisition):
            yield one


@dataclass(slots=True)
class PartFiles:
    """Finds the files of a job's further products, and knows which source they came from."""

    job: Job
    backend: Backend
    found: dict[tuple[str, str], Product] = field(default_factory=dict)
    """Id and source of a product -> the product as the source has it that its files are read from."""

    def find(self, product: Product) -> BandFiles:
        """The band files of a product.

        Raises:
            PermanentError, TransientError: As for `Source.bands`, of the last source that was tried.
        """
        copies = list(copies_of(product, self.job))
        for copy in copies:
            try:
                files = self.backend.source(copy.source).bands(copy)
            except (PermanentError, TransientError):
                if copy == copies[-1]:
                    raise
                continue
            self.found[product.id, product.source] = copy
            return files
        raise PermanentError(f"no source has {product.id}")

    def read_from(self, product: Product) -> Product:
        """The product as the source has it that its files are read from."""
        return self.found.get((product.id, product.source), product)
