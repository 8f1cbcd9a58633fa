// The state of the page is its address: every view is a link.

export const TABS = ["charts", "compare", "rows", "sql", "tree"];

/** Values of the state, where the address has none. */
const DEFAULTS = {
  tab: "charts", x: "", by: [], band: "std", smooth: "0", logx: "", logy: "", clip: "", relative: "", once: "",
  search: "", low: "", high: "", zoomed: "", runs: "", sort: "", down: "", differs: "", hidden: [],
  level: "", rwhere: "", filter: [], boxes: "", group: "", closed: [], cols: [], archived: "", only: "", picked: [],
  pinned: [], collection: "", where: "", panels: [], sql: "", of: "", off: [], full: [], pane: "", open: [], colors: "",
};

/** @typedef {Record<string, any>} State */

/** @type {State} */
export const state = { ...DEFAULTS };

/** @type {((changed: Set<string>) => void)[]} */
const listeners = [];

/** Call a function with the names of values that have changed. @param {(changed: Set<string>) => void} call */
export function onChange(call) {
  listeners.push(call);
}

/** Change values, and the address. @param {State} values */
export function change(values) {
  const changed = new Set(Object.keys(values).filter((key) => !isSame(state[key], values[key])));
  if (!changed.size) return;
  Object.assign(state, values);
  history.replaceState(null, "", `#${address()}`);
  listeners.forEach((call) => call(changed));
}

/** What the address has that no page knows, as after a typing error. @type {string[]} */
export let unknown = [];

/** Take the values of the address. */
export function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  unknown = [...new Set(given.keys())].filter((key) => key && !Object.hasOwn(DEFAULTS, key));
  /** @type {State} */
  const values = {};
  for (const [key, value] of Object.entries(DEFAULTS)) {
    values[key] = Array.isArray(value) ? given.getAll(key) : (given.get(key) ?? value);
  }
  if (!TABS.includes(values.tab)) values.tab = DEFAULTS.tab;
  change(values);
}

function address() {
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(DEFAULTS)) {
    if (isSame(state[key], value)) continue;
    for (const each of Array.isArray(value) ? state[key] : [state[key]]) found.append(key, each);
  }
  return found.toString();
}

/** @param {any} one @param {any} other */
function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
