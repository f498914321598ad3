// What all parts of the page share: elements, numbers in words, the data, the theme. Text is only ever a text node.

const page = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
/** What a page knows that has a server; null for one in a file. */
const server = byId("server") && JSON.parse(byId("server").textContent);

function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element for words of models or people, whose direction the words themselves say. */
const words = (tag, name, text) => el(tag, { class: name, dir: "auto" }, text);

const number = (value) => value.toLocaleString("en-US");
const percent = (share) => `${(share * 100).toFixed(share && share < 0.1 ? 1 : 0)}%`;
const plural = (amount, noun) => `${number(amount)} ${amount === 1 ? (noun.endsWith("ss") ? noun : noun.replace(/s$/, "")) : noun}`;
const rowsOf = (amount, stage) => stage.endsWith("s") ? plural(amount, stage) : `${plural(amount, "rows")} of ${stage}`;
const short = (digest) => digest.slice(0, 12);

function compact(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size * 0.9995) return `${(value / size).toFixed(value / size < 9.95 ? 1 : 0)}${letter}`;
  }
  return String(Math.round(value));
}

function money(usd) {
  if (usd === null || usd === undefined) return "—";
  if (usd === 0) return "$0";
  if (usd < 0.0001) return "<$0.0001";
  return usd < 1 ? `$${usd.toFixed(4)}` : `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

const time = (at) => new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function part(title, ...children) {
  return el("div", { class: "part" }, title && el("h2", {}, title), ...children);
}

/** Rows of a table that is a picture too: a label, a bar made of stretches, and what the bar says in words. */
function bars(rows, kind = "") {
  const most = Math.max(1, ...rows.map((row) => row.stretches.reduce((sum, each) => sum + each.value, 0)));
  return el("div", { class: `bars ${kind}` }, rows.map((row) => {
    const track = el("div", { class: "track", "aria-hidden": "true" }, row.stretches.map((each) => {
      const fill = el("div", { class: each.kind });
      fill.style.width = `${(each.value / most) * 100}%`;
      return fill;
    }));
    return el("div", { class: "row-of" },
      el("div", { class: "label", dir: "auto" }, row.label), track, el("div", { class: "number" }, row.words));
  }));
}

function table(heads, rows, kind = "") {
  const cell = (tag) => (value, place) => {
    const head = heads[place] || "";
    const content = value instanceof Node ? value : value === null || value === undefined ? "—" : String(value);
    return el(tag, { class: head.startsWith("#") ? "number" : "", dir: content instanceof Node ? null : "auto" }, content);
  };
  return el("div", { class: "scroll" }, el("table", { class: kind },
    heads.some(Boolean) && el("thead", {}, el("tr", {}, heads.map((head, place) =>
      el("th", { class: head.startsWith("#") ? "number" : "", scope: "col" }, head.replace(/^#/, ""))))),
    el("tbody", {}, rows.map((row) => el("tr", { class: row.kind || "" }, (row.cells || row).map(cell("td")))))));
}

/** Buttons of which one is pressed. */
function choices(options, chosen, choose) {
  const buttons = options.map(([value, label]) => el("button", {
    type: "button", "data-value": value, "aria-pressed": String(value === chosen),
    onclick: () => {
      for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.value === value));
      choose(value);
    },
  }, label));
  return el("div", { class: "choices", role: "group" }, buttons);
}

/** Texts woven together: what was removed and what was added is marked. */
function woven(pieces) {
  return pieces.map(([kind, text]) => kind === "same" ? text : el(kind === "added" ? "ins" : "del", { class: kind }, text));
}

/** A path for an element: each label runs in its own direction, and they stand one after the other all the same. */
const path = (labels) => labels.flatMap((label, place) => [place ? " / " : null, el("bdi", {}, label)]);
/** A path where there can be text alone. */
const pathText = (labels) => labels.join(" / ");

let toastTimer = 0;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { byId("toast").hidden = true; }, 6000);
}

// The theme: as the system has it, until somebody says otherwise.

const themes = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
const themeListeners = [];
let theme = "auto";
try { theme = localStorage.getItem("distill-build theme") || "auto"; } catch { /* a file may have no storage */ }
if (!themes.includes(theme)) theme = "auto";

function showTheme() {
  document.documentElement.dataset.theme = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
  byId("theme").textContent = { auto: "◐ System", light: "○ Light", dark: "● Dark" }[theme];
  for (const listener of themeListeners) listener();
}
byId("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  try { localStorage.setItem("distill-build theme", theme); } catch { /* as above */ }
  showTheme();
});
system.addEventListener("change", showTheme);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Blocks of rows: JSON, compressed; in the page in base64, or at its server.

/** What lists go by, of a block and, at a server, of many behind it. */
const factsFrom = async (place) => server ? (await fetched(`/facts/${place}`)).json() : [await opened(bytesIn(byId(`facts-${place}`).textContent))];
const wholeOf = async (place) => opened(server ? await (await fetched(`/whole/${place}`)).arrayBuffer() : bytesIn(byId(`whole-${place}`).textContent));

const foundFrom = async (place, text) => (await fetched(`/found/${place}`, { text })).json();

async function opened(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function bytesIn(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}
