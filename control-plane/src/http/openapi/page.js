// Shows the OpenAPI document and sends requests. What comes from anywhere is only ever set as
// text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const SHOWN_CHARACTERS_MAX = 200_000;
const DEPTH_MAX = 8;

let document_ = {};

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function resolved(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? document_.components.schemas[name] : schema ?? {};
}

// An example that has the schema's shape.
function example(schema, depth = 0) {
  const is = resolved(schema);
  if (depth > DEPTH_MAX) return null;
  if (is.enum) return is.enum[0];
  if (is.allOf) return Object.assign({}, ...is.allOf.map((one) => example(one, depth + 1)));
  const some = (is.oneOf ?? is.anyOf)?.find((one) => one.type !== "null");
  if (some) return example(some, depth + 1);
  const type = [].concat(is.type ?? "").find((one) => one !== "null");
  if (type === "array") return [example(is.items, depth + 1)];
  if (type === "object" || is.properties) {
    const fields = Object.entries(is.properties ?? {});
    return Object.fromEntries(fields.map(([name, of]) => [name, example(of, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false }[type] ?? null;
}

function table(rows) {
  const made = element("table");
  for (const cells of rows) {
    made.append(element("tr", "", ...cells.map((cell) => element("td", cell))));
  }
  return made;
}

function pretty(text, type) {
  if (!type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Sends the request and shows the answer as far as it comes within `seconds`.
async function send(method, path, inputs, body, type, output) {
  const query = new URLSearchParams();
  const headers = {};
  const key = document.getElementById("key").value.trim();
  if (key) headers.authorization = `Bearer ${key}`;
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (!input.value) continue;
    else if (parameter.in === "query") query.set(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  if (body !== undefined && body !== "") headers["content-type"] = type;
  const url = query.size ? `${path}?${query}` : path;
  const request = { method: method.toUpperCase(), headers, body: body === "" ? undefined : body };
  try {
    const answer = await fetch(url, { ...request, signal: AbortSignal.timeout(60_000) });
    output.textContent = `${answer.status} ${answer.statusText}\n`;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      output.textContent = `${answer.status} ${answer.statusText}\n\n${text}`;
      if (text.length > SHOWN_CHARACTERS_MAX) return reader.cancel();
    }
    const shown = pretty(text, answer.headers.get("content-type") ?? "");
    output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent += `\n${error}`;
  }
}

function operation(path, method, is) {
  const role = is.security?.[0]?.key?.join(", ");
  const summary = element("summary", "", element("b", method.toUpperCase()), element("code", path));
  summary.append(` ${is.summary ?? ""}${role ? ` (${role})` : ""}`);
  const made = element("details", "", summary);
  if (is.description) made.append(element("p", is.description));
  const inputs = (is.parameters ?? []).map((parameter) => ({ parameter, input: element("input") }));
  for (const { parameter, input } of inputs) {
    const words = `${parameter.name} (${parameter.in}) `;
    made.append(element("p", "", element("label", words, input), ` ${parameter.description ?? ""}`));
  }
  const types = Object.keys(is.requestBody?.content ?? {});
  const type = types.find((one) => one === "application/json") ?? types[0];
  const body = type && element("textarea");
  if (body) {
    const schema = is.requestBody.content[type].schema;
    body.value = type.endsWith("json") ? JSON.stringify(example(schema), null, 2) : "";
    made.append(element("label", `Body, ${type}`, body));
  }
  const output = element("pre");
  const button = element("button", "Send");
  button.addEventListener("click", () => send(method, path, inputs, body?.value, type, output));
  const answers = Object.entries(is.responses).map(([status, { description }]) => [status, description]);
  made.append(button, output, element("p", "Answers:"), table(answers));
  return made;
}

async function show() {
  document_ = await (await fetch("/openapi.json")).json();
  document.getElementById("about").textContent =
    `${document_.info.description} Version ${document_.info.version}.`;
  const sections = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? "";
      if (!sections.has(tag)) sections.set(tag, element("section", "", element("h2", tag)));
      sections.get(tag).append(operation(path, method, item[method]));
    }
  }
  document.getElementById("routes").replaceChildren(...sections.values());
}

show();
