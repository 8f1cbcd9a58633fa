// Scatter: points of any two keys.

import { linesBy, number, separatedBy, yes } from "./choices.js";
import { shown } from "./dom.js";
import { frame, inside } from "./frame.js";
import { dot, marks } from "./marks.js";
import { Range } from "./scale.js";

const NEAR = 12;

/** @type {import("./kinds.js").Kind} */
export const scatter = {
  title: "Scatter",
  fields: [number("x", "x"), number("y", "y"), linesBy(), yes("logx", "x axis"), yes("logy", "y axis")],
  name: (spec) => `${spec.y} over ${spec.x}`,
  body: (spec) => ({ x: spec.x, y: spec.y, by: separatedBy(spec), ...zoomed(spec) }),

  paint(surface, width, height, found, spec, context) {
    const lines = linesOf(found, context);
    const [xs, ys] = [new Range(Boolean(spec.logx)), new Range(Boolean(spec.logy))];
    for (const { x, y, markX } of lines) {
      x.forEach((value) => xs.add(value));
      markX.forEach((value) => xs.add(value));
      y.forEach((value) => ys.add(value));
    }
    const [x0, x1] = xs.ends(0.03), [y0, y1] = ys.ends(0.05), zoom = zoomed(spec);
    const axes = [
      { ends: [zoom.low ?? x0, zoom.high ?? x1], isLog: Boolean(spec.logx), label: spec.x },
      { ends: [zoom.bottom ?? y0, zoom.top ?? y1], isLog: Boolean(spec.logy), label: spec.y },
    ];
    const { box, px, py } = frame(surface, width, height, axes[0], axes[1], context.colors);
    const count = lines.reduce((sum, { x }) => sum + x.length, 0);
    const radius = count > 5000 ? 1.2 : count > 500 ? 2 : 3.5;
    inside(surface, box, () => lines.forEach(({ line, x, y, markX, markKind }) => {
      surface.fillStyle = surface.strokeStyle = context.color(line);
      surface.globalAlpha = count > 500 ? 0.6 : 0.8;
      for (let at = 0; at < x.length; at++) dot(surface, px(x[at]), py(y[at]), radius, radius < 2 ? 0 : context.shape(line));
      surface.globalAlpha = 1;
      marks(surface, { markX, markKind }, px, box, 1);
    }));
    return {
      textAt: (x, y) => near(lines, px, py, x, y, spec, context),
      dragged: (from, to) => ({ zoom: boxOf(from, to, box, axes) }),
      reset: { zoom: null },
    };
  },

  table: (found, spec, context) => [["line", spec.x, spec.y], ...linesOf(found, context).flatMap(({ line, x, y }) =>
    Array.from(x, (value, at) => [context.name(line), value, y[at]]))],

  note(found) {
    const lost = sum(found, "lost"), odd = sum(found, "odd");
    return [
      found.header.is_reduced ? `one dot for the points of each ${found.header.square} × ${found.header.square} pixels: up to ${found.header.most.toLocaleString("en")}` : "",
      odd ? `${odd} with y that is NaN or infinite are marks` : "",
      lost ? `${lost} with x that is NaN or infinite are not drawn` : "",
    ].filter(Boolean).join("; ");
  },
};

/** @param {import("./kinds.js").Spec} spec @returns {{low?: number, high?: number, bottom?: number, top?: number}} */
const zoomed = (spec) => spec.zoom ?? {};

/** @param {import("./kinds.js").Found} found @param {string} name @returns {number} */
const sum = (found, name) => found.header.lines.reduce((/** @type {number} */ all, /** @type {any} */ line) => all + line[name], 0);

/** @typedef {{line: any, x: Float64Array, y: Float64Array, markX: Float64Array, markKind: Float64Array}} Dots */

/** @param {import("./kinds.js").Found} found @param {import("./kinds.js").Context} context @returns {Dots[]} */
function linesOf({ header, arrays }, context) {
  return header.lines.map((/** @type {any} */ line, /** @type {number} */ at) => ({
    line, x: arrays[`${at}.x`], y: arrays[`${at}.y`], markX: arrays[`${at}.mark_x`], markKind: arrays[`${at}.mark_kind`],
  })).filter((/** @type {any} */ each) => context.isShown(each.line));
}

/**
 * The point nearest to the cursor.
 * @param {Dots[]} lines
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 * @param {number} x
 * @param {number} y
 * @param {import("./kinds.js").Spec} spec
 * @param {import("./kinds.js").Context} context
 * @returns {[string, string][] | null}
 */
function near(lines, px, py, x, y, spec, context) {
  let least = NEAR ** 2, best = null;
  for (const each of lines) {
    for (let at = 0; at < each.x.length; at++) {
      const far = (px(each.x[at]) - x) ** 2 + (py(each.y[at]) - y) ** 2;
      if (far < least) [least, best] = [far, { each, at }];
    }
  }
  if (!best) return null;
  const { each, at } = best;
  return [[context.name(each.line), ""], [spec.x, shown(each.x[at])], [spec.y, shown(each.y[at])]];
}

/**
 * The values at the sides of a dragged rectangle.
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 * @param {import("./frame.js").Box} box
 * @param {import("./frame.js").Axis[]} axes
 */
function boxOf(from, to, box, axes) {
  const value = (/** @type {import("./frame.js").Axis} */ { ends: [low, high], isLog }, /** @type {number} */ share) => {
    const inner = Math.min(1, Math.max(0, share));
    return isLog ? low * (high / low) ** inner : low + inner * (high - low);
  };
  const xs = [from.x, to.x].sort((one, other) => one - other).map((x) => value(axes[0], (x - box.left) / box.width));
  const ys = [from.y, to.y].sort((one, other) => other - one).map((y) => value(axes[1], 1 - (y - box.top) / box.height));
  return { low: xs[0], high: xs[1], bottom: ys[0], top: ys[1] };
}
