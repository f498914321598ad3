// Rows: a list to search and filter, and one row whole with all that it hangs on and all that hangs on it.

const [F_STAGE, F_ABOVE, F_ID, F_TITLE, F_STATE, F_BY, F_RATING, F_FLAGS, F_REVIEW] = [...Array(9).keys()];
const PAGE = 50;
const PATIENCE = 500; // milliseconds after which a search says how far it has come
const STATES = ["kept", "dropped", "not decided", "rejected"];
const VERDICTS = { accept: "accepted", edit: "edited", reject: "rejected" };
const INDENT = " ";

const lists = new Map(); // stage → [{family, row}], a family being {tag, facts, block, place in the block}
const found = new Map(); // id → {family, row}
const wholes = new Map(); // block → promise of its families
let ready = null; // until the facts are read

/** Reads what lists and filters go by, of all rows that are on the page. */
function readFacts() {
  ready ||= (async () => {
    for (let block = 0; block < page.rows.blocks;) {
      for (const each of await factsFrom(block)) {
        each.forEach(([tag, facts], place) => takeFamily({ tag, facts, block, place }));
        block += 1;
      }
    }
  })();
  return ready;
}

function takeFamily(family) {
  family.facts.forEach((fact, row) => {
    if (!lists.has(fact[F_STAGE])) lists.set(fact[F_STAGE], []);
    lists.get(fact[F_STAGE]).push({ family, row });
    found.set(fact[F_ID], { family, row });
  });
}

function whole(block) {
  if (!wholes.has(block)) wholes.set(block, wholeOf(block));
  return wholes.get(block);
}

function titleOf({ facts }, row) {
  for (let here = row; here >= 0; here = facts[here][F_ABOVE]) if (facts[here][F_TITLE]) return facts[here][F_TITLE];
  return facts[row][F_ID];
}

const rowLink = (id, content) => el("button", { type: "button", class: "link", onclick: () => go(id) }, content);

const wanted = { text: "", stage: -1, branch: -1, state: "", rating: "", flag: "", review: "" };
let shown = []; // rows that the filters leave
let start = 0; // the first of those on this page of the list
let marked = 0; // of those on this page

const controls = {};
let listBox = null;

function rowsSection() {
  const stages = page.stages.map((each, place) => ({ ...each, place })).filter((each) => each.kind !== "transform" && each.place && each.rows);
  if (!stages.length) return [part("Rows", el("p", { class: "empty" }, "There are no rows yet."))];
  wanted.stage = stages.some((each) => each.place === sizeStage()) ? sizeStage() : stages.at(-1).place;
  const select = (name, label, options) => {
    controls[name] = el("select", { class: "field", id: `filter-${name}`, "aria-label": label, onchange: (event) => filter({ [name]: event.target.value }) },
      options.map(([value, text]) => el("option", { value }, text)));
    return controls[name];
  };
  let typing = 0;
  controls.text = el("input", { type: "search", class: "field", id: "search", placeholder: "Search all texts and ids", "aria-label": "Search", dir: "auto",
    oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => filter({ text: event.target.value }), 180); } });
  const branches = field.nodes.slice(0, 2000);
  const few = page.rows.families < page.rows.of;
  const tools = el("div", { class: "tools" }, controls.text,
    select("stage", "Stage", stages.map((each) => [each.place, each.name])),
    select("branch", "Branch", [[-1, "all branches"], ...branches.map((node) => [node.place, `${INDENT.repeat(2 * (labelsOf(node).length - 2))}${node.label}`])]),
    select("state", "Kept or dropped", [["", "kept or not"], ["0", "kept"], ["1", "dropped"], ...transforms.filter((each) => each.dropped).map((each) => [`by ${each.place}`, `dropped by ${each.name}`]), ["2", "not decided"], ["3", "rejected"]]),
    page.measure ? select("rating", page.measure.column, [["", `any ${page.measure.column}`], ...ratings()]) : null,
    Object.keys(page.flags).length ? select("flag", "Flag", [["", "any flag or none"], ...Object.keys(page.flags).map((name) => [name, name]), ["-", "no flag"]]) : null,
    server || Object.keys(page.reviews).length ? select("review", "Review", [["", "reviewed or not"], ...(server ? [...Object.keys(VERDICTS), "waits"] : Object.keys(page.reviews)).map((name) => [name, name === "waits" ? "waits for a build" : name]), ["-", "not reviewed"]]) : null);
  controls.stage.value = String(wanted.stage);
  listBox = el("div", { class: "part", id: "list" }, el("p", { class: "empty" }, "Reading the rows …"));
  return [part("Rows",
    few ? el("p", { class: "notice", id: "drawn" }, `${number(page.rows.families)} of ${number(page.rows.of)} rows with all that hangs on them, drawn by seed ${page.rows.seed}; charts and counts are of all.`) : null,
    tools,
    el("p", { class: "small faint keys" }, el("kbd", {}, "/"), " search  ", el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " next, previous  ", el("kbd", {}, "Enter"), " open  ", el("kbd", {}, "Esc"), " close", keysOfHands()),
    listBox)];
}

