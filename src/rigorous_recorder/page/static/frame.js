// Axes with grid and labels, drawn on a canvas or in an SVG.

import { dot } from "./marks.js";
import { position, ticks, written } from "./scale.js";

/** A legend's columns are so wide. */
const WIDE = 170;
const MOST_IN_LEGEND = 40;

/** @typedef {import("./svg.js").Surface} Surface */
/** @typedef {{text: string, faint: string, edge: string, ground: string, accent: string, family: string}} Colors */
/** @typedef {{ends: number[], isLog?: boolean, label?: string, names?: string[]}} Axis names are those of 0, 1, ... */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {{box: Box, px: (value: number) => number, py: (value: number) => number}} Framed */

/** The colors of the page as it looks now. @param {Element} place @returns {Colors} */
export function colorsOf(place) {
  const style = getComputedStyle(document.body), card = getComputedStyle(place.closest(".card") ?? document.body);
  const probe = document.createElement("span");
  place.append(probe);
  const of = (/** @type {string} */ name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { text: style.color, faint: of("faint"), accent: of("accent"), edge: card.borderTopColor, ground: style.backgroundColor, family: style.fontFamily };
  probe.remove();
  return found;
}

/**
 * Draw axes; what is drawn afterwards is placed by `px` and `py`.
 * @param {Surface} surface
 * @param {number} width
 * @param {number} height
 * @param {Axis} x
 * @param {Axis} y
 * @param {Colors} colors
 * @returns {Framed}
 */
export function frame(surface, width, height, x, y, colors) {
  const size = height < 120 ? 9 : 11;
  surface.font = `${size}px ${colors.family}`;
  const wide = Math.min(140, Math.max(40, ...labels(y, 6).map((each) => 8 + 0.6 * size * each.text.length)));
  const box = { left: wide, top: y.label ? 20 : 8, width: Math.max(10, width - wide - 12), height: Math.max(10, height - 24 - (y.label ? 20 : 8) - (x.label ? 14 : 0)) };
  const px = position(x.ends, x.isLog ?? false, box.left, box.width);
  const py = position([y.ends[1], y.ends[0]], y.isLog ?? false, box.top, box.height);
  surface.lineWidth = 1;
  surface.strokeStyle = colors.edge;
  surface.fillStyle = colors.text;
  surface.textBaseline = "middle";
  surface.textAlign = "right";
  for (const { at, text } of labels(y, Math.max(2, box.height / 30))) {
    line(surface, box.left, py(at), box.left + box.width, py(at));
    surface.fillText(clipped(text, 22), box.left - 5, py(at));
  }
  surface.textBaseline = "top";
  surface.textAlign = "center";
  const most = Math.max(2, box.width / 70), room = Math.floor((1.7 * box.width) / Math.max(1, Math.min(most, x.names?.length ?? most)) / size);
  for (const { at, text } of labels(x, most)) {
    line(surface, px(at), box.top, px(at), box.top + box.height);
    surface.fillText(clipped(text, room), px(at), box.top + box.height + 5);
  }
  surface.fillStyle = colors.faint;
  if (x.label) surface.fillText(clipped(x.label, 80), box.left + box.width / 2, box.top + box.height + 19);
  surface.textAlign = "left";
  if (y.label) surface.fillText(clipped(y.label, 80), 4, 3);
  return { box, px, py };
}

/** What is drawn by a function is cut off outside the axes. @param {Surface} surface @param {Box} box @param {() => void} draw */
export function inside(surface, box, draw) {
  surface.save();
  surface.beginPath();
  surface.rect(box.left, box.top, box.width, box.height);
  surface.clip();
  draw();
  surface.restore();
}

/** @param {Surface} surface @param {number} x @param {number} y @param {number} toX @param {number} toY */
export function line(surface, x, y, toX, toY) {
  surface.beginPath();
  surface.moveTo(x, y);
  surface.lineTo(toX, toY);
  surface.stroke();
}

/** @param {Axis} axis @param {number} most @returns {{at: number, text: string}[]} */
function labels({ ends, isLog, names }, most) {
  if (!names) return ticks(ends[0], ends[1], isLog ?? false, most).map((at, number, all) => ({ at, text: written(all)[number] }));
  const every = Math.ceil(names.length / Math.max(1, most));
  return names.flatMap((text, at) => (at % every || at < Math.min(...ends) || at > Math.max(...ends) ? [] : [{ at, text }]));
}

/** @typedef {{color: string, shape: number, name: string}} Entry */

/** How high a legend is. @param {Entry[]} entries @param {number} width */
export function legendHeight(entries, width) {
  return entries.length ? 16 * Math.ceil(Math.min(MOST_IN_LEGEND, entries.length) / columnsIn(width)) + 6 : 0;
}

/** Names of colors, in columns. @param {Surface} surface @param {Entry[]} entries @param {number} top @param {number} width @param {Colors} colors */
export function legend(surface, entries, top, width, colors) {
  const columns = columnsIn(width), more = entries.length - MOST_IN_LEGEND;
  surface.font = `11px ${colors.family}`;
  surface.textAlign = "left";
  surface.textBaseline = "middle";
  entries.slice(0, MOST_IN_LEGEND).forEach(({ color, shape, name }, at) => {
    const x = 8 + (at % columns) * WIDE, y = top + 8 + 16 * Math.floor(at / columns), isLast = at === MOST_IN_LEGEND - 1;
    surface.fillStyle = color;
    dot(surface, x + 5, y, 5, shape);
    surface.fillStyle = colors.text;
    surface.fillText(isLast && more > 0 ? `and ${more + 1} more` : clipped(name, 22), x + 15, y);
  });
}

/** @param {number} width */
function columnsIn(width) {
  return Math.max(1, Math.floor((width - 8) / WIDE));
}

/** @param {string} text @param {number} most */
export function clipped(text, most) {
  const characters = Array.from(text);
  return characters.length > Math.max(2, most) ? `${characters.slice(0, Math.max(1, most - 1)).join("")}…` : text;
}
