// The files of a zip archive (PKWARE APPNOTE, sections 4.3.7 to 4.3.16), stored or deflated.

import { Problem } from "./api.js";

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_LENGTH = 22;
const MAX_COMMENT = 65_535;
// A small archive may hold a file that is a thousand times as large.
const MAX_UNPACKED = 50_000_000;

// Entries { name, read() }, read() resolving to bytes; null where the bytes are no whole zip archive.
export function zipEntries(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end === null) return null;
  const entries = [];
  let place = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    if (place + 46 > bytes.length || view.getUint32(place, true) !== ENTRY_SIGNATURE) return null;
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((at) =>
      view.getUint16(place + at, true),
    );
    const name = new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + nameLength));
    const [method, size, start] = [
      view.getUint16(place + 10, true),
      view.getUint32(place + 20, true),
      view.getUint32(place + 42, true),
    ];
    entries.push({ name, read: () => unpack(bytes, view, { name, method, size, start }) });
    place += 46 + nameLength + extraLength + commentLength;
  }
  return entries.filter(({ name }) => !name.endsWith("/") && !name.startsWith("__MACOSX/"));
}

function findEnd(view) {
  const first = Math.max(0, view.byteLength - END_LENGTH - MAX_COMMENT);
  for (let place = view.byteLength - END_LENGTH; place >= first; place -= 1)
    if (view.getUint32(place, true) === END_SIGNATURE) return place;
  return null;
}

async function unpack(bytes, view, { name, method, size, start }) {
  const unreadable = () => new Problem(`${name} cannot be read from the zip file. Zip it again.`);
  if (start + 30 > bytes.length) throw unreadable();
  const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const packed = bytes.subarray(from, from + size);
  if (method === 0) return packed;
  if (method !== 8) throw unreadable();
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const parts = [];
  for (let length = 0; ; ) {
    const { value, done } = await reader.read().catch(() => {
      throw unreadable();
    });
    if (done) break;
    length += value.length;
    if (length > MAX_UNPACKED) {
      reader.cancel().catch(() => null);
      throw new Problem(`${name} is larger than 50 MB once unpacked. Keep only your areas.`);
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
