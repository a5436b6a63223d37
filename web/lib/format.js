// Numbers, dates and sentences as text. Dates are UTC, as in the product's sensing time.

const DAY_FORMAT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});
const TIME_FORMAT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});
const YEAR_TIME_FORMAT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});
const WHOLE_FORMAT = new Intl.NumberFormat("en-GB");

export const date = (text) => (text ? DAY_FORMAT.format(new Date(text)) : "–");

// Date and time; the year only where it is not the current one.
export function time(text) {
  if (!text) return "–";
  const thisYear = text.slice(0, 4) === new Date().toISOString().slice(0, 4);
  return `${(thisYear ? TIME_FORMAT : YEAR_TIME_FORMAT).format(new Date(text))} UTC`;
}

export const count = (number) => WHOLE_FORMAT.format(number);
export function percent(share) {
  if (share === null || share === undefined) return "–";
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.round(share * 100)} %`;
}
// How much of the area an acquisition saw and how much of that was clear.
export const coverText = ({ coverage, clear_fraction: clear }) =>
  coverage === null || coverage === undefined || coverage > 0.995
    ? `${percent(clear)} of your area clear`
    : `${percent(coverage)} of your area was seen, ${percent(clear)} of that clear`;
export const decimal = (number, digits = 3) =>
  number === null || number === undefined ? "–" : number.toFixed(digits).replace("-", "−");
export const plural = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// Decimal units (1 kB = 1,000 bytes).
export function fileSize(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const power = Math.min(4, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const number = bytes / 1000 ** power;
  return `${number.toFixed(power && number < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export function km2(area) {
  if (area < 0.01) return `${count(Math.round(area * 1e6))} m²`;
  if (area < 1) return `${(area * 100).toFixed(1)} ha`;
  return `${area < 100 ? area.toFixed(1) : count(Math.round(area))} km²`;
}

export const lonLat = ([lon, lat]) =>
  `${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(4)}° ${lon < 0 ? "W" : "E"}`;

export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// With a capital letter at the beginning and a full stop at the end.
export const toSentence = (text) => `${capitalize(text)}${/[.!?]$/.test(text) ? "" : "."}`;
