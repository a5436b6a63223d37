// The files of a result, the series as CSV, and a link to what is shown.

import { downloadFile, resolveFile } from "../lib/api.js";
import { h, row, workButton } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { hasPixels } from "./result_selection.js";

// Args: `path` of the order or subscription; `guard(work)` runs a request and shows its errors; `copyLink()`.
export function resultFiles(path, { job, statistic }, guard, copyLink) {
  const stem = `${job.acquisition}`;
  const tiffs = hasPixels(job)
    ? Object.entries(job.assets).filter(([, asset]) => asset.type.startsWith("image/tiff"))
    : [];
  const small = (label, key, work) =>
    workButton(label, () => guard(work), { class: "small", "data-key": key });
  const tiffButton = ([name, { href, size }]) => {
    const label = h("span", {}, `${name}.tif`, h("span", { class: "note" }, ` ${format.fileSize(size)}`));
    return small(label, `${job.job} ${name}`, () => downloadResult(href, `${stem}-${name}.tif`));
  };
  const series = `${path}/series?index=${encodeURIComponent(statistic)}&format=csv`;
  return [
    row(
      tiffs.map(tiffButton),
      tiffs.length ? small("STAC item", "item", () => downloadFile(job.item, `${stem}.json`)) : null,
      small("Series as CSV", "csv", () => downloadFile(series, `${statistic}.csv`)),
      small("Copy link", "link", copyLink),
    ),
    job.notes.length ? h("p", { class: "note" }, job.notes.map(format.toSentence).join(" ")) : null,
  ];
}

async function downloadResult(path, name) {
  const file = await resolveFile(path);
  if (file.sameServer) await downloadFile(path, name);
  else location.assign(file.href);
}
