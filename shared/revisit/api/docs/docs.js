// Renders the specification: parameters and responses of every operation, a curl command, and a form that sends
// read-only requests.

const token = document.getElementById("token");
const here = new URLSearchParams(location.hash.slice(1)).get("token");
if (here) {
  sessionStorage.setItem("token", here);
  history.replaceState(null, "", location.pathname);
}
token.value = sessionStorage.getItem("token") ?? "";
token.addEventListener("input", () => sessionStorage.setItem("token", token.value));

const base = new URL(".", location.href).href.replace(/\/$/, "");
const known = await (await fetch("openapi.json")).json();

// An element; children are elements and texts.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== ""));
  return element;
}

// A text whose `words` are code.
const prose = (text) =>
  make("span", {}, ...(text ?? "").split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part)));

// What a $ref stands for.
const followed = (item) =>
  item?.$ref
    ? item.$ref
        .slice(2)
        .split("/")
        .reduce((at, name) => at[name], known)
    : item;

// A schema in a few words, as links where it has a name.
function words(schema) {
  if (!schema) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return make("a", { href: `#schema-${name}` }, name);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const parts = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (parts && !schema.properties)
    return make("span", {}, ...parts.flatMap((part, at) => (at ? [" | ", words(part)] : [words(part)])));
  if (schema.type === "array") return make("span", {}, "list of ", words(schema.items));
  const kind = [schema.type ?? "anything"].flat().join(" | ");
  const bounds = ["format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default"].filter(
    (name) => schema[name] !== undefined && schema[name] !== "",
  );
  return [kind, ...bounds.map((name) => `${name} ${schema[name]}`)].join(", ");
}

function table(rows) {
  return make(
    "table",
    {},
    make(
      "tbody",
      {},
      ...rows.map(([name, kind, description]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, make("code", {}, name)),
          make("td", {}, kind),
          make("td", {}, prose(description)),
        ),
      ),
    ),
  );
}

function members(schema) {
  const all = { ...schema, properties: { ...schema.properties }, required: [...(schema.required ?? [])] };
  for (const part of schema.allOf ?? []) {
    const known = members(followed(part));
    Object.assign(all.properties, known.properties);
    all.required.push(...known.required);
  }
  return all;
}

