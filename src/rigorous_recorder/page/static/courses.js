// The course of a key in each row of the table: small pictures, requested for the rows in view.

import { json } from "./api.js";
import { after, element } from "./dom.js";

const WIDTH = 104, HEIGHT = 20, PARTS = 48;
/** So many are held. */
const MOST = 5000;

/** @typedef {[number, number, number][]} Points */

export class Courses {
  constructor() {
    /** @type {Map<string, Points | null>} */
    this.known = new Map();
    /** @type {Map<string, {level: string, key: string, rows: Set<string>}>} */
    this.wanted = new Map();
    /** @type {Set<() => void>} */
    this.waiting = new Set();
    this.later = after(60, () => this.load());
  }

  /** What is known may be old: it is shown until it comes again. */
  age() {
    this.old = new Map(this.known);
    this.known.clear();
  }

  /**
   * The cell of a course.
   * @param {string} level @param {string} row @param {string} key @param {string} color
   * @param {() => void} onLoad
   */
  cell(level, row, key, color, onLoad) {
    const place = JSON.stringify([level, row, key]);
    const made = element("div", { className: "cell", role: "cell" });
    if (!row) return made;
    if (!this.known.has(place)) this.want(level, row, key, onLoad);
    const points = this.known.get(place) ?? this.old?.get(place);
    if (points?.length) made.append(picture(points, color, key));
    return made;
  }

  /** @param {string} level @param {string} row @param {string} key @param {() => void} onLoad */
  want(level, row, key, onLoad) {
    const place = JSON.stringify([level, key]);
    if (!this.wanted.has(place)) this.wanted.set(place, { level, key, rows: new Set() });
    this.wanted.get(place)?.rows.add(row);
    this.waiting.add(onLoad);
    this.later();
  }

  async load() {
    const wanted = [...this.wanted.values()], calls = [...this.waiting];
    this.wanted.clear();
    this.waiting.clear();
    if (this.known.size > MOST) this.known.clear();
    for (const { level, key, rows } of wanted) {
      const found = await json("api/courses", { level, key, rows: [...rows] }).catch(() => ({}));
      for (const row of rows) this.known.set(JSON.stringify([level, row, key]), found[row] ?? null);
    }
    calls.forEach((call) => call());
  }
}

/** @param {Points} points @param {string} color @param {string} key */
function picture(points, color, key) {
  const lows = points.map((each) => each[1]), highs = points.map((each) => each[2]);
  const low = Math.min(...lows), high = Math.max(...highs), scale = devicePixelRatio || 1;
  const canvas = element("canvas", { width: WIDTH * scale, height: HEIGHT * scale, role: "img", "aria-label": `${key}: ${low} to ${high}` });
  canvas.style.width = `${WIDTH}px`;
  canvas.style.height = `${HEIGHT}px`;
  const context = canvas.getContext("2d");
  const x = (/** @type {number} */ at) => 1 + (at * (WIDTH - 2)) / (PARTS - 1);
  const y = (/** @type {number} */ value) => HEIGHT - 2 - ((value - low) * (HEIGHT - 4)) / (high - low || 1);
  context.scale(scale, scale);
  context.strokeStyle = color;
  context.lineWidth = 1.25;
  context.beginPath();
  points.forEach(([at, bottom, top]) => {
    context.lineTo(x(at), y(bottom));
    context.lineTo(x(at), y(top));
  });
  if (points.length === 1) context.lineTo(x(points[0][0]) + 2, y(points[0][1]));
  context.stroke();
  return canvas;
}
