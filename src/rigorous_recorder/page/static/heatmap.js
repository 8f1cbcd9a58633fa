// Heat map of arrays of a run: one matrix, such as a confusion matrix, or vectors over steps.

import { counted, element, shown } from "./dom.js";
import { frame, inside } from "./frame.js";

/** @typedef {import("./kinds.js").Surface} Surface */
/** @typedef {{rows: number, columns: number, cells: Float64Array, low: number, high: number}} Grid */

/** Equally far apart for the eye, also of the color-blind and in print (viridis, of Matplotlib). */
const RISING = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
/** Around 0, blue and red (vik-like; apart for the color-blind). */
const AROUND = ["#0b4a8f", "#4a86bd", "#9fc3df", "#f2f2f2", "#e9b08e", "#c4663c", "#7f2704"];
/** Values are written into cells that are at least so large. */
const ROOM = 26;

/** @type {import("./kinds.js").Kind} */
export const heatmap = {
  title: "Heat map of arrays",
  fields: [
    { name: "y", label: "Arrays of", options: ({ keys }) => keys.arrays.map((key) => [key, key]) },
    { name: "x", label: "Steps", options: ({ keys }) => [["", "record number"], ...keys.x.map((key) => [key, key])] },
  ],
  name: (spec) => spec.y,
  body(spec, context) {
    const run = runOf(spec, context);
    return run ? { y: spec.y, x: spec.x, run, at: spec.at ?? null, runs: null } : null;
  },

  paint(surface, width, height, found, spec, context) {
    const { header } = found, grid = gridOf(found);
    if (!grid.cells.length) return { textAt: () => null };
    const step = { row: header.row_step, column: header.column_step }, steps = found.arrays.x;
    const names = (/** @type {number} */ count, /** @type {number} */ every) => Array.from({ length: count }, (_, at) => String(at * every));
    const columns = header.is_matrix ? names(grid.columns, step.column) : Array.from(steps, shown);
    const ends = (/** @type {number} */ count) => [-0.5, count - 0.5];
    const x = { ends: ends(grid.columns), names: columns, label: header.is_matrix ? "column" : spec.x || "record number" };
    const y = { ends: ends(grid.rows).reverse(), names: names(grid.rows, step.row), label: header.is_matrix ? "row" : "position in the array" };
    const { box, px, py } = frame(surface, width - 70, height, x, y, context.colors);
    inside(surface, box, () => {
      surface.imageSmoothingEnabled = false;
      surface.drawImage(picture(grid, context), box.left, box.top, box.width, box.height);
      if (box.width / grid.columns >= ROOM && box.height / grid.rows >= ROOM / 2) values(surface, grid, px, py, context);
    });
    scale(surface, grid, { left: width - 62, top: box.top, width: 12, height: box.height }, context);
    return {
      textAt(left, top) {
        const column = Math.floor(((left - box.left) / box.width) * grid.columns), row = Math.floor(((top - box.top) / box.height) * grid.rows);
        if (column < 0 || row < 0 || column >= grid.columns || row >= grid.rows) return null;
        return [[x.label, columns[column]], [y.label, y.names[row]], ["value", shown(grid.cells[row * grid.columns + column])]];
      },
    };
  },

  table(found, spec) {
    const { rows, columns, cells } = gridOf(found), { header, arrays } = found;
    const column = (/** @type {number} */ at) => (header.is_matrix ? at * header.column_step : arrays.x[at]);
    const head = header.is_matrix ? ["row", "column", spec.y] : ["position", spec.x || "record number", spec.y];
    return [head, ...Array.from({ length: rows * columns }, (_, at) => [Math.floor(at / columns) * header.row_step, column(at % columns), cells[at]])];
  },

  note(found, spec) {
    const { header, arrays } = found;
    if (!header.total) return `The run has no ${spec.y}; choose another one.`;
    const odd = arrays.cells.filter((each) => !Number.isFinite(each)).length;
    return [
      header.is_matrix ? "" : counted(header.total, "record"),
      header.every > 1 ? `one of each ${header.every} is drawn` : "",
      header.row_step > 1 || header.column_step > 1 ? "the arrays are thinned out" : "",
      odd ? `${counted(odd, "cell has", "cells have")} no number, NaN or infinity (gray)` : "",
    ].filter(Boolean).join("; ");
  },

  controls(found, spec, context, change) {
    const listed = context.runs.listed.slice(0, 500), chosen = runOf(spec, context);
    const run = element("select", { "aria-label": "Run", onchange: () => change({ run: run.value, at: null }) },
      ...listed.map((each) => element("option", { value: each.key }, `run ${context.runs.name(each.key)}`)));
    run.value = chosen;
    if (!found?.header.is_matrix || found.header.total < 2) return [run];
    const { at, at_x: x, total } = found.header;
    const step = element("input", { type: "range", min: 0, max: total - 1, step: 1, value: at, "aria-label": "Step",
      oninput: () => change({ at: Number(step.value) === total - 1 ? null : Number(step.value) }) });
    return [run, step, element("output", {}, `${spec.x || "record number"} ${shown(x ?? at)}`)];
  },
};

