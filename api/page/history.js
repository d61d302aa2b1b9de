// What was translated lately. It stays in this browser: nothing of it is ever sent.

const STORE = "carousel-history";
const MOST = 30;
const LONGEST = 500; // characters of a text that is worth a line

const [box, list, forget] = ["history", "past", "forget"].map((id) => document.getElementById(id));

/** Shows what is remembered; `recall` is called with an entry that a person chooses. */
export function showHistory(recall) {
  const entries = read();
  box.hidden = entries.length === 0;
  list.replaceChildren(
    ...entries.map((entry) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(line(entry.text, entry.from), line(entry.translation, entry.to));
      button.addEventListener("click", () => recall(entry));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
  forget.onclick = () => {
    write([]);
    showHistory(recall);
  };
}

/** Remembers a translation; one of a text that was still being typed gives way to that of the whole. */
export function remember(entry) {
  if (entry.text.length > LONGEST) return;
  const others = read().filter(({ text }, place) => text !== entry.text && !(place === 0 && entry.text.startsWith(text)));
  write([entry, ...others].slice(0, MOST));
}

function line(text, lang) {
  return Object.assign(document.createElement("span"), { textContent: text, lang });
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch { // a browser that keeps nothing, or something that is not ours
    return [];
  }
}

function write(entries) {
  try {
    localStorage.setItem(STORE, JSON.stringify(entries));
  } catch { /* then nothing is remembered */ }
}
