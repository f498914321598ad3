// Hands on rows: buttons below each that may be reviewed, and a form for its texts, its tags or a note.

const verdictOn = (fact) => said.has(fact[F_ID]) && said.get(fact[F_ID]).standing !== "left" ? said.get(fact[F_ID]).verdict : fact[F_REVIEW];
const waits = (id) => said.get(id)?.standing === "waits";

/** What a person said beside the verdict. */
function saidBadges(id) {
  const own = said.get(id);
  if (!own) return [];
  return [
    own.standing === "left" && el("span", { class: "badge warn", title: own.why }, "review left out: the text is another one now"),
    own.rating && el("span", { class: "badge in" }, "★".repeat(own.rating)),
    ...own.tags.map((tag) => words("span", "badge", tag)),
  ].filter(Boolean);
}

const columnsOf = (fact) => server?.editable[page.stages[fact[F_STAGE]].name];

/** The buttons below a row, with what a person has said of it. */
function handsOnRow(fact, content) {
  if (!server || !columnsOf(fact)) return null;
  const id = fact[F_ID];
  const box = el("div", { class: "hands", "data-hands": id });
  box.content = content;
  box.fact = fact;
  showHands(box);
  return [box, el("div", { "data-editor": id })];
}

function showHands(box) {
  const id = box.dataset.hands;
  const own = said.get(id);
  const verdict = verdictOn(box.fact);
  const button = (label, kind, key, pressed, act_) => el("button", { type: "button", class: "quiet-button", "data-do": kind, title: key, "aria-pressed": String(Boolean(pressed)), onclick: act_ }, label);
  const review = (what) => () => act("/review", { id, ...what });
  const stars = [1, 2, 3, 4, 5].map((rating) => el("button", {
    type: "button", class: "star", "aria-label": `Rate ${rating}`, "aria-pressed": String((own?.rating || 0) >= rating),
    onclick: review({ rating: own?.rating === rating ? null : rating }),
  }, "★"));
  const editWaits = own?.standing === "waits" && own.verdict === "edit";
  box.replaceChildren(...[
    el("div", { class: "tools" },
      button("Accept", "accept", "a", verdict === "accept", review({ verdict: verdict === "accept" ? null : "accept" })),
      button("Reject", "reject", "r", verdict === "reject", review({ verdict: verdict === "reject" ? null : "reject" })),
      el("span", { class: "stars", role: "group", "aria-label": "Rating" }, stars),
      button("Edit", "text", "e", verdict === "edit", () => openEditor(id, "text")),
      button("Tags", "tags", "t", own?.tags.length, () => openEditor(id, "tags")),
      button("Note", "note", "n", own?.note, () => openEditor(id, "note"))),
    own?.note && words("p", "note", own.note),
    editWaits && el("div", { class: "edited" }, el("p", { class: "small soft" }, "Edited, in the next build:"),
      Object.entries(own.text).map(([name, value]) => el("div", {}, el("h4", {}, name), words("div", "body", textOf(value))))),
  ].filter(Boolean));
}

/** Shows what stands of a row wherever it is on the page; a form that is open stays. */
function showSaidOf(id) {
  const place = found.get(id);
  if (!place) return;
  const fact = place.family.facts[place.row];
  for (const box of document.querySelectorAll(`[data-hands="${id}"]`)) { const at = focusIn(box); showHands(box); at(); }
  for (const box of document.querySelectorAll(`[data-badges="${id}"]`)) box.replaceChildren(...flagBadges(fact));
  for (const box of document.querySelectorAll(`#list button[data-id="${id}"] .marks`)) box.replaceChildren(...badges(fact));
  if (byId("fate")) byId("fate").replaceWith(byId("fate").again());
}

/** Remembers which of the buttons has the focus, to give it back when they are new. */
function focusIn(box) {
  const place = [...box.querySelectorAll("button")].indexOf(document.activeElement);
  return () => { if (place >= 0) box.querySelectorAll("button")[place]?.focus(); };
}

const textOf = (value) => value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);

