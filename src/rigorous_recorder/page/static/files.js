// Files that the browser saves.

import { element } from "./dom.js";

/** Text that a spreadsheet would run as a formula; plain numbers it does not. */
const FORMULA = /^(?![-+]?\.?\d[\d.eE+-]*$)[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/;
/** What names of files can't have on some system, and what turns their direction. */
const UNSAFE = /[\u0000-\u001f\u007f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const MOST_IN_NAME = 80;

/** @param {Blob} content @param {string} name @param {string} suffix */
export function save(content, name, suffix) {
  const file = Array.from(name.replace(UNSAFE, "_")).slice(0, MOST_IN_NAME).join("");
  const link = element("a", { href: URL.createObjectURL(content), download: `${file}.${suffix}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A table as CSV; text that begins as a formula gets a ' in front. @param {any[][]} rows @param {string} name */
export function saveCsv(rows, name) {
  const quoted = (/** @type {any} */ value) => `"${String(value ?? "").replace(FORMULA, "'$&").replaceAll('"', '""')}"`;
  const lines = rows.map((row) => Array.from(row, (value) => (typeof value === "number" ? number(value) : quoted(value))).join(","));
  save(new Blob([[...lines, ""].join("\n")], { type: "text/csv" }), name, "csv");
}

/** A number as in the CSV of queries. @param {number} value */
function number(value) {
  return Math.abs(value) === Infinity ? (value > 0 ? "inf" : "-inf") : String(value);
}
