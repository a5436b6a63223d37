// Server-sent events read with fetch. EventSource cannot send an Authorization header, and a token must never
// be part of an address.

import { Problem, request } from "./api.js";

// Yields { event, data } of a stream, `data` parsed from JSON; ends where the server closes the connection.
// Throws Problem where there is no stream, such as 404 of a deployment without streams or 503 when all are
// taken.
export async function* serverEvents(path, signal) {
  const answer = await request(path, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(toProblem);
      if (done) return;
      buffer += value.replaceAll("\r", "");
      const blocks = buffer.split("\n\n");
      buffer = blocks.pop();
      yield* blocks.map(parseEvent).filter(Boolean);
    }
  } finally {
    reader.cancel().catch(() => null);
  }
}

// A lost connection is a TypeError of the reader.
function toProblem(error) {
  throw error instanceof TypeError ? new Problem("The connection to the server was lost.") : error;
}

// One block of lines. Comments, such as heartbeats, and blocks without data are null.
export function parseEvent(block) {
  const fields = block.split("\n").map((line) => /^(event|data):\s?(.*)$/.exec(line));
  const all = (name) => fields.filter((found) => found?.[1] === name).map((found) => found[2]);
  const data = all("data");
  return data.length ? { event: all("event").at(-1) ?? "message", data: JSON.parse(data.join("\n")) } : null;
}
