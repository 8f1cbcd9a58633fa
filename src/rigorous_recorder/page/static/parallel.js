// Parallel coordinates: a line for each run over attributes and last values; a drag on an axis picks runs.

import { element, shown } from "./dom.js";
import { clipped, line } from "./frame.js";
import { position, ticks } from "./scale.js";

const TOP = 34, BOTTOM = 14, SIDE = 60;
/** Of more different texts the axis has no names. */
const MOST_NAMES = 24;

/**
 * An axis: the values of runs as numbers, which for texts are positions in `names`.
 * @typedef {{key: string, x: number, isLog: boolean, ends: number[], names: string[] | null, values: Map<string, number>,
 *   py: (value: number) => number}} Axis
 */

/** @type {import("./kinds.js").Kind} */
export const parallel = {
  title: "Parallel coordinates",
  fields: [
    { name: "attributes", label: "Attributes", isMany: true, options: ({ runs }) => [...runs.attributes, "duration"].map((key) => [key, key]) },
    { name: "keys", label: "Last values of", isMany: true, options: ({ keys }) => keys.metrics.map((key) => [key, key]) },
  ],
  name: (spec) => [...(spec.attributes ?? []), ...(spec.keys ?? [])].join(", "),
  body: (spec) => ({ keys: spec.keys ?? [], runs: null }),

  paint(surface, width, height, found, spec, context) {
    const axes = axesOf(found, spec, context, width, height), { runs, colors } = context;
    const picked = picksOf(axes, spec);
    surface.lineWidth = 1;
    surface.globalAlpha = 0.15;
    const listed = runs.listed, isIn = (/** @type {string} */ run) => runs.shown.has(run) && picked(run);
    for (const run of listed) if (!isIn(run.key)) path(surface, axes, run.key, colors.faint);
    surface.lineWidth = listed.length > 200 ? 1 : 1.6;
    surface.globalAlpha = listed.length > 200 ? 0.5 : 0.9;
    for (const run of listed) if (isIn(run.key)) path(surface, axes, run.key, runs.color(run.key));
    surface.globalAlpha = 1;
    axes.forEach((axis) => drawAxis(surface, axis, height, spec, context));
    const nearest = (/** @type {number} */ x) => axes.reduce((best, axis) => (Math.abs(axis.x - x) < Math.abs(best.x - x) ? axis : best), axes[0]);
    return {
      textAt: (x, y) => textOf(axes, listed.filter((run) => isIn(run.key)), runs, x, y),
      dragged(from, to) {
        const axis = nearest(from.x);
        if (!axis || Math.abs(axis.x - from.x) > 30) return null;
        const ends = [to.y, from.y].map((y) => valueAt(axis, y, height)).sort((one, other) => one - other);
        return { brushes: { ...spec.brushes, [axis.key]: ends } };
      },
      reset: { brushes: null },
    };
  },

  table(found, spec, context) {
    const axes = axesOf(found, spec, context, 100, 100);
    return [["run", ...axes.map((axis) => axis.key)], ...context.runs.listed.filter((run) => context.runs.shown.has(run.key)).map((run) =>
      [context.runs.name(run.key), ...axes.map((axis) => valueOf(axis, run.key))])];
  },

  note: (_found, spec) => Object.entries(spec.brushes ?? {}).map(([key, [low, high]]) => `${key}: ${shown(low)} to ${shown(high)}`).join("; "),

  controls: (_found, spec, _context, change) => (spec.brushes
    ? [element("button", { onclick: () => change({ brushes: null }) }, "Pick all runs")] : [element("span", { className: "note" }, "Drag along an axis to pick runs.")]),

  picks: (found, spec, context) => picksOf(axesOf(found, spec, context, 100, 100), spec),
};

/**
 * @param {import("./kinds.js").Found} found
 * @param {import("./kinds.js").Spec} spec
 * @param {import("./kinds.js").Context} context
 * @param {number} width
 * @param {number} height
 * @returns {Axis[]}
 */
function axesOf(found, spec, { runs }, width, height) {
  const attributes = (spec.attributes ?? []).map((/** @type {string} */ key) =>
    axisOf(key, runs.every.need().map((run) => [run.key, runs.value(run, key)]), height));
  const last = (spec.keys ?? []).map((/** @type {string} */ key, /** @type {number} */ at) =>
    axisOf(key, found.header.runs.map((/** @type {string} */ run, /** @type {number} */ row) => [run, found.arrays[at]?.[row]]), height));
  const axes = [...attributes, ...last], gap = (width - 2 * SIDE) / Math.max(1, axes.length - 1);
  return axes.map((axis, at) => ({ ...axis, x: SIDE + at * gap }));
}

/** @param {string} key @param {[string, any][]} pairs @param {number} height @returns {Omit<Axis, "x">} */
function axisOf(key, pairs, height) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && !Number.isNaN(value));
  const isText = there.some(([, value]) => typeof value !== "number");
  const names = isText ? [...new Set(there.map(([, value]) => String(value)))].sort((one, other) => one.localeCompare(other, "en", { numeric: true })) : null;
  const places = names && new Map(names.map((name, at) => [name, at]));
  const values = new Map(there.map(([run, value]) => [run, places ? places.get(String(value)) ?? 0 : value]));
  const finite = [...values.values()].filter(Number.isFinite);
  const low = finite.reduce((one, other) => Math.min(one, other), Infinity), high = finite.reduce((one, other) => Math.max(one, other), -Infinity);
  const isLog = !names && low > 0 && high / low >= 100;
  const ends = low > high ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high];
  return { key, isLog, ends, names, values, py: position([ends[1], ends[0]], isLog, TOP, height - TOP - BOTTOM) };
}

