// What differs between two versions: counts, settings, renamed tags, and rows with their changed words marked.

const CHANGES = ["added", "removed", "changed", "same"];

function differenceSection() {
  const { old, new: now, stages, settings, renamed, groups, notes } = page.difference;
  const side = (each, name) => el("div", {}, el("h3", {}, name), el("p", { class: "mono" }, short(each.version)), el("p", { class: "soft small" }, each.at ? `built ${time(each.at)}` : each.wanted));
  const counted = stages.map((each) => each.counts
    ? [each.stage, ...each.counts.map((count, place) => count ? el("span", { class: ["gain", "loss"][place] || "" }, number(count)) : "0")]
    : [each.stage, "—", "—", "—", "—"]);
  return [
    part("Difference", el("p", { class: "lead" }, "From the older version on the left to the one on this page.")),
    notes.length ? el("ul", { class: "notices" }, notes.map((note) => el("li", { class: "notice", dir: "auto" }, note))) : null,
    el("div", { class: "columns" }, side(old, "from"), side(now, "to")),
    part("Rows", table(["stage", ...CHANGES.map((name) => `#${name}`)], counted)),
    part("Settings and prompts that differ", settings.length ? settings.map((each) => each.pieces
      ? el("details", {}, el("summary", { dir: "auto" }, each.words), el("pre", { dir: "auto" }, woven(each.pieces))) : words("p", "wide", each.words))
      : el("p", { class: "empty" }, "None is known.")),
    renamed.length ? part("Renamed tags", table(["was", "is"], renamed.map(([was, is]) => [el("span", {}, path(was)), el("span", {}, path(is))]))) : null,
    ...groups.map(changeGroup),
    groups.length ? null : el("p", { class: "empty" }, old.version === now.version ? "These are the same version." : "No row's content differs."),
  ].filter(Boolean);
}

function changeGroup(group) {
  const more = group.count - group.items.length;
  const item = (each) => el("div", { class: "pair" },
    el("p", { class: "small soft" }, each.before.length ? [path(each.before), " → "] : null, group.change === "removed" ? path(each.path) : rowLink(each.id, path(each.path)), " ", el("span", { class: "mono faint" }, each.id)),
    each.text ? el("p", { class: "body", dir: "auto" }, group.change === "added" || group.change === "removed" ? el("span", { class: group.change }, each.text) : each.text) : null,
    Object.entries(each.columns).map(([name, pieces]) => el("div", {}, el("h4", { class: "small soft" }, name), el("div", { class: "body", dir: "auto" }, woven(pieces)))));
  return part(`${rowsOf(group.count, group.stage)} ${group.change}`, words("p", "lead", group.why), el("details", { open: group.change === "changed" && group.items.length <= 20 },
    el("summary", {}, more ? `the first ${number(group.items.length)}` : group.items.length === 1 ? "show it" : "show them"), group.items.map(item)));
}
