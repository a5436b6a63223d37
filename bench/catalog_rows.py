"""Reproducible synthetic products on the real land tiles for the catalog's benchmarks.

Each row follows from its number; ids, URLs and values look like those of Google's index. Tiles, times and
cloud covers are uniform and in no order.
"""

from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from revisit.adapters.local.catalog import LocalCatalog

SOURCE = "google-index:https://example.org/L2/index.csv.gz"

_RANDOM_ROWS_SQL = """
select t.tile, t.west, t.south, t.east, t.north, h,
    'S2' || chr(65 + (h % 3)::int) as platform,
    timestamp '2016-01-01' + to_milliseconds((hash(i + 77) % (86400000 * 3800::ubigint))::bigint) as sensed,
    lpad((1 + h % 143)::varchar, 3, '0') as orbit,
    lpad((500 + h % 12)::varchar, 4, '0') as baseline,
    case when h % 5 = 0 then 0.0 else round((h % 1000003) / 10000.03, 4) end as cloud
from (select i, hash(i) as h, (hash(i + 13) % (select count(*) from tiles))::bigint as place
    from range($first, $end) r(i))
join tiles t on t.number = place
"""

_NAMED_ROWS_SQL = f"""
select *, sensed + to_seconds((7200 + h % 80000)::bigint) as made,
    platform || '_MSIL2A_' || strftime(sensed, '%Y%m%dT%H%M%S') || '_N' || baseline
        || '_R' || orbit || '_T' || tile || '_'
        || strftime(sensed + to_seconds((7200 + h % 80000)::bigint), '%Y%m%dT%H%M%S') as id,
    'L2/tiles/' || tile[:2] || '/' || tile[3] || '/' || tile[4:] || '/' as folder
from ({_RANDOM_ROWS_SQL})
"""

_CATALOG_SQL = f"""
select id, '{SOURCE}' as source, 'L2A' as level, platform, tile, sensed as sensing_time,
    strftime(sensed, '%Y%m%dT%H%M%S') as datatake,
    west, south, east, north, cloud as cloud_cover, orbit::int as relative_orbit, baseline, made as published,
    (200000000 + h % 650000000)::bigint as size,
    'https://storage.googleapis.com/gcp-public-data-sentinel-2/' || folder || id || '.SAFE' as href,
    null::varchar as footprint
from ({_NAMED_ROWS_SQL})
"""

_INDEX_SQL = f"""
select 'L2A_T' || tile || '_A' || lpad((h % 40000)::varchar, 6, '0') || '_'
        || strftime(sensed, '%Y%m%dT%H%M%S') as GRANULE_ID,
    id as PRODUCT_ID, 'G' || platform || '_' || strftime(sensed, '%Y%m%dT%H%M%S') || '_'
        || lpad((h % 40000)::varchar, 6, '0') || '_N'
        || baseline[:2] || '.' || baseline[3:] as DATATAKE_IDENTIFIER,
    tile as MGRS_TILE, strftime(sensed, '%Y-%m-%dT%H:%M:%S.%f') || 'Z' as SENSING_TIME,
    200000000 + h % 650000000 as TOTAL_SIZE, cloud as CLOUD_COVER,
    case when h % 7 = 0 then '' else 'PASSED' end as GEOMETRIC_QUALITY_FLAG,
    strftime(made, '%Y-%m-%dT%H:%M:%S.%f') || 'Z' as GENERATION_TIME,
    north as NORTH_LAT, south as SOUTH_LAT, west as WEST_LON, east as EAST_LON,
    'gs://gcp-public-data-sentinel-2/' || folder || id || '.SAFE' as BASE_URL
from ({_NAMED_ROWS_SQL})
"""


def products(first: int, end: int) -> pa.Table:
    """Rows of the catalog with these numbers."""
    from revisit.ports.catalog_schema import SCHEMA

    return (
        _duckdb_with_tiles()
        .sql(_CATALOG_SQL, params={"first": first, "end": end})
        .to_arrow_table()
        .cast(SCHEMA)
    )


def write_index(path: Path, rows: int) -> None:
    """Write the same products as an index.csv.gz in Google's format."""
    unfinished = path.with_suffix(".unfinished")
    engine = _duckdb_with_tiles()
    engine.execute("set preserve_insertion_order=false")
    engine.execute(
        f"copy ({_INDEX_SQL.replace('$first', '0').replace('$end', str(rows))}) to '{unfinished}' (format "
        "csv, header, compression gzip)"
    )
    unfinished.rename(path)


def land_tiles() -> pa.Table:
    """Tiles over land with their bounds; west > east where a tile crosses the antimeridian."""
    import shapely

    from revisit.geo.mgrs_tile import Tile, tile_ids

    columns: dict[str, list] = {name: [] for name in ("tile", "west", "south", "east", "north")}
    for tile in (Tile.parse(id) for id in tile_ids()):
        if tile.land:
            parts = [shapely.bounds(part) for part in shapely.get_parts(tile.footprint)]
            west = (
                min(part[0] for part in parts)
                if len(parts) == 1
                else min(part[0] for part in parts if part[0] > 0)
            )
            east = (
                max(part[2] for part in parts)
                if len(parts) == 1
                else max(part[2] for part in parts if part[2] < 0)
            )
            for name, value in zip(
                columns,
                (tile.id, west, min(part[1] for part in parts), east, max(part[3] for part in parts)),
                strict=True,
            ):
                columns[name].append(value)
    return pa.table(columns)


@cache
def _duckdb_with_tiles() -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(config={"threads": 2})
    engine.register("land", land_tiles())
    engine.execute(
        "create table tiles as select row_number() over (order by tile) - 1 as number, * from land"
    )
    return engine


def merge_segments(catalog: LocalCatalog) -> None:
    """Merge the index of a catalog into one segment, as after many refreshes."""
    with catalog._write_lock():
        catalog._index.update(catalog._log, merge_all=True)
        catalog._log.merge_short_segments()
