// The words of an answer and the words they came from: light one, and the others light up.
// The server counts characters as code points, a string counts halves of some: everything here is arrays of characters.

const [answer, text, echo] = ["answer", "text", "echo"].map((id) => document.getElementById(id));

const UNSURE = 0.3; // below it, a sentence is wrong more often than two times in three

let words = []; // of the answer, each {span, sources: [[start, end], …]}
let characters = []; // of the text that the answer was made from
let lit = -1;

/** Shows the translation of a text; words that are linked can be lit, sentences that the model doubts are dotted. */
export function showTranslation(asked, translation, links, sentences) {
  unlight();
  characters = [...asked];
  const written = [...translation];
  const byWord = new Map();
  for (const link of links) {
    const place = `${link.targetStart} ${link.targetEnd}`;
    byWord.set(place, [...(byWord.get(place) ?? []), link]);
  }
  const doubts = sentences.filter(({ confidence }) => confidence !== null && confidence < UNSURE);
  const nodes = [];
  let reached = 0;
  words = [...byWord.values()]
    .sort(([one], [other]) => one.targetStart - other.targetStart)
    .map((found) => {
      const { targetStart: start, targetEnd: end } = found[0];
      nodes.push(written.slice(reached, start).join(""));
      reached = end;
      const span = document.createElement("span");
      span.className = "word";
      span.textContent = written.slice(start, end).join("");
      const doubted = doubts.some(({ targetStart, targetEnd }) => targetStart <= start && end <= targetEnd);
      if (doubted) {
        span.classList.add("unsure");
        span.title = "The model is not sure of this sentence";
      }
      nodes.push(span);
      return { span, sources: found.map(({ sourceStart, sourceEnd }) => [sourceStart, sourceEnd]).sort((one, other) => one[0] - other[0]) };
    });
  nodes.push(written.slice(reached).join(""));
  answer.replaceChildren(...nodes);
}

/** Shows one more piece of a translation that is being found; the first one takes the place of what stood there. */
export function growTranslation(piece, first) {
  if (first) {
    unlight();
    words = [];
    answer.replaceChildren();
  }
  answer.append(piece);
}

/** Lights the next word of the answer, or the one before; says what it came from. */
export function step(way) {
  if (words.length === 0) return "";
  if (characters.join("") !== text.value) return "The text has changed";
  light(lit < 0 ? (way > 0 ? 0 : words.length - 1) : (lit + way + words.length) % words.length);
  const { span, sources } = words[lit];
  return `${span.textContent} ← ${sources.map(([start, end]) => characters.slice(start, end).join("")).join(" … ")}`;
}

export function unlight() {
  if (lit >= 0) words[lit]?.span.classList.remove("lit");
  lit = -1;
  echo.replaceChildren();
}

function light(number) {
  unlight();
  if (characters.join("") !== text.value) return; // it is another text by now
  lit = number;
  words[number].span.classList.add("lit");
  const nodes = [];
  let reached = 0;
  for (const [start, end] of words[number].sources) {
    nodes.push(characters.slice(reached, start).join(""));
    const mark = document.createElement("mark");
    mark.textContent = characters.slice(start, end).join("");
    nodes.push(mark);
    reached = end;
  }
  nodes.push(characters.slice(reached).join(""));
  echo.replaceChildren(...nodes);
  echo.scrollTop = text.scrollTop;
}

answer.addEventListener("pointerover", (event) => {
  const number = words.findIndex(({ span }) => span === event.target);
  if (number >= 0) light(number);
});
answer.addEventListener("pointerleave", unlight);
answer.addEventListener("blur", unlight);
text.addEventListener("scroll", () => (echo.scrollTop = text.scrollTop));
