// The colors of lines: apart also for the color-blind, and from the ground they are drawn on. Beyond
// these, lines of one color are distinguished by shapes.

import { change, state } from "./state.js";

const ON_LIGHT = ["#4b46a2", "#e90014", "#779c7d", "#d660b6", "#94954b", "#1b97ff", "#3f0030", "#00635f", "#554026", "#4664ff"];
const ON_DARK = ["#92b8ff", "#dd8c23", "#7fc082", "#bf7ea8", "#fdc800", "#91ecf6", "#c41c61", "#b4ffd6", "#837734", "#7864c2"];
const SHAPES = 4;
const MOST_IN_ADDRESS = 50;

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark now. */
export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : DARK.matches;
}

/** The color of the line at a position, which can be negative. @param {number} at */
export function colorAt(at) {
  const colors = isDark() ? ON_DARK : ON_LIGHT;
  return colors[((at % colors.length) + colors.length) % colors.length];
}

/** The shape of the line at a position: 0 none (a square in legends), 1 circles, 2 triangles, 3 diamonds. @param {number} at */
export function shapeAt(at) {
  return ((Math.floor(at / ON_LIGHT.length) % SHAPES) + SHAPES) % SHAPES;
}

/**
 * The positions of labels in the palette. They are in the address, so that a label has its color also after
 * a reload, and others that come later don't change it.
 */
export class Places {
  constructor() {
    /** What the address had. */
    this.read = "";
    /** @type {Map<string, number>} */
    this.known = new Map();
    this.isWaiting = false;
  }

  /** @param {string} label */
  of(label) {
    if (this.read !== state.colors) this.take();
    const name = short(label);
    const at = this.known.get(name) ?? this.known.size;
    if (this.known.has(name)) return at;
    this.known.set(name, at);
    if (at < MOST_IN_ADDRESS && !this.isWaiting) queueMicrotask(() => this.write());
    this.isWaiting = true;
    return at;
  }

  take() {
    this.read = state.colors;
    this.known = new Map(state.colors.split(".").filter(Boolean).map((/** @type {string} */ name, /** @type {number} */ at) => [name, at]));
  }

  write() {
    this.isWaiting = false;
    if (this.read !== state.colors) return; // other lines meanwhile
    this.read = [...this.known.keys()].slice(0, MOST_IN_ADDRESS).join(".");
    change({ colors: this.read });
  }
}

/** A few letters for a text of any length (FNV-1a). @param {string} text */
function short(text) {
  let found = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) found = Math.imul(found ^ text.charCodeAt(at), 0x01000193);
  return (found >>> 0).toString(36);
}