let wantedForm = null; // of a row that is being opened
const drafts = new Map(); // "kind id" → what was typed into a form and not saved, box by box

/** Opens the form that somebody wanted of a row, now that the row is open. */
function openWantedForm(id) {
  const [of, kind] = wantedForm || [];
  wantedForm = null;
  if (of === id) openEditor(id, kind);
}

function openEditor(id, kind) {
  if (byId("panel").hidden) { wantedForm = [id, kind]; go(id); return; }
  const place = byId("panel").querySelector(`[data-editor="${id}"]`);
  if (!place) { toast("This row is worked out: say it of what it is made from"); return; }
  const form = { text: textForm, note: noteForm, tags: tagsForm }[kind](id, byId("panel").querySelector(`[data-hands="${id}"]`));
  const name = `${kind} ${id}`;
  const boxes = form.fields.map((each) => each.querySelector("textarea, input"));
  boxes.forEach((box, at) => { box.value = drafts.get(name)?.[at] ?? box.value; });
  const close = () => { place.replaceChildren(); byId("panel").focus(); };
  const drop = () => { drafts.delete(name); close(); };
  const save = async () => { const what = form.what(); if (what && await act("/review", { id, ...what })) drop(); };
  place.replaceChildren(el("form", { class: "editor", onsubmit: (event) => { event.preventDefault(); save(); }, oninput: () => drafts.set(name, boxes.map((box) => box.value)), onkeydown: (event) => {
    if (event.key === "Escape") { event.stopPropagation(); close(); if (drafts.has(name)) toast("What you typed is kept until this row is edited again"); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
  } }, form.fields, el("div", { class: "tools" },
    el("button", { type: "submit", class: "quiet-button main", "data-do": "save", title: "Ctrl+Enter" }, "Save"),
    el("button", { type: "button", class: "quiet-button", onclick: drop }, "Cancel"))));
  place.querySelector("textarea, input").focus();
  place.scrollIntoView({ block: "nearest" });
}

addEventListener("beforeunload", (event) => { if (drafts.size) event.preventDefault(); });

const area = (name, value, label) => el("label", { class: "area" }, el("span", { class: "small soft" }, label), field_(name, value));
function field_(name, value) {
  const box = el("textarea", { name, class: "field", dir: "auto", rows: Math.min(18, Math.max(2, Math.ceil(value.length / 70) + value.split("\n").length - 1)) });
  box.value = value;
  return box;
}

function textForm(id, box) {
  const columns = columnsOf(box.fact);
  const waiting = waits(id) ? said.get(id).text : {};
  const present = Object.fromEntries(columns.map((name) => [name, name in waiting ? waiting[name] : name in box.content ? box.content[name] : columns.length === 1 ? Object.values(box.content)[0] : null]));
  const fields = columns.map((name) => area(name, textOf(present[name]), name));
  const what = () => {
    const text = {};
    for (const [place, name] of columns.entries()) {
      const typed = fields[place].querySelector("textarea").value;
      if (typed === textOf(present[name]).replace(/\r\n?/g, "\n")) continue;
      if (typeof present[name] === "string") text[name] = typed;
      else if (present[name] === null || present[name] === undefined) text[name] = typed || null;
      else try { text[name] = JSON.parse(typed); } catch { toast(`${name} is a value of JSON, as ${textOf(present[name])}`); return null; }
      if (name === THOUGHT && !typed.trim()) text[name] = null;
    }
    if (!Object.keys(text).length) { toast("Nothing was changed"); return null; }
    return { text };
  };
  return { fields, what };
}

function noteForm(id) {
  const fields = [area("note", said.get(id)?.note || "", "Note")];
  return { fields, what: () => ({ note: fields[0].querySelector("textarea").value }) };
}

function tagsForm(id) {
  const box = el("input", { name: "tags", class: "field", dir: "auto", value: (said.get(id)?.tags || []).join(", ") });
  return { fields: [el("label", { class: "area" }, el("span", { class: "small soft" }, "Tags, with commas between them"), box)], what: () => ({ tags: box.value.split(",") }) };
}
