// Positions as people write them: decimal degrees, or degrees, minutes and seconds, with or without letters.

import { Problem } from "./api.js";

// Positions [lon, lat] separated by lines or semicolons, latitude first unless letters (N, E) say otherwise;
// null for other text. Throws Problem for positions that cannot be or can be read in two ways.
export function parsePositions(text) {
  const lines = toPlain(text)
    .split(/[\n;]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const found = joinNumbers(lines).map(parsePosition);
  return found.length && found.every(Boolean) ? found : null;
}

// Full-width letters and digits, and the signs that keyboards have for minus and degree, as PAIR expects them.
const toPlain = (text) =>
  text
    .replace(/[\uff01-\uff5e]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0xfee0))
    .replace(/[−–‐‑]/g, "-")
    .replace(/[º˚]/g, "°");

// One number with a comma: "43,6 N". Such a comma may be decimal, or separate a latitude and a longitude.
const ONE_COMMA = /^[NSEWO]?\s*[-+]?\d{1,3},\d+\s*°?\s*[NSEWO]?$/i;

// "43,6 N; 1,4 E" as one position with decimal commas; "43,6; 1,4" could also be two.
function joinNumbers(lines) {
  const hasLetters = lines.some((line) => /[NSEWO]/i.test(line));
  if (!lines.every((line) => ONE_COMMA.test(line)) || (lines.length === 1 && !hasLetters)) return lines;
  if (lines.length === 2 && hasLetters) return [lines.join(" ")];
  const text = lines.join("; ");
  throw new Problem(
    lines.length === 1
      ? `${text}: a position has a latitude and a longitude; write 43.6 N 1.4 E.`
      : `${text}: the commas may be decimal or separate two numbers; write 43.6, 1.4.`,
  );
}

const DEGREES = String.raw`([-+−]?\d{1,3}(?:[.,]\d+)?)\s*°?\s*`;
const MINUTES = String.raw`(?:(\d{1,2}(?:[.,]\d+)?)\s*['′’]\s*)?`;
const SECONDS = String.raw`(?:(\d{1,2}(?:[.,]\d+)?)\s*(?:["″”]|'')\s*)?`;
const NUMBER = `${DEGREES}${MINUTES}${SECONDS}`;
const PAIR = new RegExp(
  String.raw`^([NSEWO])?\s*${NUMBER}\s*([NSEWO])?\s*[,/\s]\s*([NSEWO])?\s*${NUMBER}\s*([NSEWO])?$`,
  "i",
);

function parsePosition(line) {
  // "45,8 9,2" has decimal commas; in "45.8,9.2" and "45, 9" the comma is a separator.
  const found = PAIR.exec(
    line
      .replace(/^\(|\)$|^\[|\]$/g, "")
      .replace(/(\d)([NSEW])(?=[\s,]*[-\d])/i, "$1 $2 ")
      .trim(),
  );
  if (!found) return null;
  const wrong = (why) => new Problem(`${line}: ${why}`);
  const [first, second] = readLetters([found[1], found[5], found[6], found[10]], wrong);
  const one = toDegrees(found.slice(2, 5), first, wrong);
  const other = toDegrees(found.slice(7, 10), second, wrong);
  const swapped = (first && !isLat(first)) || (second && isLat(second));
  const [lat, lon] = swapped ? [other, one] : [one, other];
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180)
    throw wrong("latitude comes first and is at most 90; longitude is at most 180.");
  return [lon, lat];
}

const isLat = (letter) => letter === "N" || letter === "S";

// The letters of both numbers, of those before and behind each.
function readLetters(given, wrong) {
  const letters = given.map((letter) => letter?.toUpperCase());
  // In "N 45.8 E 9.2" the second letter belongs to the second number.
  if (letters[0] && letters[1] && !letters[2] && !letters[3])
    [letters[1], letters[2]] = [undefined, letters[1]];
  if (letters.includes("O"))
    throw wrong("O is west (Ouest, Oeste, Ovest) in some languages and east (Ost) in German; write W or E.");
  if ((letters[0] && letters[1]) || (letters[2] && letters[3]))
    throw wrong("a number has two letters; keep one of them.");
  const [first, second] = [letters[0] ?? letters[1], letters[2] ?? letters[3]];
  if (first && second && isLat(first) === isLat(second))
    throw wrong(
      isLat(first)
        ? "both numbers are latitudes (N or S); one must be a longitude (E or W)."
        : "both numbers are longitudes (E or W); one must be a latitude (N or S).",
    );
  return [first, second];
}

function toDegrees([whole, minutes, seconds], letter, wrong) {
  const plain = (text) => Number((text ?? "0").replace(",", ".").replace("−", "-"));
  const [m, s] = [plain(minutes), plain(seconds)];
  if (m >= 60 || s >= 60) throw wrong("minutes and seconds are less than 60.");
  if ((minutes ?? seconds) && /[.,]/.test(whole)) throw wrong("degrees with minutes have no decimals.");
  if (seconds && /[.,]/.test(minutes ?? "")) throw wrong("minutes with seconds have no decimals.");
  const signed = /^[-−]/.test(whole);
  if (signed && letter) throw wrong(`a number has both a minus sign and ${letter}; keep one of them.`);
  const size = Math.abs(plain(whole)) + m / 60 + s / 3600;
  return signed || letter === "S" || letter === "W" ? -size : size;
}
