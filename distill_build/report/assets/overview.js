// What there is, at a glance: figures, the way from what was asked to what a model learns from, what is missing, cost.

const figure = (value, name, kind = "") => el("div", { class: `figure ${kind}` }, el("div", { class: "value" }, value), el("div", { class: "name" }, name));
const costs = (by) => by.reduce((sum, each) => sum === null || each.usd === null ? null : sum + each.usd, 0);

function head() {
  byId("title").textContent = page.topic;
  byId("eyebrow").textContent = `dataset ${page.name}`;
  const models = [...new Set(page.spending.by.map((each) => each.model))];
  const state = page.complete === null ? null : page.complete ? "complete" : "not complete";
  byId("subtitle").append(...[
    page.version && el("span", {}, "version ", el("span", { class: "mono" }, short(page.version))),
    page.at && el("span", {}, `built ${time(page.at)}`),
    state && el("span", {}, state),
    models.length > 0 && models.length <= 3 && el("span", {}, `by ${models.join(", ")}`),
    page.until && page.until !== "dataset" && el("span", {}, `up to ${page.until}`),
  ].filter(Boolean));
}

function overviewSection() {
  const missing = page.stages.reduce((sum, each) => sum + each.missing, 0) || page.failures.causes.reduce((sum, each) => sum + each.missing, 0);
  const usd = costs(page.spending.by);
  const tokens = page.spending.by.reduce((sum, each) => sum + each.prompt_tokens + each.completion_tokens, 0);
  const counted = page.stages.filter((each) => each.kind !== "transform" && each.rows !== null);
  const figures = el("div", { class: "figures" },
    page.exported_stage && figure(number(page.exported), "training rows", "main"),
    counted.slice(0, 4).map((each) => figure(number(each.rows), each.name)),
    missing ? figure(number(missing), "missing", "bad") : null,
    tokens ? figure(compact(tokens), "tokens") : null,
    usd === null || !page.spending.by.length ? null : figure(money(usd), "spent"));
  return [
    part("", figures),
    page.notes.length ? part("To look at", el("ul", { class: "notices" }, page.notes.map((note) => el("li", { class: "notice", dir: "auto" }, note)))) : null,
    el("div", { class: "columns" }, way(), missing ? causes() : flags()),
    missing && Object.keys(page.flags).length ? el("div", { class: "columns" }, flags(), reviews()) : reviews(),
    fewRows(),
    spending(),
  ].filter(Boolean);
}

const FEW = 3;

/** Some rows as a model would learn from them, from all over the tree. */
function fewRows() {
  const box = el("div", { class: "few", id: "few" });
  const shown = part("A few of the rows", box);
  readFacts().then(async () => {
    const rows = (lists.get(sizeStage()) || []).filter(({ family, row }) => family.facts[row][F_STATE] === 0);
    shown.hidden = !rows.length;
    for (let place = 0; place < Math.min(FEW, rows.length); place += 1) {
      const { family, row } = rows[Math.floor((place + 0.5) * rows.length / Math.min(FEW, rows.length))];
      const [content] = (await whole(family.block))[family.place][row];
      const said = Object.entries(content).filter(([name, value]) => typeof value === "string" && name !== THOUGHT).map(([, value]) => value);
      box.append(el("div", {}, el("p", { class: "small soft" }, path(labelsOf(nodeAt(family.tag)).slice(1))),
        el("p", { dir: "auto" }, rowLink(family.facts[row][F_ID], titleOf(family, row))), words("p", "body", said.join("\n"))));
    }
  });
  return shown;
}

/** From stage to stage: how many rows there are, and how many transforms took out. */
function way() {
  const rows = page.stages.filter((each) => each.rows !== null).map((each) => each.kind === "transform" ? {
    label: each.name, stretches: [{ kind: "fill", value: each.rows - each.dropped }, { kind: "lost", value: each.dropped }],
    words: each.dropped ? `keeps ${number(each.rows - each.dropped)} of ${number(each.rows)}` : `keeps all ${number(each.rows)}`,
  } : {
    label: each.name, stretches: [{ kind: "fill", value: each.rows }, { kind: "gone", value: each.missing }],
    words: each.missing ? `${number(each.rows)}, ${number(each.missing)} missing` : number(each.rows),
  });
  if (page.exported_stage) rows.push({ label: "training files", stretches: [{ kind: "fill", value: page.exported }], words: number(page.exported) });
  return part("From stage to stage", bars(rows));
}

