// The page where a person translates. It talks to this server alone, by addresses relative to the page.

import { remember, showHistory } from "./history.js";
import { drawMap } from "./map.js";
import { growTranslation, showTranslation, step, unlight } from "./words.js";

const element = (id) => document.getElementById(id);
const [form, source, target, swap, text, answer, pane, others, clear, copy, status, error, count] = [
  "form", "source", "target", "swap", "text", "answer", "answer-pane", "others", "clear", "copy", "status", "error", "count",
].map(element);
const [map, mapTable, mapToggle] = [element("map"), element("map-table"), element("map-toggle")];
const [key, keyField] = [element("key"), element("key-field")];

const AUTO = "auto";
const KEY = "carousel-key"; // under which this browser, and nobody else, keeps it
const PAUSE = 350; // milliseconds without a key, after which a person wants to see something
const SHOWN_WHOLE = 5000; // characters; words and alternatives of more are nothing anybody looks at

let languages = [];
let heard = null; // the language that the last answer was made from, when the server found it out
let running = null; // the AbortController of the request under way
let mapWanted = false;
let growing = false; // whether what is shown is the beginning of the answer to come
let typing = 0; // the timer of the pause
let picked = false; // whether a person chose the target

async function ask(path, options) {
  const response = await fetch(path, options).catch((reason) => {
    throw reason.name === "AbortError" ? reason : new Error("The server cannot be reached.");
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
}

/** Translates as a stream: calls `settle` with each piece of text that is certain; returns the whole answer. */
async function askStream(body, signal, settle) {
  const response = await fetch("translate", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, ...(key.value && { api_key: key.value }) }),
    signal,
  }).catch((reason) => {
    throw reason.name === "AbortError" ? reason : new Error("The server cannot be reached.");
  });
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? `The server answered ${response.status}.`);
  let waiting = "";
  for await (const chunk of pieces(response.body.pipeThrough(new TextDecoderStream()))) {
    const events = (waiting + chunk).split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s)));
      const data = JSON.parse(fields.data);
      if (fields.event === "error") throw new Error(data.error);
      if (fields.event === "done") return data;
      settle(data);
    }
  }
  throw new Error("The connection broke off.");
}

/** What a stream gives, piece by piece; not every browser can iterate over one. */
async function* pieces(stream) {
  const reader = stream.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
}

function fill(select, codes, wanted) {
  select.replaceChildren(...codes.map((code) => new Option(nameOf(code), code)));
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

function show(asked, translation, body = {}) {
  showTranslation(asked, translation, body.alignment ?? [], body.scores?.sentences ?? []);
  mapToggle.disabled = !drawMap(mapTable, asked, translation, body.alignment ?? []);
  openMap(mapWanted);
  answer.classList.remove("growing");
  answer.lang = target.value;
  copy.disabled = translation === "";
  copy.textContent = "Copy";
  const few = body.scores?.sentences.length === 1; // of several sentences, an alternative changes all at once
  others.replaceChildren(...(few ? body.alternatives : []).map(other));
  others.hidden = others.children.length === 0;
}

/** Shows the map of words, or takes it away; what was wanted once is wanted of the next answer too. */
function openMap(wanted) {
  mapWanted = wanted;
  map.hidden = !wanted || mapToggle.disabled;
  mapToggle.setAttribute("aria-expanded", String(!map.hidden));
}

/** Puts an earlier text back. */
function recall({ text: earlier, from, to }) {
  choose(from, to);
  text.value = earlier;
  measure();
  translate();
  text.focus();
}

/** Takes one more piece of the translation under way. */
function grow(piece) {
  growTranslation(piece, !growing);
  growing = true;
  answer.classList.add("growing");
  others.hidden = true;
  answer.lang = target.value;
}

/** One more translation; a click makes it the answer. */
function other(translation) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: translation, lang: target.value });
  button.addEventListener("click", () => {
    const replaced = answer.textContent;
    showTranslation(text.value, translation, [], []);
    mapToggle.disabled = !drawMap(mapTable, "", "", []);
    openMap(mapWanted);
    copy.textContent = "Copy";
    item.replaceWith(other(replaced));
    answer.focus();
  });
  item.append(button);
  return item;
}

