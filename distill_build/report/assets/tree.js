// The tag tree: a list that opens and closes, and a treemap. What lies below a tag is added up here, once.

const [T_ID, T_LABEL, T_NUMBER, T_PARENT, T_LEAF, T_FLAGS, T_BELOW, T_MISSING, T_STATE, T_RENAMED] = [...Array(10).keys()];

/** The topic and all tags, each with what is here and below: rows by stage, what is missing, what the measure says. */
function tree() {
  const stages = page.stages.length;
  const node = (tag, place) => {
    const [rows, sum, rated] = tag ? tag[T_BELOW] : page.below_topic;
    const missing = tag ? tag[T_MISSING] : page.topic_missing;
    return {
      place, tag, label: tag ? tag[T_LABEL] : page.topic, children: [], above: null,
      rows: rows.length ? [...rows] : new Array(stages).fill(0), sum, rated, missing, own: missing, tags: 0,
    };
  };
  const root = node(null, -1);
  const nodes = page.tree.map(node);
  const above = (each) => each.tag[T_PARENT] < 0 ? root : nodes[each.tag[T_PARENT]];
  for (const each of nodes) { each.above = above(each); each.above.children.push(each); }
  for (const each of [...nodes].reverse()) { // parents stand before their children
    each.rows.forEach((rows, stage) => { each.above.rows[stage] += rows; });
    each.above.missing += each.missing;
    each.above.sum += each.sum;
    each.above.rated += each.rated;
    each.above.tags += each.tags + 1;
  }
  return { root, nodes };
}

const placeOf = (stage) => page.stages.findIndex((each) => each.name === stage);
const transforms = page.kind === "dataset" ? page.stages.map((each, place) => ({ ...each, place })).filter((each) => each.kind === "transform" && each.rows !== null) : [];
const field = page.kind === "dataset" ? tree() : null;

/** The stage by whose rows a branch is large or small: what is exported, else the last that has rows. */
function sizeStage() {
  const exported = placeOf(page.exported_stage);
  if (exported >= 0 && page.stages[exported].rows) return exported;
  return page.stages.findLastIndex((each, place) => place > 0 && each.kind !== "transform" && each.rows);
}

/** The least and the most of numbers; a spread into Math.max would have too many arguments. */
const extent = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);

const nodeAt = (place) => place < 0 ? field.root : field.nodes[place];
const labelsOf = (node) => node.above ? [...labelsOf(node.above), node.label] : [node.label];
const mean = (node) => node.rated ? node.sum / node.rated : null;
const droppedIn = (node) => transforms.reduce((sum, each) => sum + node.rows[each.place], 0);

function treeSection() {
  if (!field.nodes.length) return [part("Tree", el("p", { class: "empty" }, "No tag is there yet."))];
  const size = sizeStage();
  const list = treeList(size);
  const picture = el("div", { class: "picture part" });
  const colours = [["rows", size >= 0 ? page.stages[size].name : "tags"]];
  if (page.measure) colours.push(["score", `mean ${page.measure.column}`]);
  if (transforms.length) colours.push(["dropped", "dropped"]);
  colours.push(["missing", "missing"]);
  const first = page.measure && field.root.rated ? "score" : "rows";
  const map = treemap(size, first);
  const legend = el("p", { class: "small soft", id: "map-words" }, map.legend());
  const choose = (by) => { map.colourBy(by); legend.textContent = map.legend(); };
  picture.append(
    el("div", { class: "chart-title" }, el("h3", {}, "Coloured by"), choices(colours, first, choose)), map.picture.box,
    el("div", { class: "chart-title" }, legend, el("button", { type: "button", class: "quiet-button", id: "whole-map", onclick: () => draw(map.picture) }, "Whole map")));
  const all = el("div", { class: "tools" },
    el("button", { type: "button", class: "quiet-button", id: "open-all", onclick: () => list.all(true) }, "Open all"),
    el("button", { type: "button", class: "quiet-button", id: "close-all", onclick: () => list.all(false) }, "Close all"));
  return [el("div", { class: "tree-layout" }, el("div", { class: "part" }, el("h2", {}, "Tree"), all, list.element, waitingInTree()), picture)];
}

const OPEN_AT_FIRST = 40; // tags of a tree that is shown whole
let showTag = () => {};

