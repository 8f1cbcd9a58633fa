// What a report has inside, in place of a server.

const place = document.getElementById("inside");

/** @type {any} */
export const inside = place ? JSON.parse(place.textContent ?? "null") : null;

/** What may differ from the request that the report was made with: the points are the same. */
const FREE = ["y", "pixels", "low", "high", "log_x", "cursors"];

/** The answer of a request, as a server would give it. @param {string} path @param {any} body */
export function answered(path, body) {
  const found = path === "api/table" ? table(body) : path === "api/rows" ? rows(body) : path === "api/cell" ? value(body) : inside.answers[path];
  if (found === undefined) throw new Error("This is not in the report.");
  return new Response(JSON.stringify(found));
}

/** The message with the chart of a key. @param {string} key @param {any} body @returns {ArrayBuffer} */
export function chartInside(key, body) {
  const same = (/** @type {string} */ each) => JSON.stringify(body[each] || null) === JSON.stringify(inside.fixed[each] || null);
  if (!Object.keys(body).every((each) => FREE.includes(each) || same(each))) {
    throw new Error("A report has only its own x, lines, band and smoothing.");
  }
  const text = inside.charts[key];
  if (text === undefined) throw new Error("This chart is not in the report.");
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer;
}

/** The lines of runs, as they were requested when the report was made. @param {any} body */
function table(body) {
  const { first, count, ...requested } = body, found = inside.table;
  const isSame = Object.keys(requested).every((each) => text(requested[each]) === text(inside.request[each]));
  const errors = isSame ? found.errors : ["A report has only the order, filters and columns it was made with."];
  return { ...found, errors, first, lines: found.lines.slice(first, first + count) };
}

/** Text by which values are compared; what is empty is the same. @param {any} value */
function text(value) {
  const isEmpty = !value || (typeof value === "object" && !Object.keys(value).length);
  return isEmpty ? "" : JSON.stringify(value);
}

/** @param {any} body */
function rows(body) {
  const found = inside.rows[body.collection];
  if (!found || body.where !== inside.where) throw new Error("These rows are not in the report.");
  return { ...found, rows: found.rows.slice(body.first, body.first + body.count) };
}

/** @param {any} body */
function value(body) {
  const found = rows({ ...body, count: 1 });
  const text = found.rows[0]?.[found.columns.indexOf(body.key)];
  return { kind: "as in the table", text: typeof text === "object" ? JSON.stringify(text) : String(text), is_cut: false };
}