function shape(schema) {
  const { properties, required } = members(schema);
  const rows = Object.entries(properties).map(([name, kind]) => [
    required.includes(name) ? name : `${name}?`,
    words(kind),
    kind.description ?? followed(kind).description,
  ]);
  return rows.length ? table(rows) : make("p", {}, words(schema));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const example = (parameter) =>
  parameter.example ?? followed(parameter.schema)?.examples?.[0] ?? `{${parameter.name}}`;

function curl(method, path, operation, parameters, body) {
  const filled = parameters
    .filter((each) => each.in === "path")
    .reduce((at, each) => at.replace(`{${each.name}}`, example(each)), path);
  const query = parameters
    .filter((each) => each.in === "query" && each.required)
    .map((each) => `${each.name}=${encodeURIComponent(example(each))}`)
    .join("&");
  const parts = [
    "curl",
    ...(method === "GET" ? [] : ["-X", method]),
    quoted(`${base}${filled}${query ? `?${query}` : ""}`),
  ];
  if (operation.security?.length !== 0) parts.push("\\\n  -H", '"Authorization: Bearer $TOKEN"');
  if (body)
    parts.push(
      "\\\n  -H",
      "'Content-Type: application/json'",
      "\\\n  -d",
      quoted(JSON.stringify(body.example ?? {})),
    );
  return parts.join(" ");
}

// Asks it, with what stands in the fields.
function trial(path, parameters) {
  const fields = parameters.map((each) => ({
    each,
    field: make("input", {
      value: each.in === "path" ? (each.example ?? "") : "",
      placeholder: each.schema?.default ?? "",
    }),
  }));
  const output = make("pre", { role: "status", hidden: "" });
  const form = make(
    "form",
    {},
    ...fields
      .filter(({ each }) => each.in !== "header")
      .map(({ each, field }) => make("label", {}, each.name, field)),
    make("button", {}, "Try it"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    try {
      const answer = await fetch(requestUrl(path, fields), {
        headers: token.value ? { Authorization: `Bearer ${token.value}` } : {},
      });
      const type = answer.headers.get("Content-Type") ?? "";
      const text = /json|text|xml|csv/.test(type) ? await answer.text() : "(no text)";
      output.textContent = `${answer.status} ${type}\n${pretty(text).slice(0, 50_000)}`;
    } catch (error) {
      output.textContent = `No answer: ${error.message}`;
    }
  });
  return [form, output];
}

// The address of a request, from the fields of its path and query parameters.
function requestUrl(path, fields) {
  let address = base + path;
  const query = new URLSearchParams();
  for (const { each, field } of fields) {
    if (each.in === "path") address = address.replace(`{${each.name}}`, encodeURIComponent(field.value));
    else if (each.in === "query" && field.value) query.set(each.name, field.value);
  }
  return query.size ? `${address}?${query}` : address;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Statuses that are answered alike share a line.
function answers(operation) {
  const alike = Map.groupBy(Object.entries(operation.responses), ([, answer]) => JSON.stringify(answer));
  return table(
    [...alike.values()].map((same) => {
      const { description, content } = followed(same[0][1]);
      const kinds = Object.entries(content ?? {}).flatMap(([type, { schema }]) => [
        schema ? words(schema) : "",
        ` ${type} `,
      ]);
      return [same.map(([status]) => status).join(" "), make("span", {}, ...kinds), description];
    }),
  );
}

const drawn = [];
function operationOf(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(followed);
  const body = operation.requestBody?.content["application/json"];
  const inside = make(
    "div",
    {},
    ...(operation.description ? [make("p", {}, prose(operation.description))] : []),
  );
  if (operation["x-in-person"]) inside.append(make("p", { class: "note" }, "Not with a key: sign in."));
  if (operation["x-who"] === "whole")
    inside.append(make("p", { class: "note" }, "For those who run the service."));
  if (parameters.length)
    inside.append(
      make("h3", {}, "Parameters"),
      table(
        parameters.map((each) => [
          each.required ? each.name : `${each.name}?`,
          words(each.schema),
          each.description,
        ]),
      ),
    );
  if (body) inside.append(make("h3", {}, "Body"), shape(followed(body.schema)));
  inside.append(
    make("h3", {}, "Answers"),
    answers(operation),
    make("h3", {}, "From a shell"),
    make("pre", { tabindex: "0" }, curl(method, path, operation, parameters, body)),
  );
  if (method === "GET") inside.append(make("h3", {}, "From here"), ...trial(path, parameters));
  const element = make(
    "details",
    { id: operation.operationId },
    make(
      "summary",
      {},
      make("span", { class: "method" }, method),
      make("code", {}, path),
      make("span", {}, operation.summary),
    ),
    inside,
  );
  const searched = [
    method,
    path,
    operation.operationId,
    operation.summary,
    operation.description ?? "",
    body ? JSON.stringify(followed(body.schema)) : "",
  ];
  drawn.push([element, searched.join(" ").toLowerCase()]);
  return element;
}

document.getElementById("version").textContent = `Version ${known.info.version}, OpenAPI ${known.openapi}:`;
document
  .getElementById("about")
  .append(
    ...known.info.description.split("\n\n").map((text) => make("p", {}, prose(text.replaceAll("*", "")))),
  );
for (const { name, description } of known.tags) {
  const section = make(
    "section",
    { "aria-label": name },
    make("h2", {}, name),
    make("p", { class: "note" }, description),
  );
  for (const [path, methods] of Object.entries(known.paths)) {
    for (const [method, operation] of Object.entries(methods))
      if (operation.tags?.[0] === name) section.append(operationOf(method.toUpperCase(), path, operation));
  }
  document.getElementById("operations").append(section);
}
for (const { const: type, title, description } of known.components.schemas.ProblemType.oneOf) {
  document
    .getElementById("problems")
    .append(
      make("dt", { id: type.split("#")[1] ?? "blank" }, title, " ", make("code", {}, type)),
      make("dd", {}, prose(description)),
    );
}
for (const [name, schema] of Object.entries(known.components.schemas)) {
  document
    .getElementById("schemas")
    .append(
      make(
        "details",
        { id: `schema-${name}` },
        make("summary", {}, make("code", {}, name)),
        make("div", {}, make("p", {}, prose(schema.description)), shape(schema)),
      ),
    );
}

const found = document.getElementById("found");
function search(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const [element, content] of drawn) {
    element.hidden = !wanted.every((word) => content.includes(word));
    count += !element.hidden;
  }
  for (const section of document.querySelectorAll("main section"))
    section.hidden = !section.querySelector("details:not([hidden])");
  found.textContent = wanted.length ? `${count} of ${drawn.length} operations` : `${drawn.length} operations`;
}
document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
document.getElementById("ask").addEventListener("submit", (event) => event.preventDefault());
search("");

// A link to an operation, problem or schema opens it.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", open);
open();