/** Bounds to choose from, by what the measure says of rows. */
function ratings() {
  const column = page.shares.find((each) => each.stage === page.measure.stage && each.column === page.measure.column);
  const values = (column ? column.values : []).map(([value]) => Number(value)).filter((value) => !Number.isNaN(value));
  return [...values.map((value) => [`>=${value}`, `${value} or more`]).slice(1), ...values.map((value) => [`<=${value}`, `${value} or less`]).slice(0, -1), ["-", "without"]];
}

const isBelow = (tag, branch) => { for (let here = tag; here >= 0; here = page.tree[here][T_PARENT]) if (here === branch) return true; return false; };

function fits(fact, tag) {
  if (wanted.branch >= 0 && !isBelow(tag, wanted.branch)) return false;
  if (wanted.state.startsWith("by ") ? fact[F_BY] !== Number(wanted.state.slice(3)) : wanted.state && fact[F_STATE] !== Number(wanted.state)) return false;
  if (wanted.flag && (wanted.flag === "-" ? fact[F_FLAGS].length : !fact[F_FLAGS].includes(wanted.flag))) return false;
  const verdict = verdictOn(fact);
  if (wanted.review && (wanted.review === "-" ? verdict : wanted.review === "waits" ? !waits(fact[F_ID]) : verdict !== wanted.review)) return false;
  if (wanted.rating === "-") return fact[F_RATING] === null;
  if (wanted.rating) {
    const bound = Number(wanted.rating.slice(2));
    return fact[F_RATING] !== null && (wanted.rating.startsWith(">") ? fact[F_RATING] >= bound : fact[F_RATING] <= bound);
  }
  return true;
}

let filtering = 0;
/** Takes up other filters; the list begins at its top, or stays `at` a page and a row of it. */
async function filter(change, at = null) {
  Object.assign(wanted, change);
  wanted.stage = Number(wanted.stage);
  wanted.branch = Number(wanted.branch);
  const own = filtering += 1;
  await readFacts();
  let rows = (lists.get(wanted.stage) || []).filter(({ family, row }) => fits(family.facts[row], family.tag));
  if (wanted.text.trim()) rows = await searched(rows, wanted.text.trim().toLowerCase(), () => own !== filtering);
  if (own !== filtering) return; // somebody has gone on typing
  shown = rows;
  if (at) showListAt(...at); else showListAt(0, 0);
}

/** Shows the page of the list that begins at a row, or the last one; marks one on it. */
function showListAt(first, place) {
  start = Math.min(first, PAGE * Math.floor(Math.max(0, shown.length - 1) / PAGE));
  marked = Math.min(place, Math.max(0, shown.slice(start, start + PAGE).length - 1));
  showList();
}

/** Marks the row before or after, on another page of the list too. */
function step(by) {
  const place = Math.min(Math.max(start + marked + by, 0), shown.length - 1);
  if (place >= 0) markShown(place);
}

/** Marks one of the rows that the filters leave, on its page of the list. */
function markShown(place) {
  const first = PAGE * Math.floor(place / PAGE);
  if (first !== start) showListAt(first, 0);
  mark(place - first);
}

function tellSearch(share) {
  if (byId("range")) byId("range").textContent = `searching, ${percent(share)} …`;
}

