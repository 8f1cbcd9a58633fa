// What a report has inside, in place of a server.

const place = document.getElementById("inside");

/** @type {any} */
export const inside = place ? JSON.parse(place.textContent ?? "null") : null;

/** @type {Record<string, (body: any) => any>} */
const ANSWERS = { "api/table": table, "api/rows": rows, "api/cell": value, "api/courses": courses, "api/compare": compared };

/** The answer of a request, as a server would give it. @param {string} path @param {any} body */
export function answered(path, body) {
  const found = ANSWERS[path] ? ANSWERS[path](body) : inside.answers[path];
  if (found === undefined) throw new Error("This is not in the report.");
  return new Response(JSON.stringify(found));
}

/** Where an image or a sound is. @param {string} id */
export const mediaAddress = (id) => (inside ? inside.media[id] : `api/media/${id}`);

/** The message with the chart of a key. @param {string} key @param {any} body @returns {ArrayBuffer} */
export function chartInside(key, body) {
  if (!isSame(body, inside.fixed)) throw new Error("A report has only its own x, lines, band and smoothing.");
  const found = inside.charts[key];
  if (found === undefined) throw new Error("This chart is not in the report.");
  const [whole, part] = found, { zoom } = inside;
  const isPart = part && body.low !== null && body.low >= zoom.low && body.high <= (zoom.high ?? Infinity);
  return bytesOf(isPart ? part : whole);
}

/** The message with a chart of several keys. @param {any} body @returns {ArrayBuffer} */
export function plotInside(body) {
  const found = inside.plots.filter((/** @type {any} */ each) => isSame(body, each.body, ENDS));
  const best = found.find((/** @type {any} */ each) => ENDS.every((end) => text(each.body[end]) === text(body[end]))) ?? found.at(-1);
  if (!best) throw new Error("A report has only the values, runs and steps it was made with.");
  if (best.error) throw new Error(best.error);
  return bytesOf(best.message);
}

/** What a chart in the report does not follow. @param {any} body */
export function noteOf({ kind, by, runs }) {
  const isOfAll = kind === "bars" || by?.length;
  return isOfAll && text(runs) !== text(inside.drawn) ? "of the runs that were drawn when the report was made" : "";
}

const ENDS = ["low", "high", "bottom", "top"];

/** Whether a request has these values, besides some. @param {any} body @param {any} given @param {string[]} [others] */
function isSame(body, given, others = []) {
  return Object.keys(given).every((each) => others.includes(each) || text(body[each]) === text(given[each]));
}

/** @param {string} base64 @returns {ArrayBuffer} */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (each) => each.charCodeAt(0)).buffer;
}

/** The lines of runs, as they were requested when the report was made. @param {any} body */
function table(body) {
  const { first, count } = body, found = inside.table;
  const errors = isSame(body, inside.request) ? found.errors : ["A report has only the order, filters and columns it was made with."];
  return { ...found, errors, first, lines: found.lines.slice(first, first + count) };
}

/** Text by which values are compared; what is empty is the same. @param {any} value */
function text(value) {
  const isEmpty = (!value && value !== 0) || (value && typeof value === "object" && !Object.keys(value).length);
  return isEmpty ? "" : JSON.stringify(value);
}

/** @param {any} body */
function rows(body) {
  const found = inside.rows[body.collection];
  if (!found || body.where !== inside.where) throw new Error("These rows are not in the report.");
  if (found.error) throw new Error(found.error);
  return { ...found, rows: found.rows.slice(body.first, body.first + body.count) };
}

/** @param {any} body */
function value(body) {
  const found = rows({ ...body, count: 1 });
  const value = found.rows[0]?.[found.columns.indexOf(body.key)], isText = typeof value === "string";
  if (value?.media) return { kind: value.media, text: "", is_cut: false, ...value };
  return { kind: "as in the table", text: isText ? value : JSON.stringify(value), is_cut: isText && value.endsWith("…") };
}

/** @param {any} body */
function courses({ key, rows: wanted }) {
  const known = inside.courses[key] ?? {};
  return Object.fromEntries(wanted.filter((/** @type {string} */ row) => known[row]).map((/** @type {string} */ row) => [row, known[row]]));
}

/** What differs between those runs that were drawn when the report was made. @param {any} body */
function compared({ runs: wanted }) {
  const { runs, differences } = inside.answers["api/compare"];
  const places = runs.flatMap((/** @type {string} */ run, /** @type {number} */ at) => (wanted.includes(run) ? [at] : []));
  const some = differences.map((/** @type {any} */ each) => ({ ...each, values: places.map((/** @type {number} */ at) => each.values[at]) }));
  return { runs: places.map((/** @type {number} */ at) => runs[at]), differences: some.filter((/** @type {any} */ { values }) => new Set(values).size > 1) };
}

/** What is not in the report, and when it was made. */
export function about() {
  const { made, left_out: missing } = inside;
  return `report of ${made}${missing.length ? `, without ${missing.join(", ")}` : ""}`;
}
