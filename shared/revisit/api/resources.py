"""What one application owns beside its backend: caches and thread pools."""

from dataclasses import dataclass

from revisit.api.stac.asset_resolver import AssetResolver
from revisit.ports.backend import Backend
from revisit.services.products.passes import RecentProducts


@dataclass(frozen=True, slots=True)
class AppResources:
    """Caches and thread pools of one application."""

    assets: AssetResolver
    recent_products: RecentProducts


def make_resources(backend: Backend) -> AppResources:
    """The resources of a new application."""
    return AppResources(AssetResolver(backend.source), RecentProducts(backend))