/** Those of `rows` whose id, or any text of their family, has the words. */
async function searched(rows, text, over) {
  const left = [];
  const has = server ? toldByServer(text) : readHere(text);
  let told = performance.now();
  for (const [place, each] of rows.entries()) {
    if (over()) return [];
    if (performance.now() - told > PATIENCE) { told = performance.now(); tellSearch(place / rows.length); }
    const { family, row } = each;
    if (family.facts[row][F_ID].startsWith(text) || await has(family)) left.push(each);
  }
  return left;
}

const readHere = (text) => async (family) => {
  const block = await whole(family.block);
  family.text ??= block[family.place].map(([content]) => Object.values(content).filter((value) => typeof value === "string").join("\n")).join("\n").toLowerCase();
  return family.text.includes(text);
};

/** The server has all rows at hand: a page that reads them all takes ten times as long, and their size in memory. */
function toldByServer(text) {
  const found = new Map(); // block → the places of families in it
  return async ({ block, place }) => {
    if (!found.has(block)) (await foundFrom(block, text)).forEach((places, more) => found.set(block + more, new Set(places)));
    return found.get(block).has(place);
  };
}

/** What a row shows by itself, and what a person said of it. */
function flagBadges(fact) {
  const made = fact[F_FLAGS].map((flag) => el("span", { class: "badge warn" }, flag));
  const verdict = verdictOn(fact);
  const later = waits(fact[F_ID]) ? ", in the next build" : "";
  if (verdict || later) made.push(el("span", { class: `badge ${verdict === "reject" ? "bad" : "in"}` }, `${VERDICTS[verdict] || verdict || "no longer reviewed"}${later}`));
  return [...made, ...saidBadges(fact[F_ID])];
}

function badges(fact) {
  const made = [];
  if (fact[F_STATE] === 1) made.push(el("span", { class: "badge" }, fact[F_BY] >= 0 ? `dropped by ${page.stages[fact[F_BY]].name}` : "dropped"));
  if (fact[F_STATE] === 2) made.push(el("span", { class: "badge warn" }, "not decided"));
  if (fact[F_STATE] === 3 && fact[F_REVIEW] !== "reject" && verdictOn(fact) !== "reject") made.push(el("span", { class: "badge bad" }, "rejected above"));
  if (fact[F_RATING] !== null) made.push(el("span", { class: "badge in", title: `mean ${page.measure.column}` }, `${page.measure.column} ${Number(fact[F_RATING].toFixed(2))}`));
  return [...made, ...flagBadges(fact)];
}

function showList() {
  const rows = shown.slice(start, start + PAGE);
  const all = (lists.get(wanted.stage) || []).length;
  const move = (by) => { showListAt(start + by, 0); listBox.scrollIntoView({ block: "start" }); };
  const range = shown.length ? `${number(start + 1)}–${number(start + rows.length)} of ${number(shown.length)}` : "none";
  const of = shown.length < all ? ` (filtered from ${number(all)})` : "";
  listBox.replaceChildren(
    el("div", { class: "pager" }, el("span", { class: "soft small", id: "range" }, `${range} ${page.stages[wanted.stage].name}${of}`),
      shown.length > PAGE && el("button", { type: "button", class: "quiet-button", id: "previous", disabled: start === 0, onclick: () => move(-PAGE) }, "← Previous"),
      shown.length > PAGE && el("button", { type: "button", class: "quiet-button", id: "next", disabled: start + PAGE >= shown.length, onclick: () => move(PAGE) }, "Next →")),
    rows.length ? el("ul", { class: "rows" }, rows.map(({ family, row }, place) => {
      const fact = family.facts[row];
      const sample = sampleOf(family, row);
      return el("li", { class: place === marked ? "marked" : "" }, el("button", { type: "button", "data-id": fact[F_ID], onclick: () => { mark(place); go(fact[F_ID]); } },
        words("span", "text", titleOf(family, row)), el("span", { class: "path" }, path(labelsOf(nodeAt(family.tag)).slice(1)), sample),
        el("span", { class: "marks" }, badges(fact))));
    })) : el("p", { class: "empty" }, "No row is like that."));
}

