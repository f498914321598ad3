// Hands on the tree: a tag is shown by another label or thrown out, and an item of one's own is added at a place.

/** The labels of a tag as the model has them, which its renames do not change. */
const ownPath = (node) => node.above ? [...ownPath(node.above), node.tag[T_RENAMED] || node.label] : [];
const keyOf = (labels) => JSON.stringify(labels);
let waitingBox = null;

function handsOnTag(node) {
  if (!server) return null;
  const box = el("span", { class: "tag-hands" });
  box.node = node;
  showTagHands(box);
  return box;
}

function showTagHands(box) {
  const { node } = box;
  const of = node.tag ? stands.tree.filter((each) => each.waits && keyOf(each.path) === keyOf(ownPath(node))) : [];
  const renamed = of.find((each) => each.shown);
  const out = of.find((each) => each.excluded);
  const button = (kind, label, title, act_) => el("button", { type: "button", class: "tag-button", "data-do": kind, title: `${title} ${node.label}`, "aria-label": `${title} ${node.label}`, onclick: act_ }, label);
  box.replaceChildren(...[
    renamed && words("span", "badge in", `${renamed.shown}, in the next build`),
    out && el("span", { class: "badge bad" }, "thrown out, in the next build"),
    el("span", { class: "tag-buttons" },
      server.lists.length > 0 && button("add", "+", "Add a question of your own at", () => addForm(box)),
      node.tag && !out && button("rename", "✎", "Rename", () => renameForm(box, renamed)),
      node.tag && !out && button("exclude", "✕", "Throw out", () => act("/tag", { id: node.tag[T_ID], exclude: true })),
      out && button("include", "↩", "Take back", () => act("/include", { path: ownPath(node) }))),
  ].filter(Boolean));
}

function showTags() {
  for (const box of document.querySelectorAll(".tag-hands")) showTagHands(box);
  if (waitingBox) waitingBox.replaceChildren(...waitingLines());
}

/** Below the tree: what was thrown out and is not in it any more, and what waits to come into it. */
function waitingInTree() {
  if (!server) return null;
  waitingBox = el("div", { class: "part", id: "tree-waits" }, waitingLines());
  return waitingBox;
}

function waitingLines() {
  const there = new Set(field.nodes.map((node) => keyOf(ownPath(node))));
  const out = stands.tree.filter((each) => each.excluded && !there.has(keyOf(each.path)));
  return [
    out.length > 0 && el("div", {}, el("h3", {}, "Thrown out"), el("ul", { class: "plain-list" }, out.map((each) => el("li", {}, path(each.path), " ",
      el("button", { type: "button", class: "quiet-button", onclick: () => act("/include", { path: each.path }) }, "Take back"))))),
    stands.items.length > 0 && el("div", {}, el("h3", {}, "Your own, in the next build"), el("ul", { class: "plain-list", id: "own-items" },
      stands.items.map((each) => el("li", {}, words("span", "", each.text), el("span", { class: "small soft" }, "  ", path(each.path.length ? each.path : [page.topic])))))),
  ].filter(Boolean);
}

/** A form below the line of a tag; only one is open. */
function tagForm(box, fields, save) {
  document.querySelector(".tag-form")?.remove();
  const close = () => form.remove();
  const form = el("form", { class: "editor tag-form", onkeydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); close(); } },
    onsubmit: async (event) => { event.preventDefault(); if (await save()) close(); } },
  fields, el("div", { class: "tools" }, el("button", { type: "submit", class: "quiet-button main", "data-do": "save" }, "Save"), el("button", { type: "button", class: "quiet-button", onclick: close }, "Cancel")));
  box.closest("li").querySelector(".tag").after(form);
  form.querySelector("input, textarea").focus();
}

function renameForm(box, renamed) {
  const input = el("input", { name: "label", class: "field", dir: "auto", "aria-label": "New label", value: renamed ? renamed.shown : box.node.label });
  tagForm(box, [input], () => act("/tag", { id: box.node.tag[T_ID], rename: input.value }));
}

function addForm(box) {
  const stage = el("select", { class: "field", name: "stage", "aria-label": "List" }, server.lists.map((name) => el("option", { value: name }, name)));
  const text = area("text", "", `Your own ${page.stages[placeOf(server.lists[0])].singular}`);
  const answer = area("answer", "", "Its answer, if you know it");
  tagForm(box, [server.lists.length > 1 && stage, text, answer].filter(Boolean), () => act("/item", {
    stage: server.lists.length > 1 ? stage.value : server.lists[0], tag: box.node.tag ? box.node.tag[T_ID] : null,
    text: text.querySelector("textarea").value, answer: answer.querySelector("textarea").value,
  }));
}
