// Values: short in the cell of a table, whole in a pane. Images and sound come from the server, by
// their first bytes; everything else is text.

import { element } from "./dom.js";
import { mediaAddress } from "./inside.js";
import { change, onChange, state } from "./state.js";
import { cell } from "./table.js";

/** @typedef {{media?: string, bytes: number, id?: string | null, head?: string}} Bytes */
/** @typedef {{kind: string, text: string, is_cut: boolean} & Partial<Bytes>} Whole */

/** Longer values are opened by the keyboard, too. */
const LONG = 14;

/**
 * The cell of a value; a double click, or Enter, opens it.
 * @param {any} value
 * @param {() => void} open
 * @param {string} [column] the title of its column
 */
export function valueCell(value, open, column = "") {
  const isBytes = value !== null && typeof value === "object";
  const made = isBytes ? bytesCell(value) : cell(value);
  if (column) made.classList.add(...wideAs(column));
  const room = made.classList.contains("wide") ? 20 : LONG;
  if (typeof value === "number" && made.textContent.length > room) made.textContent = String(Number(value.toPrecision(10)));
  made.addEventListener("dblclick", open);
  if (isBytes || (typeof value === "string" && value.length > LONG)) {
    made.tabIndex = 0;
    made.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && open());
  }
  return made;
}

/** The classes of cells below a title. @param {string} title */
export function wideAs(title) {
  return title.length > LONG ? ["wide"] : [];
}

/** @param {Bytes} value */
function bytesCell(value) {
  const text = value.media ? `${value.media}, ${size(value.bytes)}` : `${size(value.bytes)}: ${value.head}`;
  const made = cell(value.media ? "" : text);
  made.title = text;
  if (!value.media) return made;
  if (value.id && value.media.startsWith("image/")) made.append(element("img", { src: mediaAddress(value.id), alt: text, loading: "lazy" }));
  else made.append(`${value.media.startsWith("audio/") ? "♪ " : ""}${text}`);
  return made;
}

/** @param {number} bytes */
function size(bytes) {
  if (bytes < 1e3) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The pane in which a value is read. */
export class Pane {
  /**
   * @param {string} tab the one it is of: the address has what is read there
   * @param {(place: any[]) => Promise<Whole>} read the value at a place, of which the last part is its title
   */
  constructor(tab, read) {
    this.tab = tab;
    this.read = read;
    this.title = element("h2", { dir: "auto" });
    this.note = element("span", { className: "note" });
    this.media = element("div", { className: "media" });
    this.text = element("pre", { dir: "auto", tabIndex: 0 });
    const copy = element("button", { type: "button", onclick: () => this.copy() }, "Copy");
    const bar = element("form", { method: "dialog", className: "bar" }, this.note, copy, element("button", {}, "Close"));
    this.place = element("dialog", { className: "pane" }, this.title, bar, this.media, this.text);
    this.place.addEventListener("close", () => {
      this.media.replaceChildren(); // a sound ends
      change({ pane: "" });
    });
    onChange((changed) => changed.has("pane") && this.restore());
  }

  /** @param {...any} place */
  show(...place) {
    change({ pane: JSON.stringify([this.tab, ...place]) });
  }

  /** Open what the address has, or close it. */
  restore() {
    const [tab, ...place] = placeIn(state.pane), isHere = tab === this.tab && state.tab === tab;
    if (!isHere && this.place.open) this.place.close();
    if (isHere && (!this.place.open || this.shown !== state.pane)) this.open(String(place.at(-1)), () => this.read(place));
  }

  /** @param {string} name @param {() => Promise<Whole>} read */
  async open(name, read) {
    this.shown = state.pane;
    const turn = this.turn = {};
    this.title.textContent = name;
    this.note.textContent = "reading…";
    this.text.textContent = "";
    this.media.replaceChildren();
    if (!this.place.open) this.place.showModal();
    try {
      const value = await read();
      if (this.turn === turn) this.fill(value);
    } catch (error) {
      if (this.turn === turn) this.note.textContent = /** @type {Error} */ (error).message;
    }
  }

  /** Copy the text, or select it where the browser does not let a page copy. */
  copy() {
    const copied = navigator.clipboard?.writeText(this.text.textContent ?? "") ?? Promise.reject(new Error("no clipboard"));
    copied.then(() => { this.note.textContent = "copied"; }, () => getSelection()?.selectAllChildren(this.text));
  }

  /** @param {Whole} value */
  fill(value) {
    this.note.textContent = value.is_cut ? `${value.kind}, only its beginning` : value.kind;
    this.text.textContent = value.text;
    if (!value.media) return;
    this.note.textContent = `${value.media}, ${size(value.bytes ?? 0)}`;
    this.text.textContent = "";
    const source = value.id ? mediaAddress(value.id) : "";
    if (!source) this.note.textContent += ": too large to be shown";
    else if (value.media.startsWith("image/")) this.media.append(element("img", { src: source, alt: value.media }));
    else this.media.append(element("audio", { src: source, controls: true }));
  }
}

/** @param {string} text of the address @returns {any[]} */
function placeIn(text) {
  try {
    const found = JSON.parse(text || "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}
