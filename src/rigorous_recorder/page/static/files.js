// Files that the browser saves.

import { element } from "./dom.js";

/** @param {Blob} content @param {string} name */
export function save(content, name) {
  const link = element("a", { href: URL.createObjectURL(content), download: name.replaceAll("/", "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A table as CSV. @param {any[][]} rows @param {string} name */
export function saveCsv(rows, name) {
  const quoted = (/** @type {any} */ value) => (typeof value === "number" ? String(value) : `"${String(value ?? "").replaceAll('"', '""')}"`);
  const lines = rows.map((row) => Array.from(row, quoted).join(","));
  save(new Blob([[...lines, ""].join("\n")], { type: "text/csv" }), `${name}.csv`);
}
