// Pixels of a result's GeoTIFF, read by ranges: the overview that fits what is looked at, and single values.
//
// A `Raster` has `code` (EPSG:326xx or 327xx), `extent` [west, south, east, north] in metres, `size` of a pixel in metres, and asks the server
// only for the blocks it needs. Values are the physical ones: scale and offset of the item's raster:bands are applied, NaN is no data.

import { authHeaders, resolveFile } from "../lib/api.js";
import { loadGeotiff } from "../lib/lazy_vendor.js";

export class Raster {
  // `path` of the file at the API; `asset` of the result's STAC Item, which describes it; `bands` the places of those wanted in the file.
  static async open(path, asset, bands) {
    const [library, file] = await Promise.all([loadGeotiff(), resolveFile(path)]);
    const tiff = await library.fromUrl(file.href, {
      headers: file.sameServer ? authHeaders() : {},
      cacheSize: 200,
    });
    const count = await tiff.getImageCount();
    const images = await Promise.all(Array.from({ length: count }, (_, place) => tiff.getImage(place)));
    return new Raster(
      asset,
      bands,
      images.sort((one, other) => other.getWidth() - one.getWidth()),
      Date.now() + 1000 * (file.seconds ?? 86_400),
    );
  }

  constructor(asset, bands, images, until) {
    const [a, , c, , e, f] = asset["proj:transform"];
    const [height, width] = asset["proj:shape"];
    this.code = asset["proj:code"] ?? `EPSG:${asset["proj:epsg"]}`;
    this.extent = [c, f + e * height, c + a * width, f];
    this.size = a;
    this.shape = [width, height];
    this.isStale = () => Date.now() > until - 60_000;
    this.images = images;
    this.bands = bands;
    this.scaling = bands.map((band) => ({ scale: 1, offset: 0, ...asset["raster:bands"]?.[band] }));
  }

  // Values over an extent, of the coarsest overview that is no coarser than `resolution` metres: { values: one Float32Array a band, width,
  // height, extent }; null where the extent lies beside the file.
  async readWindow(extent, resolution, signal) {
    const [west, south, east, north] = this.extent;
    const image =
      this.images.findLast((one) => (east - west) / one.getWidth() <= resolution * 1.001) ?? this.images[0];
    const [width, height] = [image.getWidth(), image.getHeight()];
    const [across, down] = [(east - west) / width, (north - south) / height];
    const left = Math.max(0, Math.floor((extent[0] - west) / across));
    const top = Math.max(0, Math.floor((north - extent[3]) / down));
    const right = Math.min(width, Math.ceil((extent[2] - west) / across));
    const bottom = Math.min(height, Math.ceil((north - extent[1]) / down));
    if (left >= right || top >= bottom) return null;
    const read = await image.readRasters({ window: [left, top, right, bottom], samples: this.bands, signal });
    return {
      values: this.scaling.map((about, place) => toPhysical(read[place], about)),
      width: right - left,
      height: bottom - top,
      extent: [west + left * across, north - bottom * down, west + right * across, north - top * down],
    };
  }

  // The values of the pixel at a position in metres, one a band; null beside the file.
  async valueAt([x, y], signal) {
    const column = Math.floor((x - this.extent[0]) / this.size);
    const row = Math.floor((this.extent[3] - y) / this.size);
    if (column < 0 || row < 0 || column >= this.shape[0] || row >= this.shape[1]) return null;
    const read = await this.images[0].readRasters({
      window: [column, row, column + 1, row + 1],
      samples: this.bands,
      signal,
    });
    return this.scaling.map((about, place) => toPhysical(read[place], about)[0]);
  }
}

function toPhysical(stored, { scale, offset, nodata }) {
  const values = new Float32Array(stored.length);
  const none = Number(nodata);
  for (let place = 0; place < stored.length; place += 1)
    values[place] = stored[place] === none ? NaN : stored[place] * scale + offset;
  return values;
}
