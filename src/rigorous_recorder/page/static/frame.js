// Axes with grid and labels, drawn on a canvas or in an SVG.

import { shown } from "./dom.js";
import { position, ticks } from "./scale.js";

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
  if (!names) return ticks(ends[0], ends[1], isLog ?? false, most).map((at) => ({ at, text: shown(Number(at.toPrecision(12))) }));
  const every = Math.ceil(names.length / Math.max(1, most));
  return names.flatMap((text, at) => (at % every || at < ends[0] || at > ends[1] ? [] : [{ at, text }]));
}

/** @param {string} text @param {number} most */
export function clipped(text, most) {
  const characters = Array.from(text);
  return characters.length > Math.max(2, most) ? `${characters.slice(0, Math.max(1, most - 1)).join("")}…` : text;
}
