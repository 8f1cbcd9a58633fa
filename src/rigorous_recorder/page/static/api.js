// What the page requests of its server; all addresses are relative.

import { answered, chartInside, inside, noteOf, plotInside } from "./inside.js";

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

/** `others` is what could be x where there is no line. @typedef {{x: string, others: string[], lines: Line[], cursor: Record<string, [number, number]>, isTail: boolean}} Chart */

/**
 * @param {string} path
 * @param {any} [body]
 * @param {AbortSignal} [signal]
 * @param {Record<string, string>} [headers]
 */
async function answer(path, body, signal, headers) {
  if (inside) return answered(path, body);
  const options = body === undefined ? { signal } : { method: "POST", body: JSON.stringify(body), signal, headers };
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

/** @param {string} path @param {any} [body] @param {AbortSignal} [signal] @param {Record<string, string>} [headers] */
export async function json(path, body, signal, headers) {
  return (await answer(path, body, signal, headers)).json();
}

/**
 * The charts of some keys, which are read together.
 * @param {any} body
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, Chart | Error>>}
 */
export async function charts(body, signal) {
  if (inside) return new Map(body.y.flatMap((/** @type {string} */ key) => [...unpacked(chartInside(key, body))]));
  return unpacked(await (await answer("api/chart", body, signal)).arrayBuffer());
}

/**
 * The header and the named arrays of a kind of chart.
 * @param {any} body
 * @param {AbortSignal} signal
 * @returns {Promise<import("./kinds.js").Found>}
 */
export async function plot(body, signal) {
  const buffer = inside ? plotInside(body) : await (await answer("api/plot", body, signal)).arrayBuffer();
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  let at = 8 + size;
  /** @type {Record<string, Float64Array>} */
  const arrays = {};
  for (const [name, count] of header.arrays) {
    arrays[name] = new Float64Array(buffer, at, count);
    at += 8 * count;
  }
  return { header, arrays, note: inside ? noteOf(body) : "" };
}

/** What is encoded in base64. @param {string} text @returns {ArrayBuffer} */
export function bytes(text) {
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer;
}

/** @param {ArrayBuffer} buffer @returns {Map<string, any>} charts, errors, or null of what has to be requested whole */
function unpacked(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const packed = new Packed(buffer, 8 + size);
  return new Map(header.charts.map((/** @type {any} */ chart) => [chart.y, chart.error
    ? new Error(chart.error)
    : chart.is_stale ? null : { x: chart.x, others: chart.others ?? [], lines: lines(chart, header.names, packed), cursor: chart.cursor, isTail: chart.is_tail }]));
}

/**
 * Follow what is new, until the server ends or cannot be reached.
 * @param {any} body the charts whose new points are sent, with their cursors; null for none
 * @param {AbortSignal} signal
 * @param {() => void} onOpen
 * @param {(counts: [string, string], found: Map<string, Chart | null>) => void} take called with counts of
 *   changes of rows and of runs, and new points of charts; null for one that has to be requested whole
 */
export async function follow(body, signal, onOpen, take) {
  const found = await answer("api/live", body, signal, { accept: "text/event-stream" }); // by which proxies know not to wait
  onOpen();
  const reader = /** @type {ReadableStream} */ (found.body).pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts.filter((each) => each.startsWith("data: "))) {
      const [rows, runs, message] = part.slice("data: ".length).split(" ");
      take([rows, runs], message ? /** @type {any} */ (unpacked(bytes(message))) : new Map());
    }
  }
}

/** @param {any} chart @param {any[]} names @param {Packed} packed @returns {Line[]} */
function lines(chart, names, packed) {
  const { types } = chart;
  const banded = chart.points.filter((/** @type {any} */ _, /** @type {number} */ at) => chart.band[at]);
  const x = packed.rising(types.x, chart.points), y = packed.arrays(types.y, chart.points);
  const low = packed.arrays(types.low, banded), high = packed.arrays(types.high, banded);
  const smooth = types.smooth && packed.arrays(types.smooth, chart.points);
  const markX = packed.arrays(types.mark_x, chart.marks), markKind = packed.arrays(types.mark_kind, chart.marks);
  let bands = 0;
  return chart.line.map((/** @type {number} */ name, /** @type {number} */ at) => {
    const { run = null, label = "", key = run } = names[name];
    const band = chart.band[at] ? bands++ : -1;
    return {
      key, run, label, n: chart.n[at], odd: chart.odd[at], x: x[at], y: y[at], low: low[band] ?? null,
      high: high[band] ?? null, smooth: smooth ? smooth[at] : null, markX: markX[at], markKind: markKind[at],
    };
  });
}

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };

/** Arrays one after the other, each at a multiple of 8 bytes. */
class Packed {
  /** @param {ArrayBuffer} buffer @param {number} at */
  constructor(buffer, at) {
    this.buffer = buffer;
    this.at = at;
  }

  /** @param {keyof ARRAYS} type @param {number} count */
  take(type, count) {
    const found = new ARRAYS[type](this.buffer, this.at, count);
    this.at += 8 * Math.ceil(found.byteLength / 8);
    return found;
  }

  /** An array of each line. @param {keyof ARRAYS} type @param {number[]} counts @returns {Float64Array[]} */
  arrays(type, counts) {
    let at = 0;
    const all = new Float64Array(this.take(type, counts.reduce((sum, each) => sum + each, 0)));
    return counts.map((each) => all.subarray(at, (at += each)));
  }

  /** The same, where the type may be of differences and of the first values. @param {(keyof ARRAYS)[]} types @param {number[]} counts */
  rising([type, ofFirst], counts) {
    const found = this.arrays(type, counts);
    if (!ofFirst) return found;
    const some = found.filter((each) => each.length), first = this.take(ofFirst, some.length);
    some.forEach((each, line) => {
      let x = first[line];
      for (let at = 0; at < each.length; at++) each[at] = x += each[at];
    });
    return found;
  }
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
    const line = byKey.get(more.key), before = line?.x ?? [];
    const isInOrder = !more.x.length || !before.length || more.x[0] > before[before.length - 1];
    if (!isInOrder || line?.low || before.length + more.x.length > most) return false;
    for (let at = 1; at < more.x.length; at++) if (!(more.x[at] > more.x[at - 1])) return false; // to be sorted, or averaged
  }
  for (const more of tail.lines) {
    const line = byKey.get(more.key);
    if (!line) {
      whole.lines.push(more);
      continue;
    }
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