function treeList(size) {
  const items = new Map();
  function item(node) {
    const { tag } = node;
    const marks = [];
    if (tag && tag[T_RENAMED]) marks.push(el("span", { class: "badge", title: `renamed from ${tag[T_RENAMED]}` }, "renamed"));
    for (const flag of tag ? tag[T_FLAGS] : []) marks.push(el("span", { class: "badge warn" }, flag));
    if (node.own) marks.push(el("span", { class: "badge bad" }, `${number(node.own)} missing`));
    const score = mean(node);
    const counts = [size >= 0 && number(node.rows[size]), score !== null && `∅ ${score.toFixed(1)}`].filter(Boolean);
    const toggle = node.children.length
      ? el("button", { type: "button", class: "toggle", "aria-expanded": "false", "aria-label": `Open or close ${node.label}`, onclick: () => open(node, !isOpen(node)) }, "▸")
      : el("span", { class: "toggle" });
    const line = el("div", { class: `tag ${tag && tag[T_STATE] !== 0 ? "out" : ""}`, "data-id": tag ? tag[T_ID] : "", title: tag && tag[T_STATE] !== 0 ? "dropped, or all that hangs on it is" : null }, toggle,
      el("button", { type: "button", class: "name", title: "Rows of this branch", onclick: () => rowsIn(node) }, tag ? `${tag[T_NUMBER]} ` : null, el("bdi", {}, node.label)),
      marks, handsOnTag(node), el("span", { class: "count" }, counts.join(" · ")));
    const element = el("li", {}, line);
    items.set(node, { element, line, toggle, below: null });
    return element;
  }
  const isOpen = (node) => Boolean(items.get(node) && items.get(node).below && !items.get(node).below.hidden);
  function open(node, wanted) {
    const own = items.get(node);
    if (!node.children.length) return;
    if (wanted && !own.below) { own.below = el("ul", {}, node.children.map(item)); own.element.append(own.below); }
    if (own.below) own.below.hidden = !wanted;
    own.toggle.setAttribute("aria-expanded", String(wanted));
  }
  function all(wanted, node = field.root) {
    if (wanted || node !== field.root) open(node, wanted);
    if (wanted || items.get(node)?.below) for (const child of node.children) if (items.has(child)) all(wanted, child);
  }
  showTag = (node) => {
    for (let above = node.above; above; above = above.above) lineage.unshift(above);
    for (const above of lineage.splice(0)) open(above, true);
    for (const own of items.values()) own.line.classList.remove("marked");
    items.get(node).line.classList.add("marked");
    items.get(node).element.scrollIntoView({ block: "center" });
  };
  const lineage = [];
  const element = el("ul", { class: "tree" }, item(field.root));
  open(field.root, true);
  if (field.nodes.length <= OPEN_AT_FIRST) all(true);
  return { element, all };
}

function treemap(size, first) {
  let by = first;
  const value = (node) => size >= 0 ? node.rows[size] : node.tags || 1;
  const dropped = (node) => { const judged = transforms.reduce((sum, each) => sum + countIn(node, each), 0); return judged ? droppedIn(node) / judged : 0; };
  const countIn = (node, each) => node.rows[placeOf(each.above)] || 0;
  const ratings = field.nodes.map(mean).filter((each) => each !== null);
  const [low, high] = extent(ratings);
  const sizes = field.nodes.filter((node) => !node.children.length).map(value);
  const [least, most] = extent(sizes);
  const mostMissing = extent([1, ...field.nodes.map((node) => node.missing)])[1];
  function fill(node) {
    if (by === "missing") return node.missing ? between("bad-wash", "bad", 0.25 + 0.75 * node.missing / mostMissing) : between("wash", "wash", 0);
    if (by === "dropped") return between("wash", "accent", dropped(node));
    if (by === "score") return mean(node) === null ? between("wash", "wash", 0) : between("accent-wash", "accent", high > low ? (mean(node) - low) / (high - low) : 1);
    return between("accent-wash", "accent", most > least ? 0.12 + 0.88 * (value(node) - least) / (most - least) : 0.5);
  }
  const rowsName = size >= 0 ? page.stages[size].name : "tags";
  const legend = () => `A larger field has more ${rowsName}. ` + {
    rows: "The stronger, the more.", score: page.measure ? `The stronger, the higher the mean ${page.measure.column}: ${number(Number(low.toFixed(2)))} to ${number(Number(high.toFixed(2)))}.` : "",
    dropped: "The stronger, the larger the share that was dropped.", missing: field.root.missing ? "The redder, the more is missing." : "Nothing is missing.",
  }[by] + " A click goes into a branch.";
  function said(node) {
    const lines = [plain(pathText(labelsOf(node)))];
    page.stages.forEach((each, place) => { if (each.kind !== "transform" && place && each.rows) lines.push(plural(node.rows[place], each.name)); });
    if (page.measure && node.rated) lines.push(`mean ${page.measure.column} ${mean(node).toFixed(2)} of ${number(node.rated)}`);
    if (transforms.length) lines.push(`${number(droppedIn(node))} dropped`);
    if (node.missing) lines.push(`${number(node.missing)} missing`);
    return lines.join("\n");
  }
  function item(node) {
    const { css, dark } = fill(node);
    return {
      name: plain(node.label), value: value(node), node: node.place, children: node.children.length ? node.children.map(item) : undefined,
      itemStyle: { color: css, borderColor: colour("paper") }, label: { color: dark ? "#ffffff" : "#1d2126" }, upperLabel: { color: colour("ink") },
    };
  }
  const picture = chart("tall", `Treemap of ${page.topic}: ${plural(field.nodes.length, "tags")}; the list beside it says the same`, () => ({
    tooltip: { ...basis().tooltip, formatter: ({ data }) => said(nodeAt(data.node ?? -1)) },
    series: [{
      type: "treemap", roam: false, nodeClick: "zoomToNode", leafDepth: field.nodes.length <= 400 ? undefined : field.root.children.length > 30 ? 1 : 2, left: 0, right: 0, top: 0, bottom: 0, breadcrumb: { show: false },
      label: { fontFamily: font(), fontSize: 12, overflow: "truncate", lineHeight: 16 },
      upperLabel: { show: true, height: 22, fontFamily: font(), fontSize: 12, color: colour("ink") },
      itemStyle: { gapWidth: 1, borderWidth: 1, borderColor: colour("paper") },
      levels: [{ itemStyle: { borderWidth: 0, gapWidth: 4, borderColor: colour("paper") }, upperLabel: { show: false } }, { itemStyle: { gapWidth: 1, borderWidth: 2, borderColor: colour("paper") } }, { itemStyle: { gapWidth: 1 } }],
      name: plain(page.topic), data: field.root.children.map(item),
    }],
  }));
  picture.on = (made) => made.on("click", ({ data }) => { if (data && data.node >= 0) showTag(field.nodes[data.node]); });
  return { picture, legend, colourBy: (wanted) => { by = wanted; draw(picture); } };
}
