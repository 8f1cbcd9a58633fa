// Histogram: how often the values of a key occur.

import { linesBy, number, separatedBy, yes } from "./choices.js";
import { shown } from "./dom.js";
import { frame, inside } from "./frame.js";

/** @type {import("./kinds.js").Kind} */
export const histogram = {
  title: "Histogram",
  fields: [
    number("y", "Values of"), linesBy(), yes("logx", "Axis"),
    { name: "bins", label: "Bins", options: () => ["40", "10", "20", "80", "160"].map((count) => [count, count]) },
  ],
  name: (spec) => `${spec.y}, counted`,
  body: (spec) => ({ y: spec.y, by: separatedBy(spec), is_log: Boolean(spec.logx), bins: Number(spec.bins ?? 40), ...(spec.zoom ?? {}) }),

  paint(surface, width, height, found, spec, context) {
    const lines = linesOf(found, context), { edges } = found.arrays;
    const most = Math.max(1, ...lines.flatMap(({ counts }) => Array.from(counts)));
    const zoom = spec.zoom ?? {}; // which in a report is of bins that are there
    const x = { ends: [zoom.low ?? edges[0], zoom.high ?? edges[edges.length - 1]], isLog: Boolean(spec.logx), label: spec.y };
    const { box, px, py } = frame(surface, width, height, x, { ends: [0, most * 1.05], label: "values" }, context.colors);
    inside(surface, box, () => lines.forEach(({ line, counts }) => {
      outline(surface, edges, counts, px, py);
      surface.fillStyle = surface.strokeStyle = context.color(line);
      surface.globalAlpha = lines.length > 8 ? 0.06 : 0.25;
      surface.fill();
      surface.globalAlpha = 1;
      surface.lineWidth = 1.3;
      surface.stroke();
    }));
    const at = (/** @type {number} */ left) => Array.from(edges).findLastIndex((edge) => px(edge) <= left);
    return {
      textAt(left, top) {
        const bin = Math.min(at(left), edges.length - 2);
        if (bin < 0 || left > box.left + box.width || top < box.top || top > box.top + box.height) return null;
        const some = lines.filter(({ counts }) => counts[bin]).sort((one, other) => other.counts[bin] - one.counts[bin]);
        return [[`${shown(edges[bin])} to ${shown(edges[bin + 1])}`, ""], ...some.slice(0, 8).map(({ line, counts }) =>
          /** @type {[string, string]} */ ([context.name(line), shown(counts[bin])]))];
      },
      dragged(from, to) {
        const [low, high] = [Math.min(from.x, to.x), Math.max(from.x, to.x)].map(at);
        return { zoom: { low: edges[Math.max(0, low)], high: edges[Math.min(edges.length - 1, high + 1)] } };
      },
      reset: { zoom: null },
    };
  },

  table: (found, spec, context) => [["line", "from", "to", "values"], ...linesOf(found, context).flatMap(({ line, counts }) =>
    Array.from(counts, (count, at) => [context.name(line), found.arrays.edges[at], found.arrays.edges[at + 1], count]))],

  note({ header }) {
    const sum = (/** @type {string} */ name) => header.lines.reduce((/** @type {number} */ all, /** @type {any} */ line) => all + line[name], 0);
    const named = { nan: "NaN", inf: "inf", minus_inf: "-inf", outside: "beyond the axis" };
    return Object.entries(named).filter(([key]) => sum(key)).map(([key, text]) => `${sum(key).toLocaleString("en")} ${text}`).join("; ");
  },
};

/** @param {import("./kinds.js").Found} found @param {import("./kinds.js").Context} context @returns {{line: any, counts: Float64Array}[]} */
function linesOf({ header, arrays }, context) {
  return header.lines.map((/** @type {any} */ line, /** @type {number} */ at) => ({ line, counts: arrays[`${at}.counts`] }))
    .filter((/** @type {any} */ each) => context.isShown(each.line));
}

/**
 * @param {import("./svg.js").Surface} surface
 * @param {Float64Array} edges
 * @param {Float64Array} counts
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 */
function outline(surface, edges, counts, px, py) {
  surface.beginPath();
  surface.moveTo(px(edges[0]), py(0));
  counts.forEach((count, at) => {
    surface.lineTo(px(edges[at]), py(count));
    surface.lineTo(px(edges[at + 1]), py(count));
  });
  surface.lineTo(px(edges[edges.length - 1]), py(0));
}
