// The page: its parts, what is new, and its look.

import { follow, json } from "./api.js";
import { Charts } from "./charts.js";
import { Compare } from "./compare.js";
import { after } from "./dom.js";
import { about, inside } from "./inside.js";
import { isDark } from "./palette.js";
import { Rows } from "./rows.js";
import { Runs } from "./runs.js";
import { Sql } from "./sql.js";
import { TABS, change, onChange, read, state } from "./state.js";
import { Tree } from "./tree.js";
import { Views } from "./views.js";

/** New runs and keys are requested at most so often, in milliseconds. */
const SELDOM = 2000;
/** A server that does not answer is requested again after so long. */
const AGAIN = 1000;

const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const runs = new Runs(showFailures);
const charts = new Charts(runs);
const compare = new Compare(runs);
const rows = new Rows(runs);
const sql = new Sql(runs);
const tree = new Tree(runs);
const views = new Views(runs);

/** @param {{name: string, reason: string}[]} failures */
function showFailures(failures) {
  part("banner").hidden = !failures.length;
  part("banner").textContent = failures.map((each) => `${each.name}: ${each.reason}`).join("\n");
}

/** @param {unknown} error */
function showError(error) {
  showFailures([{ name: "The page can't be read", reason: /** @type {Error} */ (error).message }]);
}

/** @param {any} keys */
function takeKeys({ counts, ...keys }) {
  if (counts && !seen[0]) seen = counts;
  runs.metrics = keys.metrics;
  charts.set(keys);
}

async function loadRuns() {
  try {
    await Promise.all([json("api/keys").then(takeKeys), runs.load()]);
    rows.later();
    sql.update();
    tree.update();
  } catch (error) {
    showError(error);
  }
}

function showTab() {
  for (const id of TABS) {
    part(id).hidden = state.tab !== id;
    if (id === "charts") part(id).hidden &&= state.tab !== "compare"; // which has charts, too
    part(`tab-${id}`).setAttribute("aria-current", state.tab === id ? "page" : "false");
  }
}

// --- what is new -------------------------------------------------------------------------------

/** Ends the stream of what is new; null while there is none. @type {AbortController | null} */
let events = null;
/** @type {[string, string]} */
let seen = ["", ""];
let lastRuns = 0;
let timer = 0;

function listen() {
  if (inside) {
    part("live").textContent = about();
    return;
  }
  events?.abort();
  const control = events = new AbortController();
  const again = () => {
    if (events !== control) return;
    part("live").textContent = "the server does not answer; trying again";
    setTimeout(() => events === control && listen(), AGAIN);
  };
  const onOpen = () => { part("live").textContent = "live"; };
  follow(charts.followed(), control.signal, onOpen, (counts, found) => events === control && take(counts, found)).then(again, again);
}

/** @param {[string, string]} counts @param {Map<string, import("./api.js").Chart | null>} found */
function take(counts, found) {
  const [hadRows, hadRuns] = seen;
  seen = counts;
  charts.extend(found);
  if (hadRuns !== counts[1]) soon();
  if (hadRows !== counts[0]) {
    charts.refresh();
    runs.refresh();
  }
}

/** Load the runs, now or once enough time has passed. */
function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    lastRuns = Date.now();
    loadRuns();
  }, Math.max(0, lastRuns + SELDOM - Date.now()));
}

/** A page that nobody sees costs nothing. */
function pause() {
  events?.abort();
  events = null;
  if (document.hidden) part("live").textContent = "paused";
  else listen();
}

// --- look ----------------------------------------------------------------------------------------

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  runs.redraw(); // and with it all that has the colors of runs
}

if (inside && !location.hash) history.replaceState(null, "", `#${inside.address}`);
read();
runs.show(part("runs"));
charts.show(part("charts"));
compare.show(part("compare"));
rows.show(part("rows"));
sql.show(part("sql"));
tree.show(part("tree"));
views.show(part("views"));
for (const each of document.querySelectorAll("nav button")) {
  each.addEventListener("click", () => change({ tab: /** @type {HTMLElement} */ (each).dataset.tab }));
}
part("theme").addEventListener("click", toggleTheme);
onChange(showTab);
addEventListener("hashchange", read);
addEventListener("visibilitychange", pause);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", after(50, () => runs.redraw()));
showTab();
loadRuns().then(() => document.hidden || events || listen());
charts.onFollow = () => events && listen();
