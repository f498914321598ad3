// Hands, where the page has a server: what people have said by now, what a person says here, and how to take it back.

const said = new Map(); // id of a row → what stands of it by now
let stands = { number: 0, tree: [], items: [], waiting: 0, old: false, building: false, fault: null };
const EVERY = 1000; // milliseconds after which another tab's words are seen here
let reached = true; // whether the server answers

const token = new URLSearchParams(location.search).get("token");
const STEPS = "distill-build steps"; // under which a tab keeps them, for when it is loaded again
let steps = keptSteps(); // numbers of what this tab did, to be undone
const address = (place, more = {}) => `${place}?${new URLSearchParams({ ...more, of: server.snapshot, token })}`;

/** What the server has; what keeps it from answering is told. */
async function fetched(place, more) {
  const response = await fetch(address(place, more)).catch((error) => { lost(); throw error; });
  if (response.ok) return response;
  const why = await response.text();
  toast(why);
  throw new Error(why);
}

/** Says something to the server; the answer, or null where it is refused: then it is told why, and `gone` is called
 * where it cannot be had later either. */
async function tellServer(place, what, gone = () => {}) {
  try {
    const response = await fetch(address(place), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
    if (response.status === 410) gone();
    if (!response.ok) { toast(await response.text()); return null; }
    return await response.json();
  } catch { lost(); return null; }
}

/** Does something that can be undone, and shows what stands then. */
async function act(place, what) {
  const done = await tellServer(place, { ...what, of: server.snapshot });
  if (!done) return false;
  keepSteps([...steps, done.step]);
  await look();
  return true;
}

let undoing = Promise.resolve();
function undo() {
  undoing = undoing.then(undoOnce);
  return undoing;
}

/** Takes the last step back. One that cannot be taken now, as where a disk is full, stays. */
async function undoOnce() {
  if (!steps.length) { toast("There is nothing to undo here"); return; }
  const step = steps.at(-1);
  const forget = () => keepSteps(steps.filter((each) => each !== step));
  if (await tellServer("/undo", { step }, forget)) { forget(); toast("Taken back"); }
  await look();
}

/** Steps belong to one run of the server, and so to its token. */
function keptSteps() {
  let kept = null;
  try { kept = sessionStorage.getItem(STEPS); } catch { /* a file may have no storage, and a browser forbid it */ }
  const { of, steps: own } = JSON.parse(kept) || {};
  return of === token && token ? own : [];
}

function keepSteps(left) {
  steps = left;
  try { sessionStorage.setItem(STEPS, JSON.stringify({ of: token, steps })); } catch { /* as above */ }
}

// What stands by now, whoever said it.

let looking = null;
function look() {
  looking = (looking || Promise.resolve()).then(lookOnce);
  return looking;
}

async function lookOnce() {
  try {
    const response = await fetch(address("/said", { after: stands.number }));
    if (!response.ok) { toast(await response.text()); return; }
    const found = await response.json();
    const isNew = found.number !== stands.number;
    const isTreeNew = JSON.stringify([found.tree, found.items]) !== JSON.stringify([stands.tree, stands.items]);
    reached = true;
    for (const [id, row] of Object.entries(found.rows)) said.set(id, row);
    stands = found;
    if (isNew) showSaid(Object.keys(found.rows));
    if (isTreeNew) showTags();
    showBar();
  } catch { lost(); }
}

function lost() {
  if (reached) toast("The server does not answer"); // an open row may lie over the bar
  reached = false;
  showBar();
}

function watch() {
  const bar = el("div", { class: "hands-bar", id: "hands", role: "status" });
  byId("tabs").after(bar);
  const again = async () => { if (!document.hidden) await look(); setTimeout(again, EVERY); };
  addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  again();
}

function showSaid(ids) {
  for (const id of ids) showSaidOf(id);
  if (wanted.review) filter({}, [start, marked]); // who goes through the list goes on from there
}

let barWords = "";
function showBar() {
  const words = JSON.stringify([stands.waiting, stands.old, stands.building, stands.fault, steps.length, reached]);
  if (words === barWords) return; // so that a button keeps its focus
  barWords = words;
  const reload = el("button", { type: "button", class: "quiet-button", id: "reload", onclick: () => location.reload() }, "Reload");
  const lines = [
    !reached && el("p", { class: "notice" }, "The server does not answer: run ", el("code", {}, `distill-build view ${page.name}`), " again. What was said is in its files."),
    stands.fault && el("p", { class: "notice", dir: "auto" }, stands.fault),
    stands.old && el("p", { class: "notice" }, "A build has put other rows there. ", reload),
    stands.building && el("p", { class: "small soft", id: "building" }, "A build is at work; what is said now is for the one after it."),
    (stands.waiting > 0 || steps.length > 0) && el("p", { class: "small", id: "waiting" },
      stands.waiting > 0 ? [`${plural(stands.waiting, "changes")} ${stands.waiting === 1 ? "waits" : "wait"} for the next build: `, el("code", {}, server.build), "  "] : null,
      steps.length > 0 && el("button", { type: "button", class: "quiet-button", id: "undo", title: "u", onclick: undo }, "Undo")),
    !stands.waiting && !steps.length && el("p", { class: "small soft", id: "hint" }, "Accept, reject and edit rows, rename and throw out tags, add questions: it waits here until the next build takes it in."),
  ];
  byId("hands").replaceChildren(...lines.filter(Boolean));
}

const keysOfHands = () => server ? ["  ", el("kbd", {}, "a"), " accept  ", el("kbd", {}, "r"), " reject  ", el("kbd", {}, "1"), "–", el("kbd", {}, "5"), " rate  ", el("kbd", {}, "e"), " edit  ", el("kbd", {}, "n"), " note  ", el("kbd", {}, "t"), " tag  ", el("kbd", {}, "u"), " undo"] : null;

/** Does what a key is for; says whether it is for anything. */
function handsKey(event) {
  if (event.key === "u") { undo(); return true; }
  const id = handsTarget();
  if (!id || !("arent12345".includes(event.key)) || event.key.length !== 1) return false;
  event.preventDefault();
  if (event.key === "a") act("/review", { id, verdict: "accept" });
  else if (event.key === "r") act("/review", { id, verdict: "reject" });
  else if (event.key === "e" || event.key === "n" || event.key === "t") openEditor(id, { e: "text", n: "note", t: "tags" }[event.key]);
  else act("/review", { id, rating: Number(event.key) });
  return true;
}

/** The row that keys speak of: the one that is open, else the marked one in the list. */
function handsTarget() {
  if (current !== "rows" && byId("panel").hidden) return null;
  if (!byId("panel").hidden) return byId("panel").querySelector(".row-card.here")?.dataset.id;
  return listBox?.querySelector(".rows li.marked button")?.dataset.id;
}
