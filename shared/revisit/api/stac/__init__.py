"""/stac: a STAC API 1.0 over the catalog and the user's own results."""

from revisit.api.stac import assets, items, landing_page, statistics_export

ROUTES = (*landing_page.ROUTES, *items.ROUTES, *assets.ROUTES, *statistics_export.ROUTES)
