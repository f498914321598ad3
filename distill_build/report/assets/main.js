// The parts of the page, which of them is shown, and the keyboard. A hash is the name of a part, or an id.

const parts = page.kind === "sweep" ? [["jobs", "Jobs", sweepSection]] : [
  ["overview", "Overview", overviewSection], ["tree", "Tree", treeSection], ["rows", "Rows", rowsSection], ["dropped", "Dropped", droppedSection],
  ["shape", "Shape", shapeSection], ...(page.difference ? [["difference", "Difference", differenceSection]] : []),
  ["settings", "Settings", settingsSection], ["versions", "Versions", versionsSection],
];
const sections = new Map();

function build() {
  (page.kind === "sweep" ? sweepHead : head)();
  const links = parts.map(([name, label]) => el("a", { href: `#${name}`, "data-part": name }, label));
  byId("tabs").append(el("div", { class: "tabs-inner" }, links));
  byId("tabs").hidden = parts.length < 2;
  for (const [name, label, make] of parts) {
    const section = el("section", { id: `part-${name}`, "aria-label": label, hidden: true }, make());
    section.dataset.part = name;
    sections.set(name, section);
    byId("main").append(section);
  }
}

const go = (place) => { location.hash = place; };
const hash = () => decodeURIComponent(location.hash.slice(1));
let current = "";

function showPart(name) {
  if (name !== current) scrollTo(0, 0);
  current = name;
  for (const [each, section] of sections) section.hidden = each !== name;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.dataset.part === name) { link.setAttribute("aria-current", "page"); link.scrollIntoView({ inline: "nearest", block: "nearest" }); } else link.removeAttribute("aria-current");
  }
  drawAll();
}

/** Goes where the hash says: to a part, to a tag in the tree, to a row. */
async function follow() {
  const place = hash();
  if (sections.has(place) || !place) {
    closeRow();
    showPart(place || parts[0][0]);
    return;
  }
  const tag = page.kind === "dataset" ? page.tree.findIndex((each) => each[T_ID] === place) : -1;
  if (tag >= 0) {
    closeRow();
    showPart("tree");
    showTag(field.nodes[tag]);
    return;
  }
  if (!current) showPart(parts.some(([name]) => name === "rows") ? "rows" : parts[0][0]);
  if (page.kind === "dataset") await readFacts();
  if (hash() !== place) return;
  if (page.kind === "dataset" && found.has(place)) await openRow(place);
  else toast(page.kind === "dataset" && page.rows.families < page.rows.of ? `${place} is not among the rows that were drawn for this page` : `There is no ${place} on this page`);
}

addEventListener("hashchange", follow);
byId("shade").addEventListener("click", () => go(current));

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || page.kind !== "dataset") return;
  const open = !byId("panel").hidden;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (open) go(current);
    else if (typing) event.target.blur();
    return;
  }
  if (open && event.key === "Tab") keepInside(event);
  if (typing) return;
  if (server && handsKey(event)) return;
  if (event.key === "/") { event.preventDefault(); go("rows"); showPart("rows"); byId("search")?.focus(); return; }
  if (current !== "rows") return;
  const by = { j: 1, k: -1 }[event.key];
  if (by && open) byId("panel").querySelector(`[aria-label="${by > 0 ? "Next" : "Previous"} row"]`).click();
  else if (by) step(by);
  else if (event.key === "Enter" && !open && !event.target.matches("button, a, summary")) listBox?.querySelector(".rows li.marked button")?.click();
});

/** The focus goes round within an open row. */
function keepInside(event) {
  const reached = [...byId("panel").querySelectorAll("button:not(:disabled), summary, a, input, textarea")];
  const [first, last] = [reached[0], reached.at(-1)];
  if (event.shiftKey && document.activeElement === first) { event.preventDefault(); last.focus(); }
  else if (!event.shiftKey && document.activeElement === last) { event.preventDefault(); first.focus(); }
}

build();
showTheme();
if (listBox) filter({}); // first, so that an opened row knows its neighbours
follow();
if (server) watch();
document.documentElement.dataset.ready = "true";
