// What can be chosen for a chart.

/** @typedef {import("./kinds.js").Field} Field */

/** @param {string[]} keys */
const plain = (keys) => keys.map((key) => [key, key]);

/** A key with numbers. @param {string} name @param {string} label @returns {Field} */
export const number = (name, label) => ({ name, label, options: ({ keys }) => plain([...new Set([...keys.metrics, ...keys.x])]) });

/** A key of any kind. @param {string} name @param {string} label @returns {Field} */
export const attribute = (name, label) => ({ name, label, options: ({ keys }) => plain(keys.columns) });

/** @returns {Field} */
export const linesBy = () => ({ name: "by", label: "Color by", options: ({ keys }) => [["", "run"], ...plain(keys.columns)] });

/** @param {string} name @param {string} label @returns {Field} */
export const yes = (name, label) => ({ name, label, options: () => [["", "linear"], ["1", "logarithmic"]] });

/** @returns {Field} */
export const band = () => ({
  name: "band", label: "Band", options: () => [["std", "std"], ["sem", "sem"], ["minmax", "min-max"], ["quantile", "quartiles"], ["none", "none"]],
});

/** The keys that separate lines, of a spec. @param {import("./kinds.js").Spec} spec @returns {string[]} */
export const separatedBy = (spec) => (spec.by ? [spec.by] : []);