function causes() {
  return part("Missing, by cause", bars(page.failures.causes.map((each) => ({
    label: `${each.stage}: ${each.cause}`, stretches: [{ kind: "gone", value: each.missing }], words: number(each.missing),
  }))));
}

function flags() {
  const found = Object.entries(page.flags);
  if (!found.length) return null;
  return part("Flags of rows", bars(found.map(([name, rows]) => ({ label: name, stretches: [{ kind: "fill", value: rows }], words: number(rows) })), "quiet"));
}

function reviews() {
  const found = Object.entries(page.reviews);
  if (!found.length) return null;
  const told = { accept: "accepted", reject: "rejected", edit: "edited" };
  return part("What people said", bars(found.map(([verdict, rows]) => ({ label: told[verdict] || verdict, stretches: [{ kind: "fill", value: rows }], words: number(rows) })), "quiet"));
}

function spending() {
  const { by, whole } = page.spending;
  if (!by.length) return null;
  const rows = by.map((each) => [each.stage, each.model, number(each.calls), number(each.prompt_tokens), number(each.completion_tokens), money(each.usd)]);
  const sum = (name) => by.reduce((total, each) => total + each[name], 0);
  rows.push({ kind: "total", cells: ["together", "", number(sum("calls")), number(sum("prompt_tokens")), number(sum("completion_tokens")), money(costs(by))] });
  const lead = whole ? "All requests behind these rows, whenever they were sent; what was asked in vain is in it."
    : "As the rows themselves say: the responses behind lists, and what was asked in vain, are known to the cache alone, which is not here.";
  return part("Tokens and cost", el("p", { class: "lead" }, lead), table(["stage", "model", "#calls", "#tokens in", "#tokens out", "#cost"], rows));
}

function shapeSection() {
  const made = [];
  if (page.lengths.length) {
    const each = page.lengths.map((found) => {
      const picture = histogram(found);
      const empty = found.empty ? `, ${number(found.empty)} empty` : "";
      return el("figure", { class: "part" }, el("h3", {}, `${found.stage}: ${found.column}`), picture.box,
        el("p", { class: "small soft" }, `half have up to ${number(found.median)} characters, nine in ten up to ${number(found.ninth_decile)}, the longest has ${number(found.longest)}; ${plural(found.texts, "texts")}${empty}`));
    });
    made.push(part("Lengths of texts", el("p", { class: "lead" }, "In characters. All rows are counted, dropped ones too."), el("div", { class: "columns" }, each)));
  }
  if (page.shares.length) {
    const each = page.shares.map((found) => {
      const all = found.values.reduce((sum, [, count]) => sum + count, 0);
      return el("div", { class: "part" }, el("h3", {}, `${found.stage}: ${found.column}`),
        bars(found.values.map(([value, count]) => ({ label: value, stretches: [{ kind: "fill", value: count }], words: `${number(count)}  ${percent(count / all)}` }))),
        found.mean === null ? null : el("p", { class: "small soft" }, `mean ${found.mean.toFixed(2)}`));
    });
    made.push(part("Values", el("p", { class: "lead" }, "Scores, axes, and all other columns that have few values."), el("div", { class: "columns" }, each)));
  }
  return made.length ? made : [el("p", { class: "empty" }, "There are no rows to measure yet.")];
}

function droppedSection() {
  const made = [];
  const byStage = new Map();
  for (const each of page.dropped) byStage.set(each.stage, [...(byStage.get(each.stage) || []), each]);
  if (transforms.length) {
    const parts = transforms.map((stage) => el("div", { class: "part" },
      el("h3", {}, stage.name), el("p", { class: "small soft" }, stage.dropped ? `dropped ${number(stage.dropped)} of ${number(stage.rows)} ${stage.above}` : `kept all ${number(stage.rows)} ${stage.above}`),
      byStage.has(stage.name) ? bars(byStage.get(stage.name).map((each) => ({ label: each.why, stretches: [{ kind: "fill", value: each.rows }], words: number(each.rows) }))) : null,
      stage.dropped ? el("button", { type: "button", class: "link small", onclick: () => rowsDroppedBy(stage.place) }, "show these rows") : null));
    made.push(part("What was dropped, and why", el("p", { class: "lead" }, "A dropped row stays in its file; it goes into no training file. A row may have several reasons."), el("div", { class: "columns" }, parts)));
  }
  if (page.pairs.of) made.push(pairs());
  if (page.failures.of) made.push(failures());
  return made.length ? made : [el("p", { class: "empty" }, "Nothing was dropped, and nothing is missing.")];
}

