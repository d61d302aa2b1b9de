// Where each word of an answer came from, all at once: a table of the words of both sides, darker where they belong together.

const WIDEST = 40; // words of either side, past which nobody can read the table

/** Draws the map of a translation into `table`; says whether there was one to draw. */
export function drawMap(table, asked, translation, links) {
  const [from, to] = [[...asked], [...translation]];
  const columns = words(from, links.map(({ sourceStart, sourceEnd }) => [sourceStart, sourceEnd]));
  const rows = words(to, links.map(({ targetStart, targetEnd }) => [targetStart, targetEnd]));
  table.replaceChildren();
  if (links.length === 0 || Math.max(rows.length, columns.length) > WIDEST) return false;
  const weights = new Map(links.map((link) => [`${link.sourceStart} ${link.targetStart}`, link.weight]));
  table.append(line(cell("td"), ...columns.map(([start, end]) => cell("th", from.slice(start, end).join(""), "col"))));
  for (const [start, end] of rows) {
    const word = to.slice(start, end).join("");
    const cells = columns.map(([column, until]) => {
      const weight = weights.get(`${column} ${start}`);
      if (weight === undefined) return cell("td");
      const mark = Object.assign(document.createElement("span"), { textContent: `${Math.round(100 * weight)} %` });
      mark.style.opacity = String(0.15 + 0.85 * weight);
      const found = cell("td");
      found.title = `${word} ← ${from.slice(column, until).join("")}, ${mark.textContent}`;
      found.append(mark);
      return found;
    });
    table.append(line(cell("th", word, "row"), ...cells));
  }
  return true;
}

/** The words of a text as [start, end]: those that links name, and between them what white space divides. */
function words(characters, linked) {
  const known = [...new Map(linked)].sort(([one], [other]) => one - other);
  const found = [];
  let reached = 0;
  for (const [start, end] of [...known, [characters.length, characters.length]]) {
    for (let place = reached; place < start; place++) {
      if (characters[place].trim() === "") continue;
      const first = place;
      while (place < start && characters[place].trim() !== "") place++;
      found.push([first, place]);
    }
    if (end > start) found.push([start, end]);
    reached = end;
  }
  return found;
}

function line(...cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}

function cell(kind, text = "", scope = "") {
  return Object.assign(document.createElement(kind), { textContent: text, scope });
}