/** The run whose arrays are drawn. @param {import("./kinds.js").Spec} spec @param {import("./kinds.js").Context} context @returns {string} */
function runOf(spec, { runs }) {
  if (spec.run) return spec.run;
  return (runs.listed.find((run) => runs.shown.has(run.key)) ?? runs.listed[0])?.key ?? "";
}

/** @param {import("./kinds.js").Found} found @returns {Grid} */
function gridOf({ header, arrays }) {
  const [rows, columns] = header.shape;
  let low = Infinity, high = -Infinity;
  for (const each of arrays.cells) {
    if (!Number.isFinite(each)) continue;
    if (each < low) low = each;
    if (each > high) high = each;
  }
  if (low < 0 && high > 0) [low, high] = [Math.min(low, -high), Math.max(high, -low)];
  return low > high ? { rows, columns, cells: arrays.cells, low: 0, high: 1 } : { rows, columns, cells: arrays.cells, low, high };
}

/** The color of a number as red, green and blue. @param {Grid} grid @param {number} value @returns {number[]} */
function colorOf({ low, high }, value) {
  const palette = low < 0 && high > 0 ? AROUND : RISING;
  const place = (high > low ? (value - low) / (high - low) : 0.5) * (palette.length - 1);
  const at = Math.min(palette.length - 2, Math.floor(place)), share = place - at;
  const part = (/** @type {string} */ color, /** @type {number} */ channel) => parseInt(color.slice(1 + 2 * channel, 3 + 2 * channel), 16);
  return [0, 1, 2].map((channel) => Math.round((1 - share) * part(palette[at], channel) + share * part(palette[at + 1], channel)));
}

/** A pixel for each cell. @param {Grid} grid @param {import("./kinds.js").Context} context @returns {HTMLCanvasElement} */
function picture(grid, { colors }) {
  const made = element("canvas", { width: grid.columns, height: grid.rows }), ctx = made.getContext("2d");
  const pixels = ctx.createImageData(grid.columns, grid.rows);
  ctx.fillStyle = colors.edge;
  ctx.fillRect(0, 0, 1, 1);
  const none = ctx.getImageData(0, 0, 1, 1).data;
  grid.cells.forEach((value, at) => pixels.data.set(Number.isFinite(value) ? [...colorOf(grid, value), 255] : none, 4 * at));
  ctx.putImageData(pixels, 0, 0);
  return made;
}

/**
 * @param {Surface} surface
 * @param {Grid} grid
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 * @param {import("./kinds.js").Context} context
 */
function values(surface, grid, px, py, { colors }) {
  surface.textAlign = "center";
  surface.textBaseline = "middle";
  grid.cells.forEach((value, at) => {
    const isDark = Number.isFinite(value) && luminance(colorOf(grid, value)) < 130;
    surface.fillStyle = !Number.isFinite(value) ? colors.text : isDark ? "#fff" : "#000";
    surface.fillText(shown(value), px(at % grid.columns), py(Math.floor(at / grid.columns)));
  });
}

/** @param {number[]} color */
function luminance([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

/** What the colors mean. @param {Surface} surface @param {Grid} grid @param {import("./frame.js").Box} box @param {import("./kinds.js").Context} context */
function scale(surface, grid, box, { colors }) {
  const steps = 32, size = box.height / steps;
  for (let at = 0; at < steps; at++) {
    surface.fillStyle = `rgb(${colorOf(grid, grid.low + ((grid.high - grid.low) * (at + 0.5)) / steps).join(",")})`;
    surface.fillRect(box.left, box.top + box.height - (at + 1) * size, box.width, size + 0.5);
  }
  surface.fillStyle = colors.text;
  surface.textAlign = "left";
  surface.textBaseline = "top";
  surface.fillText(shown(grid.high), box.left + 16, box.top);
  surface.textBaseline = "bottom";
  surface.fillText(shown(grid.low), box.left + 16, box.top + box.height);
}
