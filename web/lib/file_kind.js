// What a file is by its first bytes, and the text of those that are text.

const KINDS = [
  ["SQLite format 3\0", "a GeoPackage or another SQLite database"],
  ["fgb\x03fgb", "FlatGeobuf"],
  ["\x00\x00\x27\x0a", "one part of a shapefile (.shp)"],
  ["PAR1", "GeoParquet"],
  ["%PDF", "a PDF document"],
  ["II*\0", "a TIFF image"],
  ["II+\0", "a TIFF image"],
  ["MM\0*", "a TIFF image"],
  ["MM\0+", "a TIFF image"],
  ["\x89PNG", "a PNG image"],
  ["\xff\xd8\xff", "a JPEG image"],
  ["\0\0\0\x0cjP  ", "a JPEG 2000 image"],
  ["GIF8", "a GIF image"],
  ["RIFF", "an image, a sound or a video"],
  ["\x1f\x8b", "compressed with gzip"],
  ["7z\xbc\xaf", "a 7z archive"],
  ["Rar!", "a RAR archive"],
  ["\x89HDF", "HDF5 or NetCDF"],
  ["CDF", "NetCDF"],
  ["\xd0\xcf\x11\xe0", "an old Office document"],
  ["AC10", "an AutoCAD drawing"],
  ["PMTiles", "PMTiles"],
  ["{\\rtf", "an RTF document"],
];
const MARKS = [
  ["\xff\xfe", "utf-16le"],
  ["\xfe\xff", "utf-16be"],
];
const MAX_CONTROL_SHARE = 0.05;

const startsWith = (bytes, start) =>
  [...start].every((letter, place) => bytes[place] === letter.charCodeAt(0));

export const isZip = (bytes) => startsWith(bytes, "PK\x03\x04") || startsWith(bytes, "PK\x05\x06");

// What a file is that holds no text, such as "FlatGeobuf"; "" for text.
export function binaryKind(bytes) {
  const known = KINDS.find(([start]) => startsWith(bytes, start));
  return known ? known[1] : isBinary(decode(bytes)) ? "no text" : "";
}

// Whether a text comes from a file that is none: it has NUL or many other control characters.
export function isBinary(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  const controls = text.match(/[\x00-\x08\x0e-\x1f\x7f\ufffd]/g)?.length ?? 0;
  return text.includes("\0") || controls > MAX_CONTROL_SHARE * text.length;
}

// The text of bytes in UTF-8, in UTF-16 with or without a byte order mark, or else in Windows-1252.
export function decode(bytes) {
  const mark = MARKS.find(([start]) => startsWith(bytes, start));
  // ASCII in UTF-16 has a zero in every other byte.
  const isWide = (zeroAt) =>
    bytes.length > 7 && bytes.subarray(0, 8).every((byte, place) => (byte === 0) === (place % 2 === zeroAt));
  const unmarked = isWide(1) ? "utf-16le" : isWide(0) ? "utf-16be" : "utf-8";
  const encoding = mark?.[1] ?? unmarked;
  try {
    return new TextDecoder(encoding, { fatal: encoding === "utf-8" }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
