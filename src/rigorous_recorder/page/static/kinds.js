// The kinds of charts that can be added besides those of each key.

import { bars } from "./bars.js";
import { heatmap } from "./heatmap.js";
import { histogram } from "./histogram.js";
import { parallel } from "./parallel.js";
import { scatter } from "./scatter.js";

/** @typedef {import("./frame.js").Colors} Colors */
/** @typedef {import("./svg.js").Surface} Surface */
/** What a chart is of; it is in the address. @typedef {{kind: string} & Record<string, any>} Spec */
/** @typedef {{key: string, run: string | null, label: string, n: number}} Series */
/** What was read; `note` is what else there is to know of it. @typedef {{header: any, arrays: Record<string, Float64Array>, note: string}} Found */
/** @typedef {{charts: string[], metrics: string[], x: string[], likely_x: string, columns: string[], arrays: string[]}} Keys */
/**
 * What a kind may use of the page; `isShown` is what its legend has not hidden.
 * @typedef {{runs: import("./runs.js").Runs, keys: Keys, colors: Colors, color: (line: Series) => string, shape: (line: Series) => number,
 *   name: (line: Series) => string, isShown: (line: Series) => boolean}} Context
 */
/**
 * A control of the dialog: values of the spec that it sets, and what can be chosen.
 * @typedef {{name: string, label: string, options: (context: Context) => string[][], isMany?: boolean}} Field
 */
/** @typedef {{x: number, y: number, width: number, height: number}} Place */
/**
 * What is drawn: the text at a point, what a drag from one point to another changes in the spec, and
 * what a double click does.
 * @typedef {{textAt: (x: number, y: number) => [string, string][] | null,
 *   dragged?: (from: {x: number, y: number}, to: {x: number, y: number}) => Record<string, any> | null,
 *   reset?: Record<string, any>}} Drawn
 */
/**
 * @typedef {object} Kind
 * @property {string} title
 * @property {Field[]} fields
 * @property {(spec: Spec) => string} name
 * @property {(spec: Spec, context: Context) => Record<string, any> | null} body what is requested; null as long as that is unknown
 * @property {(surface: Surface, width: number, height: number, found: Found, spec: Spec, context: Context) => Drawn} paint
 * @property {(found: Found, spec: Spec, context: Context) => any[][]} table what is saved as CSV
 * @property {(found: Found, spec: Spec, context: Context) => string} note what else there is to know
 * @property {(found: Found | null, spec: Spec, context: Context, change: (values: Record<string, any>) => void) => HTMLElement[]} [controls]
 * @property {(found: Found, spec: Spec, context: Context) => (run: string) => boolean} [picks] which runs are drawn in all charts, if the spec has `brushes`
 */

/** @type {Record<string, Kind>} */
export const KINDS = { scatter, histogram, bars, parallel, heatmap };
