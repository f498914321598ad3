// The jobs of a sweep side by side: one figure of each against a setting or another figure, and a table of all.

/** What can be compared of jobs: name, words, value, how it is written. */
function measures() {
  const stages = [...new Set(page.jobs.flatMap((job) => Object.keys(job.counts)))];
  const dropping = [...new Set(page.jobs.flatMap((job) => Object.keys(job.dropped)))];
  const all = [
    ...stages.filter((stage) => !dropping.includes(stage)).map((stage) => [`rows ${stage}`, stage, (job) => job.counts[stage] ?? null, number]),
    ...dropping.map((stage) => [`dropped ${stage}`, `drops of ${stage}`, (job) => Object.values(job.dropped[stage] ?? {}).reduce((sum, each) => sum + each, 0), number]),
    ["unique", "distinct texts", (job) => job.unique, percent], ["near", "near duplicates", (job) => job.near_duplicates, percent],
    ["coverage", "leaves that lack nothing", (job) => job.leaf_coverage, percent], ["failures", "failures", (job) => job.failures, number],
    ["tokens", "tokens", (job) => job.tokens, compact], ["usd", "cost", (job) => job.usd, money],
  ].map(([key, name, value, words]) => ({ key, name, value, words }));
  return all.filter((each) => page.jobs.some((job) => each.value(job) !== null) && (each.key !== "failures" || page.jobs.some((job) => job.failures)));
}

const choiceOf = (job) => Object.entries(job.choices).map(([key, value]) => `${key}=${value}`).join(" ") || job.job;

function sweepHead() {
  byId("title").textContent = page.name;
  byId("eyebrow").textContent = "sweep";
  byId("subtitle").append(...[
    el("span", {}, plural(page.jobs.length, "jobs")), page.calls === null ? null : el("span", {}, `${plural(page.calls, "calls")} together`),
    page.tokens === null ? null : el("span", {}, `${compact(page.tokens)} tokens`), page.usd === null ? null : el("span", {}, money(page.usd)),
  ].filter(Boolean));
}

function sweepSection() {
  const all = measures();
  const box = el("div", { class: "part" });
  let chosen = all[0];
  const show = (key) => {
    chosen = all.find((each) => each.key === key);
    box.replaceChildren(bars(page.jobs.map((job) => ({
      label: choiceOf(job), stretches: [{ kind: "fill", value: chosen.value(job) ?? 0 }], words: job.error && chosen.value(job) === null ? "not built" : chosen.value(job) === null ? "—" : chosen.words(chosen.value(job)),
    }))));
  };
  if (all.length) show(all[0].key);
  return [
    part("Side by side", all.length ? choices(all.map((each) => [each.key, each.name]), all[0].key, show) : null, box),
    all.length > 1 ? against(all) : null,
    part("All jobs", jobTable(all)),
    jobPages(),
  ].filter(Boolean);
}

/** How to come from here to the rows of a job: this file has none. */
function jobPages() {
  const pages = page.jobs.map((job) => job.page).filter(Boolean);
  if (!pages.length) return null;
  return part("The rows of a job", el("p", { class: "lead" }, "Each job is a dataset with a page of its own, which these write; ", el("code", {}, "view"), " in the place of ", el("code", {}, "report"), " shows it with hands."),
    el("pre", { id: "job-pages" }, pages.join("\n")));
}

/** One figure against another one, a point for each job. */
function against(all) {
  const telling = all.filter((each) => new Set(page.jobs.map(each.value)).size > 1);
  let across = telling.find((each) => each.key === "tokens") || telling[0] || all[0];
  let up = telling.find((each) => each !== across) || all[0];
  const made = chart("tall", "Each job as a point; the table below says the same", () => ({
    grid: { left: 10, right: 24, top: 34, bottom: 34, containLabel: true },
    tooltip: { ...basis().tooltip, trigger: "item", formatter: ({ dataIndex }) => { const job = page.jobs[dataIndex]; return plain(`${choiceOf(job)}\n${across.name}: ${across.words(across.value(job) ?? 0)}\n${up.name}: ${up.words(up.value(job) ?? 0)}`); } },
    xAxis: axis({ type: "value", scale: true, name: across.name, nameLocation: "middle", nameGap: 28, axisLabel: { color: colour("soft"), formatter: across.words, hideOverlap: true }, axisLine: { show: true, lineStyle: { color: colour("line") } } }),
    yAxis: axis({ type: "value", scale: true, name: up.name, nameTextStyle: { align: "left" }, axisLabel: { color: colour("soft"), formatter: up.words }, splitLine: { show: true, lineStyle: { color: colour("line") } } }),
    series: [{ type: "scatter", symbolSize: 14, itemStyle: { color: colour("accent"), opacity: 0.85 }, data: page.jobs.map((job) => [across.value(job), up.value(job)]),
      label: { show: page.jobs.length <= 12, position: "top", formatter: ({ dataIndex }) => plain(choiceOf(page.jobs[dataIndex])), color: colour("soft"), fontFamily: font() }, labelLayout: { hideOverlap: true } }],
  }));
  const select = (name, value, choose) => el("label", { class: "soft small" }, `${name} `, el("select", { class: "field", id: `axis-${name}`, onchange: (event) => { choose(all.find((each) => each.key === event.target.value)); draw(made); } },
    all.map((each) => el("option", { value: each.key, selected: each === value }, each.name))));
  return part("One against another", el("div", { class: "tools" }, select("across", across, (each) => { across = each; }), select("up", up, (each) => { up = each; })), made.box);
}

function jobTable(all) {
  const keys = [...new Set(page.jobs.flatMap((job) => Object.keys(job.choices)))];
  const rows = page.jobs.map((job) => [...keys.map((key) => job.choices[key] ?? "—"),
    ...all.map((each) => each.value(job) === null ? "—" : each.words(each.value(job))), Object.keys(job.missing).length ? el("span", { class: "badge bad" }, Object.entries(job.missing).map(([stage, count]) => plural(count, stage)).join(", ")) : "",
    job.version ? el("span", { class: "mono" }, short(job.version)) : el("span", { class: "badge bad" }, "not built"), job.error ? words("span", "wide", job.error) : ""]);
  const told = page.jobs.some((job) => job.error);
  return table([...keys, ...all.map((each) => `#${each.name}`), "missing", "version", ...(told ? ["what ended it"] : [])], rows.map((row) => told ? row : row.slice(0, -1)));
}