/** " · 2nd" for one of several rows of a stage below one row. */
function sampleOf({ facts }, row) {
  const siblings = facts.filter((each) => each[F_STAGE] === facts[row][F_STAGE] && each[F_ABOVE] === facts[row][F_ABOVE]);
  return facts[row][F_ABOVE] >= 0 && siblings.length > 1 ? `  · ${siblings.indexOf(facts[row]) + 1} of ${siblings.length}` : "";
}

function mark(place) {
  const items = listBox.querySelectorAll(".rows li");
  if (!items.length) return;
  marked = Math.min(Math.max(place, 0), items.length - 1);
  items.forEach((item, each) => item.classList.toggle("marked", each === marked));
  items[marked].scrollIntoView({ block: "nearest" });
}

function setControls() {
  for (const [name, control] of Object.entries(controls)) control.value = String(wanted[name]);
}

function rowsIn(node) {
  location.hash = "rows";
  Object.assign(wanted, { text: "", state: "", rating: "", flag: "", review: "", branch: node.place });
  setControls();
  filter({});
}

function rowsDroppedBy(place) {
  location.hash = "rows";
  const judged = placeOf(page.stages[place].above);
  Object.assign(wanted, { text: "", rating: "", flag: "", review: "", branch: -1, state: `by ${place}`, stage: judged > 0 ? judged : wanted.stage });
  setControls();
  filter({});
}

// One row.

let before = null; // what had the focus before a row was opened

async function openRow(id) {
  await readFacts();
  const { family, row } = found.get(id);
  const rows = (await whole(family.block))[family.place];
  before ||= document.activeElement;
  byId("panel").replaceChildren(...rowParts(family, row, rows));
  const listed = shown.findIndex((each) => each.family === family && each.row === row);
  if (listed >= 0) markShown(listed);
  byId("panel").hidden = false;
  byId("shade").hidden = false;
  byId("panel").scrollTop = 0;
  byId("panel").focus();
  openWantedForm(id);
}

function closeRow() {
  byId("panel").hidden = true;
  byId("shade").hidden = true;
  if (before && before.isConnected) before.focus();
  before = null;
}

function rowParts(family, row, rows) {
  const { facts } = family;
  const below = (place) => facts.map((_, other) => other).filter((other) => facts[other][F_ABOVE] === place);
  const cards = cardsAbove(facts, row).map((place) => card(facts, rows, place, place === row));
  const under = (place) => below(place).flatMap((other) => [card(facts, rows, other, false), ...under(other)]);
  const beside = (step) => {
    const place = shown.findIndex((each) => each.family === family && each.row === row);
    const next = shown[place + step];
    return el("button", { type: "button", class: "quiet-button", disabled: place < 0 || !next, "aria-label": step < 0 ? "Previous row" : "Next row", onclick: () => go(next.family.facts[next.row][F_ID]) }, step < 0 ? "↑" : "↓");
  };
  return [
    el("div", { class: "top" }, el("p", { class: "path" }, path(labelsOf(nodeAt(family.tag)))),
      el("div", { class: "tools" }, beside(-1), beside(1), el("button", { type: "button", class: "quiet-button", id: "close", onclick: () => go("rows") }, "Close"))),
    words("h2", "", titleOf(family, row) === facts[row][F_ID] ? facts[row][F_ID] : fullTitle(facts, rows, row)),
    fate(facts, rows, row), ...cards, ...under(row),
  ];
}

function fullTitle(facts, rows, row) {
  for (let here = row; here >= 0; here = facts[here][F_ABOVE]) if (facts[here][F_TITLE]) return Object.values(rows[here][0])[0];
  return facts[row][F_ID];
}

/** The places of a row and of all that it hangs on, what is on top first. */
function cardsAbove(facts, row) {
  const lineage = [];
  for (let here = row; here >= 0; here = facts[here][F_ABOVE]) lineage.unshift(here);
  return lineage;
}

