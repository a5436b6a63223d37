"""Geometry: GeoJSON, WKT, polygons, MGRS tiles and UTM grids."""
