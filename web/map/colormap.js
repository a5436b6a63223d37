// Colours of pixel values: colour ramps, true colour, and the legend of a ramp.

import { h } from "../lib/dom.js";
import * as format from "../lib/format.js";

const LEVELS = 256;

// Anchors are [position from 0 to 1, red, green, blue]. Earth is the ramp of the previews; Viridis (Smith and
// van der Walt, CC0) stays readable with colour blindness and in greyscale print.
const RAMPS = {
  Earth: [
    [0, 68, 45, 96],
    [0.2, 122, 84, 92],
    [0.4, 198, 152, 98],
    [0.55, 240, 225, 160],
    [0.7, 158, 196, 96],
    [0.85, 58, 140, 66],
    [1, 8, 72, 46],
  ],
  Viridis: [
    [0, 68, 1, 84],
    [0.25, 59, 82, 139],
    [0.5, 33, 145, 140],
    [0.75, 94, 201, 98],
    [1, 253, 231, 37],
  ],
  Grey: [
    [0, 20, 20, 20],
    [1, 245, 245, 245],
  ],
};
const RAMP_NAMES = Object.keys(RAMPS);

const rampTables = new Map();
function rampTable(name) {
  if (!rampTables.has(name)) {
    const anchors = RAMPS[name] ?? RAMPS.Earth;
    const colours = new Uint8ClampedArray(3 * LEVELS);
    for (let level = 0; level < LEVELS; level += 1) {
      const place = level / (LEVELS - 1);
      const upper = anchors.findIndex(([at]) => at >= place);
      const [below, above] = [anchors[Math.max(upper - 1, 0)], anchors[upper]];
      const share = above[0] > below[0] ? (place - below[0]) / (above[0] - below[0]) : 0;
      for (let band = 0; band < 3; band += 1)
        colours[3 * level + band] = below[band + 1] + share * (above[band + 1] - below[band + 1]);
    }
    rampTables.set(name, colours);
  }
  return rampTables.get(name);
}

// A window of values as a canvas: one band by a ramp from `low` to `high`, three as red, green and blue. NaN
// is transparent.
export function paint({ values, width, height }, { ramp, low, high }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  if (values.length === 3) paintTrueColour(values, picture.data, high);
  else paintRamp(values[0], picture.data, rampTable(ramp), low, high);
  context.putImageData(picture, 0, 0);
  return canvas;
}

function paintRamp(values, out, colours, low, high) {
  const steps = (LEVELS - 1) / (high - low);
  for (let place = 0; place < values.length; place += 1) {
    const value = values[place];
    if (Number.isNaN(value)) continue;
    const level = 3 * Math.round(Math.min(LEVELS - 1, Math.max(0, (value - low) * steps)));
    out[4 * place] = colours[level];
    out[4 * place + 1] = colours[level + 1];
    out[4 * place + 2] = colours[level + 2];
    out[4 * place + 3] = 255;
  }
}

function paintTrueColour(bands, out, white) {
  for (let place = 0; place < bands[0].length; place += 1) {
    if (bands.some((values) => Number.isNaN(values[place]))) continue;
    bands.forEach((values, band) => {
      out[4 * place + band] = 255 * Math.min(1, Math.max(0, values[place] / white)) ** 0.8;
    });
    out[4 * place + 3] = 255;
  }
}

// The legend: the ramp between its limits, which can be edited.
export function legend(name, { ramp, low, high }, change) {
  const canvas = h("canvas", {
    width: LEVELS,
    height: 1,
    role: "img",
    "aria-label": `${name} from ${format.decimal(low, 2)} to ${format.decimal(high, 2)}`,
  });
  const colours = rampTable(ramp);
  const picture = canvas.getContext("2d").createImageData(LEVELS, 1);
  for (let level = 0; level < LEVELS; level += 1)
    picture.data.set([...colours.subarray(3 * level, 3 * level + 3), 255], 4 * level);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const end = (key, label, value) =>
    h("input", {
      type: "number",
      step: 0.05,
      value: Number(value.toFixed(3)),
      "aria-label": `${label} limit of the colours`,
      "data-key": key,
      onchange: (event) => {
        const typed = event.target.valueAsNumber;
        const next = key === "low" ? [typed, high] : [low, typed];
        if (Number.isFinite(typed) && next[0] < next[1]) change({ low: next[0], high: next[1] });
        else event.target.value = Number(value.toFixed(3));
      },
    });
  return h(
    "div",
    { class: "legend" },
    end("low", "Lower", low),
    canvas,
    end("high", "Upper", high),
    h(
      "select",
      {
        "aria-label": "Colours",
        "data-key": "ramp",
        onchange: (event) => change({ ramp: event.target.value }),
      },
      RAMP_NAMES.map((each) => h("option", { value: each, selected: each === ramp }, each)),
    ),
  );
}