function busy(yes) {
  pane.setAttribute("aria-busy", String(yes));
  status.textContent = yes ? "Translating…" : "";
}

/** Ends the request under way, if any: its answer would be to another question. */
function stop() {
  clearTimeout(typing);
  running?.abort();
  running = null;
  busy(false);
  error.textContent = "";
}

async function translate() {
  stop();
  if (text.value.trim() === "") {
    show("", "");
    return;
  }
  const mine = (running = new AbortController());
  growing = false;
  const asked = text.value;
  const whole = asked.length <= SHOWN_WHOLE;
  busy(true);
  try {
    const question = {
      q: asked, source: source.value, target: target.value, alignment: whole, scores: whole, alternatives: whole ? 3 : 0,
    };
    const body = await askStream(question, mine.signal, ({ delta, done, total }) => {
      if (mine !== running) return;
      if (delta !== "") grow(delta);
      if (total > 1) status.textContent = `Translating… ${done} of ${total} sentences`;
    });
    if (mine !== running) return;
    hear(body.detectedLanguage?.language ?? null);
    if (heard === target.value && !picked && targetsOf(heard).length > 0) {
      target.value = targetsOf(heard)[0]; // it is in the reader's own language, so another is wanted
      translate();
      return;
    }
    show(asked, body.translatedText, body);
    remember({ text: asked, translation: body.translatedText, from: heard ?? source.value, to: target.value });
    showHistory(recall);
    busy(false);
    status.textContent = heard === null ? "" : `From ${nameOf(heard)}`;
  } catch (reason) {
    if (mine !== running) return; // replaced by a newer request
    busy(false);
    error.textContent = reason.message;
  }
}

function type() {
  unlight();
  measure();
  clearTimeout(typing);
  typing = setTimeout(translate, PAUSE);
}

function exchange() {
  const [from, to, written] = [heard ?? source.value, target.value, answer.textContent];
  choose(to, from);
  if (written !== "") text.value = written;
  measure();
  translate();
  text.focus();
}

async function copyAnswer() {
  try {
    await navigator.clipboard.writeText(answer.textContent);
  } catch { // no clipboard without HTTPS: select it, so that one key copies
    getSelection().selectAllChildren(answer);
    status.textContent = "Selected; copy it with your keyboard.";
    return;
  }
  copy.textContent = "Copied";
  status.textContent = "Copied to the clipboard";
}

function measure() {
  const length = [...text.value].length;
  count.textContent = length ? length.toLocaleString() : "";
  clear.disabled = length === 0;
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
text.addEventListener("input", type);
answer.addEventListener("keydown", (event) => {
  const ways = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key in ways && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    status.textContent = step(ways[event.key]);
  }
});
for (const select of [source, target]) {
  select.addEventListener("change", () => {
    picked ||= select === target;
    choose(source.value, target.value);
    translate();
  });
}
swap.addEventListener("click", exchange);
clear.addEventListener("click", () => {
  text.value = "";
  type();
  translate();
  text.focus();
});
copy.addEventListener("click", copyAnswer);
mapToggle.addEventListener("click", () => openMap(map.hidden));

key.addEventListener("change", () => {
  try {
    localStorage.setItem(KEY, key.value);
  } catch { /* a browser that keeps nothing: the key is asked for again */ }
  translate();
});

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

try {
  const settings = await ask("frontend/settings");
  keyField.hidden = !settings.apiKeys;
  if (settings.apiKeys) key.value = remembered() ?? "";
  languages = await ask("languages", { headers: { "Accept-Language": "en" } }); // as the page is
  showHistory(recall);
  choose(AUTO, navigator.languages.map((tag) => tag.split("-")[0]).find((code) => languages.some((one) => one.code === code)) ?? "en");
  measure();
  if (text.value) translate(); // the browser kept it over a reload
} catch (reason) {
  error.textContent = `The languages could not be read: ${reason.message}`;
}