/** @param {Axis} axis @param {number} y @param {number} height */
function valueAt({ ends: [low, high], isLog }, y, height) {
  const share = Math.min(1, Math.max(0, 1 - (y - TOP) / (height - TOP - BOTTOM)));
  return isLog ? low * (high / low) ** share : low + share * (high - low);
}

/** The ends of what is picked on an axis, also of keys such as `constructor`. @param {import("./kinds.js").Spec} spec @param {string} key @returns {[number, number] | null} */
function brushOf({ brushes }, key) {
  return brushes && Object.hasOwn(brushes, key) ? brushes[key] : null;
}

/** Which runs are inside all brushes. @param {Axis[]} axes @param {import("./kinds.js").Spec} spec @returns {(run: string) => boolean} */
function picksOf(axes, spec) {
  const tests = axes.flatMap((axis) => {
    const ends = brushOf(spec, axis.key);
    return ends ? [{ values: axis.values, low: ends[0], high: ends[1] }] : [];
  });
  return (run) => tests.every(({ values, low, high }) => {
    const value = values.get(run) ?? NaN;
    return value >= low && value <= high;
  });
}

/** Infinities are at the ends; a run without a value has a gap. @param {import("./svg.js").Surface} surface @param {Axis[]} axes @param {string} run @param {string} color */
function path(surface, axes, run, color) {
  surface.strokeStyle = color;
  surface.beginPath();
  let isDown = false;
  for (const { x, py, values, ends } of axes) {
    const value = values.get(run);
    if (value === undefined) isDown = false;
    else {
      const y = py(Math.min(ends[1], Math.max(ends[0], value)));
      if (isDown) surface.lineTo(x, y);
      else surface.moveTo(x, y);
      isDown = true;
    }
  }
  surface.stroke();
}

/** @param {import("./svg.js").Surface} surface @param {Axis} axis @param {number} height @param {import("./kinds.js").Spec} spec @param {import("./kinds.js").Context} context */
function drawAxis(surface, { key, x, isLog, ends, names, py }, height, spec, { colors }) {
  surface.font = `11px ${colors.family}`;
  surface.strokeStyle = colors.text;
  surface.lineWidth = 1;
  line(surface, x, TOP, x, height - BOTTOM);
  surface.textAlign = "center";
  surface.textBaseline = "middle";
  surface.fillStyle = colors.text;
  surface.fillText(clipped(isLog ? `${key} (log)` : key, 18), x, 12);
  const places = names ? (names.length > MOST_NAMES ? [] : names.map((_, at) => at)) : ticks(ends[0], ends[1], isLog, 6);
  surface.textAlign = "left";
  for (const at of places) {
    line(surface, x - 3, py(at), x + 3, py(at));
    surface.fillText(clipped(names ? names[at] : shown(Number(at.toPrecision(12))), 12), x + 6, py(at));
  }
  const brush = brushOf(spec, key);
  if (!brush) return;
  const [top, bottom] = [brush[1], brush[0]].map((value) => py(Math.min(ends[1], Math.max(ends[0], value))));
  surface.fillStyle = colors.accent;
  surface.globalAlpha = 0.35;
  surface.fillRect(x - 6, top, 12, Math.max(2, bottom - top));
  surface.globalAlpha = 1;
}

/**
 * The run whose line is nearest to the cursor.
 * @param {Axis[]} axes
 * @param {import("./every.js").Run[]} some
 * @param {import("./runs.js").Runs} runs
 * @param {number} x
 * @param {number} y
 * @returns {[string, string][] | null}
 */
function textOf(axes, some, runs, x, y) {
  let least = 8, best = "";
  for (const { key } of some) {
    for (let at = 0; at + 1 < axes.length; at++) {
      const [one, other] = [axes[at], axes[at + 1]];
      const [from, to] = [one.values.get(key), other.values.get(key)];
      if (x < one.x || x > other.x || from === undefined || to === undefined) continue;
      const share = (x - one.x) / (other.x - one.x || 1);
      const far = Math.abs((1 - share) * one.py(from) + share * other.py(to) - y);
      if (far < least) [least, best] = [far, key];
    }
  }
  return best ? [[runs.name(best), ""], ...axes.map((axis) => /** @type {[string, string]} */ ([axis.key, textAt(axis, best)]))] : null;
}

/** @param {Axis} axis @param {string} run @returns {string | number} "" if it has none */
function valueOf({ names, values }, run) {
  const value = values.get(run);
  return value === undefined ? "" : names ? names[value] : value;
}

/** @param {Axis} axis @param {string} run */
function textAt(axis, run) {
  const value = valueOf(axis, run);
  return typeof value === "number" ? shown(value) : value || "none";
}