/** Why a row is in or out, or will be out. */
function fate(facts, rows, row) {
  const said = (place) => Object.entries(rows[place][2]).filter(([, verdict]) => !verdict.kept).map(([stage, verdict]) => `${stage}: ${verdict.why.join("; ") || "no reason given"}`);
  const name = (place) => page.stages[facts[place][F_STAGE]].singular;
  const state = facts[row][F_STATE];
  let text = facts[row][F_STAGE] === placeOf(page.exported_stage) ? "It goes into the training files." : "It stands.";
  if (state === 3) text = "A person rejected it, or what it hangs on.";
  if (state === 2) text = "Not decided: a verdict is missing that could drop it (failures.jsonl says which).";
  if (state === 1) {
    let here = row;
    while (here >= 0 && !said(here).length) here = facts[here][F_ABOVE];
    if (here === row) text = `Dropped by ${said(row).join(", ")}`;
    else if (here >= 0) text = `The ${name(here)} that it hangs on was dropped by ${said(here).join(", ")}`;
    else {
      const belows = facts.map((_, place) => place).filter((place) => { for (let up = place; up >= 0; up = facts[up][F_ABOVE]) if (up === row) return place !== row; return false; });
      const reasons = [...new Set(belows.flatMap(said))];
      text = reasons.length ? `All that was judged below it was dropped by ${reasons.join(", ")}` : "Its tag was dropped.";
    }
  }
  const box = el("p", { class: `fate ${["in", "out", "open", "rejected"][state]}`, id: "fate", dir: "auto" }, text);
  const rejected = cardsAbove(facts, row).some((place) => waits(facts[place][F_ID]) && verdictOn(facts[place]) === "reject");
  if (state === 0 && rejected) { box.className = "fate rejected"; box.textContent = "Rejected: the next build leaves it out."; }
  box.again = () => fate(facts, rows, row);
  return box;
}

const THOUGHT = "reasoning"; // folded, since it is long
const isLink = (value) => typeof value === "string" && found.has(value);

function card(facts, rows, place, here) {
  const [content, told, verdicts] = rows[place];
  const fact = facts[place];
  const isTitle = Boolean(fact[F_TITLE]) && (here || facts.every((other) => !other[F_TITLE] || other === fact)); // it stands above already
  const columns = Object.entries(content).filter(([, value], at) => value !== null && !(isTitle && at === 0));
  const verdictLines = Object.entries(verdicts).map(([stage, verdict]) => {
    const { id, kept, why, ...more } = verdict;
    const details = Object.entries(more).filter(([, value]) => value !== null).map(([name, value]) => [` · ${name} `, isLink(value) ? rowLink(value, value) : typeof value === "number" ? String(Number(value.toFixed(3))) : JSON.stringify(value)]);
    return el("p", { class: "small", dir: "auto" }, el("span", { class: `badge ${kept ? "in" : "bad"}` }, `${stage}: ${kept ? "kept" : "dropped"}`), why.length ? ` ${why.join("; ")}` : "", details);
  });
  const usage = told.usage ? `${number(told.usage.prompt_tokens || 0)} + ${number(told.usage.completion_tokens || 0)} tokens` : null;
  const facts_ = [told.model, told.role, told.finish_reason, usage, told.call && `call ${short(told.call)}`].filter(Boolean);
  return el("div", { class: `row-card ${here ? "here" : ""}`, "data-id": fact[F_ID] },
    el("div", { class: "title" }, el("h3", {}, page.stages[fact[F_STAGE]].singular), el("span", { class: "badges", "data-badges": fact[F_ID] }, flagBadges(fact)), el("span", { class: "mono faint" }, fact[F_ID])),
    columns.map(([name, value]) => columnOf(name, value, columns.length)), verdictLines, handsOnRow(fact, content),
    facts_.length ? el("div", { class: "told" }, facts_.map((text) => el("span", {}, text))) : null);
}

function columnOf(name, value, of) {
  if (name === THOUGHT && value) return el("details", {}, el("summary", {}, `reasoning, ${number(String(value).length)} characters`), words("div", "body thought", String(value)));
  const text = typeof value === "string" ? value : value && typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).map(([key, each]) => `${key} ${typeof each === "object" ? JSON.stringify(each) : each}`).join(" · ") : JSON.stringify(value);
  return el("div", {}, of > 1 && el("h4", {}, name), words("div", "body", text));
}
