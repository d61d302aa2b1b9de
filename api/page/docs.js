// Renders openapi.json: every operation with its bodies, answers and a command to try. Reads from this server alone.

const base = new URL("./", location.href).href.replace(/\/$/, "");
let description;

/** Makes an element; children are elements, or strings in which `x` becomes code. */
function make(tag, ...children) {
  const made = document.createElement(tag);
  for (const child of children) {
    if (typeof child !== "string") made.append(child);
    else child.split("`").forEach((part, i) => made.append(i % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part));
  }
  return made;
}

const paragraphs = (words) => words.split("\n\n").map((paragraph) => make("p", paragraph));
const code = (text) => Object.assign(document.createElement("code"), { textContent: text });

function resolve(schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.split("/").slice(1).reduce((node, key) => node[key], description);
}

function kindOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kindOf).join(" or ");
  if (schema.type === "array") return `array of ${kindOf(schema.items)}`;
  return schema.type ?? "any";
}

function fields(schema) {
  const object = schema.type === "array" ? resolve(schema.items) : resolve(schema);
  if (!object.properties) return make("p", kindOf(schema));
  const rows = Object.entries(object.properties).map(([name, field]) => {
    const wanted = object.required?.includes(name) ? "required" : "default" in field ? `default ${JSON.stringify(field.default)}` : "";
    return make("tr", make("th", code(name)), make("td", kindOf(field)), make("td", field.description ?? ""), make("td", wanted));
  });
  return make("table", make("tbody", ...rows));
}

function example(schema) {
  const object = resolve(schema);
  const named = Object.entries(object.properties ?? {}).filter(([, field]) => field.examples);
  return Object.fromEntries(named.map(([name, field]) => [name, field.examples[0]]));
}

function command(path, method, content) {
  if (!content) return [`curl ${base}${path}`];
  const sample = example(content["application/json"].schema);
  const parts = Object.entries(sample).map(([name, value]) => `--data-urlencode ${name}='${value}'`);
  return [
    `curl -d '${JSON.stringify(sample)}' -H 'Content-Type: application/json' ${base}${path}`,
    `curl ${parts.join(" ")} ${base}${path}`,
  ];
}

function operation(path, method, { summary, description: words, requestBody, responses }) {
  const verb = Object.assign(make("span", method.toUpperCase()), { className: "method" });
  const made = [make("h2", verb, ` ${path}`), ...paragraphs(words ?? summary ?? "")];
  if (requestBody) {
    const kinds = Object.keys(requestBody.content).map((kind) => `\`${kind}\``).join(", ");
    made.push(make("h3", "Body"), make("p", kinds), fields(requestBody.content["application/json"].schema));
  }
  for (const [status, answer] of Object.entries(responses)) {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    made.push(make("h3", `${status} · ${answer.description}`));
    if (schema) made.push(status < 300 ? fields(resolve(schema)) : make("p", "`{\"error\": \"…\"}`"));
  }
  const example = make("pre", code(command(path, method, requestBody?.content).join("\n\n")));
  example.tabIndex = 0; // it scrolls sideways, also by keyboard
  made.push(make("h3", "Try"), example);
  return made;
}

try {
  description = await (await fetch("openapi.json")).json();
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, details]) => operation(path, method, details)));
  document.getElementById("operations").replaceChildren(...paragraphs(description.info.description), ...operations);
} catch (reason) {
  document.getElementById("error").textContent = `openapi.json could not be read: ${reason.message}`;
}
