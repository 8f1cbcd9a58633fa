// Axes: their ends, the place of a value on them, and what is written there.

import { shown } from "./dom.js";

/** The ends of all values that are added. */
export class Range {
  /** @param {boolean} isLog */
  constructor(isLog) {
    this.isLog = isLog;
    this.low = Infinity;
    this.high = -Infinity;
  }

  /** @param {number} value */
  add(value) {
    if (this.isLog && !(value > 0)) return;
    if (value < this.low) this.low = value;
    if (value > this.high) this.high = value;
  }

  /** @param {Float64Array} values */
  addAll(values) {
    if (this.isLog) values.forEach((value) => this.add(value));
    else if (values.length) [values[0], values[values.length - 1]].forEach((value) => this.add(value));
  }

  /** Leave out the lowest and highest twentieth, where they are far away. @param {number[]} sample */
  clip(sample) {
    sample.sort((one, other) => one - other);
    const low = sample[Math.floor(0.05 * sample.length)], high = sample[Math.floor(0.95 * sample.length)];
    const room = high - low || Math.abs(high) || 1;
    if (!this.isLog) this.low = Math.max(this.low, low - room);
    this.high = Math.min(this.high, high + room);
  }

  /** @param {number} room as a part of the range @returns {[number, number]} */
  ends(room) {
    if (this.low > this.high) return this.isLog ? [1, 10] : [0, 1];
    if (this.isLog) {
      const grow = this.low === this.high ? 2 : (this.high / this.low) ** room;
      return [this.low / grow, this.high * grow];
    }
    const more = this.low === this.high ? Math.abs(this.low) * 0.1 || 0.5 : room * (this.high - this.low);
    return [this.low - more, this.high + more];
  }
}

/**
 * The place of a value on the canvas.
 * @param {number[]} ends
 * @param {boolean} isLog
 * @param {number} start
 * @param {number} size
 * @returns {(value: number) => number}
 */
export function position([low, high], isLog, start, size) {
  const scale = size / (high - low);
  if (!isLog) return (value) => start + scale * (value - low);
  const [a, b] = [Math.log10(low), Math.log10(high)];
  return (value) => (value > 0 ? start + (size * (Math.log10(value) - a)) / (b - a) : NaN);
}

/** The position of the nearest value in a sorted array; -1 if it is empty. @param {Float64Array} values @param {number} value */
export function nearest(values, value) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - values[low - 1] < values[low] - value ? low - 1 : high < 0 ? -1 : low;
}

const UNITS = /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]]);

/** What is written at round values, as short as tells them apart: 2M, 1.5k. @param {(number | null)[]} values @returns {string[]} */
export function written(values) {
  const found = /** @type {number[]} */ (values.filter((each) => each !== null)), most = Math.max(...found.map(Math.abs));
  const [unit, letter] = UNITS.find(([each]) => most >= 10 * each || each === 1) ?? [1, ""];
  const texts = found.map((each) => (each ? `${shown(Number((each / unit).toPrecision(12)))}${letter}` : "0"));
  const isShort = most < 1e15 && new Set(texts).size === new Set(found).size && texts.every((each) => each.length < 9);
  return values.map((each) => (each === null ? "" : isShort ? texts[found.indexOf(each)] : shown(Number(each.toPrecision(12)))));
}

/**
 * Round values between two ends, about so many.
 * @param {number} low
 * @param {number} high
 * @param {boolean} isLog
 * @param {number} most
 * @returns {number[]}
 */
export function ticks(low, high, isLog, most) {
  if (!(high > low)) return [low];
  if (isLog && high / low >= 10) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first + 1) / most));
    return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, at) => 10 ** (first + at * every));
  }
  const rough = (high - low) / Math.max(1, most), size = 10 ** Math.floor(Math.log10(rough));
  const step = size * ([1, 2, 5, 10].find((each) => each * size >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, at) => (first + at) * step);
}