function pairs() {
  const few = page.pairs.shown.length < page.pairs.of ? `The first ${number(page.pairs.shown.length)} of ${number(page.pairs.of)}.` : `${plural(page.pairs.of, "pairs")}.`;
  const each = page.pairs.shown.map((pair) => el("div", { class: "pair" },
    el("div", { class: "title small soft" }, `${pair.stage}: ${pair.why.join("; ") || (pair.kept ? "kept" : "dropped")}`,
      Object.entries(pair.columns).filter(([, value]) => typeof value === "number").map(([name, value]) => ` · ${name} ${Number(value.toFixed(3))}`)),
    el("div", { class: "sides" }, [[pair.other, "stays"], [pair.row, pair.kept ? "kept" : "dropped"]].map(([row, fate]) =>
      el("div", {}, el("p", { class: "small soft" }, fate, " · ", rowLink(row.id, path(row.path))), words("p", "body", row.text))))));
  return part("Alike", el("p", { class: "lead" }, few), el("div", {}, each));
}

function failures() {
  const few = page.failures.shown.length < page.failures.of ? `The first ${number(page.failures.shown.length)} of ${number(page.failures.of)} lines of failures.jsonl.` : null;
  return part("Missing", few && el("p", { class: "lead" }, few),
    table(["stage", "where", "cause", "#missing", "what was said"], page.failures.shown.map((each) =>
      [each.stage, each.row ? rowLink(each.row, path(each.path)) : el("span", {}, path(each.path)), each.cause, number(each.missing), words("span", "wide", each.detail)])));
}

function settingsSection() {
  const made = page.settings.map((group) => el("div", { class: "part" }, el("h3", {}, group.name),
    table(["", ""], group.settings.map(([name, value]) => [name || group.name, words("span", "wide", typeof value === "string" ? value : JSON.stringify(value))]), "plain")));
  const texts = page.texts.map((each) => el("details", {}, el("summary", {}, each.name, " ", el("span", { class: "faint" }, each.parts.join(", "))), el("pre", { dir: "auto" }, each.text)));
  return [
    texts.length ? part("Prompts and other long texts", el("div", { class: "part" }, texts)) : null,
    made.length ? part("Settings", el("p", { class: "lead" }, "What these rows were made with, by stage. Prices, limits and addresses are no part of it."), el("div", { class: "columns" }, made)) : el("p", { class: "empty" }, "The settings are not known: neither a state nor a lock lies in the folder."),
  ].filter(Boolean);
}

function versionsSection() {
  if (page.versions === null) return [part("Versions", el("p", { class: "empty" }, "Versions lie in the cache, which is not here."))];
  if (!page.versions.length) return [part("Versions", el("p", { class: "empty" }, "The cache has no version of this dataset."))];
  const stages = [...new Set(page.versions.flatMap((each) => Object.keys(each.counts)))].filter((name) => !transforms.some((each) => each.name === name));
  return [part("Versions", el("p", { class: "lead" }, "The newest first. ", el("code", {}, "distill-build checkout VERSION"), " brings one back, ", el("code", {}, "report --against VERSION"), " shows what differs."),
    table(["version", "built", ...stages.map((name) => `#${name}`), "#calls", "#cost", "what changed"], page.versions.map((each) => [
      el("span", { class: "nowrap" }, el("span", { class: "mono" }, short(each.version)), each.current ? [" ", el("span", { class: "badge in" }, "here")] : null), el("span", { class: "nowrap" }, time(each.at)),
      ...stages.map((name) => number(each.counts[name] || 0)), each.calls === null ? "—" : number(each.calls), money(each.usd),
      el("div", {}, each.changes.map((change) => words("div", "wide", change)),
        Object.keys(each.missing).length ? el("div", { class: "badge bad" }, Object.entries(each.missing).map(([name, rows]) => plural(rows, name)).join(", "), " missing") : null),
    ])))];
}
