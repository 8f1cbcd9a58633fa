// What the page requests of its server; all addresses are relative.

/**
 * @typedef {object} Line
 * @property {string} key
 * @property {string | null} run
 * @property {string} label
 * @property {number} n
 * @property {number} odd
 * @property {Float64Array} x
 * @property {Float64Array} y
 * @property {Float64Array | null} low
 * @property {Float64Array | null} high
 * @property {Float64Array | null} smooth
 * @property {Float64Array} markX
 * @property {Float64Array} markKind
 */

/** @typedef {{lines: Line[], cursor: Record<string, [number, number]>, isTail: boolean}} Chart */

/**
 * @param {string} path
 * @param {any} [body]
 * @param {AbortSignal} [signal]
 */
async function answer(path, body, signal) {
  const options = body === undefined ? { signal } : { method: "POST", body: JSON.stringify(body), signal };
  const found = await fetch(path, options);
  if (found.ok) return found;
  const text = await found.text();
  let message = text;
  try {
    message = JSON.parse(text).error;
  } catch {
    // plain text already
  }
  throw new Error(message);
}

/** @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
export async function json(path, body, signal) {
  return (await answer(path, body, signal)).json();
}

/**
 * @param {any} body
 * @param {AbortSignal} signal
 * @returns {Promise<Chart>}
 */
export async function chart(body, signal) {
  return unpacked(await (await answer("api/chart", body, signal)).arrayBuffer());
}

/** @param {ArrayBuffer} buffer @returns {Chart} */
function unpacked(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  let at = 8 + size;
  const take = (/** @type {number} */ count) => {
    const found = new Float64Array(buffer, at, count);
    at += 8 * count;
    return found;
  };
  const lines = header.lines.map((/** @type {any} */ line) => ({
    key: line.key, run: line.run, label: line.label, n: line.n, odd: line.odd,
    x: take(line.points), y: take(line.points),
    low: line.band ? take(line.points) : null, high: line.band ? take(line.points) : null,
    smooth: line.smooth ? take(line.points) : null,
    markX: take(line.marks), markKind: take(line.marks),
  }));
  return { lines, cursor: header.cursor, isTail: header.is_tail };
}

/**
 * Add the new points of a tail to a chart; false if it has to be requested whole.
 * @param {Chart} whole
 * @param {Chart} tail
 * @param {number} most points of a line
 */
export function extend(whole, tail, most) {
  const byKey = new Map(whole.lines.map((line) => [line.key, line]));
  for (const more of tail.lines) {
    const line = byKey.get(more.key);
    if (!line) {
      whole.lines.push(more);
      continue;
    }
    const isInOrder = !more.x.length || !line.x.length || more.x[0] > line.x[line.x.length - 1];
    if (!isInOrder || line.low || line.x.length + more.x.length > most) return false;
    for (let at = 1; at < more.x.length; at++) if (!(more.x[at] > more.x[at - 1])) return false;
    line.x = joined(line.x, more.x);
    line.y = joined(line.y, more.y);
    line.markX = joined(line.markX, more.markX);
    line.markKind = joined(line.markKind, more.markKind);
    line.n += more.n;
    line.odd += more.odd;
  }
  whole.cursor = tail.cursor;
  return true;
}

/** @param {Float64Array} one @param {Float64Array} other */
function joined(one, other) {
  const found = new Float64Array(one.length + other.length);
  found.set(one);
  found.set(other, one.length);
  return found;
}
