// The page where a person translates. It talks to this server alone, by addresses relative to the page.

const element = (id) => document.getElementById(id);
const [form, source, target, swap, text, answer, pane, copy, status, error, count] = [
  "form", "source", "target", "swap", "text", "answer", "answer-pane", "copy", "status", "error", "count",
].map(element);

const AUTO = "auto";

let languages = [];
let heard = null; // the language that the last answer was made from, when the server found it out
let running = null; // the AbortController of the request under way

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
}

function fill(select, codes, wanted) {
  const names = new Map(languages.map(({ code, name }) => [code, name]));
  select.replaceChildren(...codes.map((code) => new Option(names.get(code) ?? code, code)));
  select.value = codes.includes(wanted) ? wanted : codes[0];
}

const nameOf = (code) => languages.find((language) => language.code === code)?.name ?? code;
const targetsOf = (code) => languages.find((language) => language.code === code).targets.filter((other) => other !== code);

function choose(from, to) {
  const speakers = languages.map(({ code }) => code).filter((code) => targetsOf(code).length > 0);
  fill(source, speakers, from);
  source.prepend(new Option("Detect language", AUTO));
  if (from === AUTO) source.value = AUTO;
  const all = languages.map(({ code }) => code).filter((code) => speakers.some((one) => targetsOf(one).includes(code)));
  fill(target, source.value === AUTO ? all : targetsOf(source.value), to);
  hear(null);
}

/** Settles what language the text is in: what was chosen, or else what the server heard. */
function hear(language) {
  heard = language;
  const from = source.value === AUTO ? heard : source.value;
  text.lang = from ?? "";
  swap.disabled = from === null || from === target.value || !targetsOf(target.value).includes(from);
}

function show(translation) {
  answer.value = translation;
  answer.lang = target.value;
  copy.disabled = translation === "";
  copy.textContent = "Copy";
}

function busy(yes) {
  pane.setAttribute("aria-busy", String(yes));
  status.textContent = yes ? "Translating…" : "";
}

/** Ends the request under way, if any: its answer would be to another question. */
function stop() {
  running?.abort();
  running = null;
  busy(false);
  error.textContent = "";
}

async function translate() {
  stop();
  if (text.value.trim() === "") {
    show("");
    return;
  }
  const asked = text.value;
  const mine = (running = new AbortController());
  busy(true);
  try {
    const { translatedText, detectedLanguage } = await ask("translate", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ q: text.value, source: source.value, target: target.value }),
      signal: mine.signal,
    });
    if (mine !== running) return;
    show(translatedText);
    busy(false);
    if (text.value === asked) hear(detectedLanguage?.language ?? null); // else it was said of another text
    status.textContent = heard === null ? "Done" : `From ${nameOf(heard)}`;
  } catch (reason) {
    if (mine !== running) return; // replaced by a newer request
    busy(false);
    error.textContent = reason instanceof TypeError ? "The server cannot be reached." : reason.message;
  }
}

function exchange() {
  const [from, to, written] = [heard ?? source.value, target.value, answer.value];
  stop();
  choose(to, from);
  if (written !== "") {
    show(text.value);
    text.value = written;
  }
  measure();
  text.focus();
}

async function copyAnswer() {
  try {
    await navigator.clipboard.writeText(answer.value);
  } catch { // no clipboard without HTTPS: select it, so that one key copies
    answer.select();
    status.textContent = "Selected; copy it with your keyboard.";
    return;
  }
  copy.textContent = "Copied";
  status.textContent = "Copied to the clipboard";
}

function measure() {
  const length = [...text.value].length;
  count.textContent = length ? length.toLocaleString() : "";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  translate();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    translate();
  }
});
text.addEventListener("input", () => {
  if (source.value === AUTO) hear(null); // it was said of another text
  measure();
});
for (const select of [source, target]) {
  select.addEventListener("change", () => {
    stop();
    choose(source.value, target.value);
  });
}
swap.addEventListener("click", exchange);
copy.addEventListener("click", copyAnswer);
if (/Mac|iPhone|iPad/.test(navigator.platform)) element("modifier").textContent = "⌘";

try {
  languages = await ask("languages");
  choose("en", "de");
  measure();
} catch (reason) {
  error.textContent = `The languages could not be read: ${reason.message}`;
}
