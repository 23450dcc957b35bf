"use strict";
// Each table: a click on a heading sorts, a field filters by words, a row of buttons by verdict. Without this script
// the tables are whole and in the order in which they were made.
const order = new Intl.Collator(undefined, { numeric: true });

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function byColumn(column, direction) {
  const key = (row) => {
    const cell = row.cells[column];
    const raw = cell.dataset.key;
    return raw === undefined ? cell.textContent : raw === "" ? null : Number(raw);
  };
  return (rows) => {
    const keyed = rows.map((row) => [key(row), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // nothing comes last, either way
      if (typeof a === "number" && typeof b === "number") return direction * (a < b ? -1 : a > b ? 1 : 0);
      return direction * order.compare(a, b);
    });
    return keyed.map(([, row]) => row);
  };
}

function sortable(table, rows) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = element("button", { type: "button", ariaLabel: `Sort by ${heading.textContent}` });
    heading[heading.className === "number" ? "prepend" : "append"](button); // numbers end where their heading ends
    heading.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const state = next[heading.ariaSort ?? "none"];
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      if (state !== "none") heading.ariaSort = state;
      const sorted = state === "none" ? rows : byColumn(column, state === "ascending" ? 1 : -1)(rows);
      table.tBodies[0].append(...sorted);
    });
  });
}

function filterable(box, table, rows) {
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const verdicts = rows.map((row) => row.querySelector(".outcome")?.textContent);
  const count = element("output", {});
  const field = element("input", { type: "search", placeholder: "Filter", ariaLabel: "Rows that contain these words" });
  const buttons = [];
  let wanted = null;

  function update() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = (wanted === null || verdicts[i] === wanted) && words.every((word) => texts[i].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
    buttons.forEach((button) => (button.ariaPressed = String(button.verdict === wanted)));
  }

  function choice(verdict, label, number, tone) {
    const button = element("button", { type: "button", className: `outcome ${tone}`, verdict }, label);
    button.append(element("span", { className: "tally", textContent: number }));
    button.addEventListener("click", () => {
      wanted = verdict;
      update();
    });
    buttons.push(button);
  }

  const words = [...new Set(verdicts.filter((verdict) => verdict !== undefined))];
  if (words.length > 1) {
    choice(null, "all", rows.length, "");
    for (const word of words) {
      const first = rows[verdicts.indexOf(word)].querySelector(".outcome");
      choice(word, word, verdicts.filter((verdict) => verdict === word).length, first.classList[1]);
    }
  }
  field.addEventListener("input", update);
  const verdictBar = element("div", { className: "verdicts", role: "group", ariaLabel: "Verdict" }, ...buttons);
  box.prepend(element("div", { className: "tools" }, field, verdictBar, count));
  update();
}

for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 2) continue;
  sortable(table, rows);
  if (rows.length > 7) filterable(box, table, rows);
}

// The contents mark the section that is being read.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id).setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-10% 0px -80% 0px" },
);
document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
