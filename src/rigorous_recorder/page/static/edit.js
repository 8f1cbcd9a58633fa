// The dialog that changes runs; only in pages that were started with --edit.

import { json } from "./api.js";
import { element } from "./dom.js";

/** @typedef {{name: string, note: any, tags: any, archived: boolean}} Labels */

export class Edit {
  /** @param {(deleted: string[]) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {string | null} */
    this.token = null;
    /** @type {string[]} */
    this.runs = [];
    this.title = element("strong");
    this.name = element("input", { "aria-label": "Name", placeholder: "Name" });
    this.note = element("textarea", { "aria-label": "Note", placeholder: "Note", rows: 3 });
    this.add = element("input", { "aria-label": "Tags to add", placeholder: "Tags to add, with commas" });
    this.remove = element("input", { "aria-label": "Tags to remove", placeholder: "Tags to remove, with commas" });
    this.error = element("p", { className: "error", role: "alert" });
    this.sure = element("div", { className: "bar", hidden: true });
    const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) => element("button", { type: "button", onclick }, text);
    this.place = element("dialog", { "aria-label": "Edit runs", className: "edit" },
      element("form", { method: "dialog", className: "bar" }, this.title, element("button", {}, "Close")),
      this.name, this.note, this.add, this.remove,
      element("div", { className: "bar" }, button("Save", () => this.save()), button("Archive", () => this.send("api/update", { archived: true })),
        button("List again", () => this.send("api/update", { archived: false })), button("Delete…", () => this.ask())),
      this.sure, this.error);
  }

  /** @param {string | null} token */
  allow(token) {
    this.token = token;
  }

  /** @param {string[]} runs @param {Labels | null} labels those of a single run */
  open(runs, labels) {
    this.runs = runs;
    this.before = { name: labels?.name ?? "", note: String(labels?.note ?? "") };
    this.title.textContent = runs.length === 1 ? runs[0].replace(/@[^@]*$/, "") : `${runs.length.toLocaleString("en")} runs`;
    this.name.value = this.before.name;
    this.note.value = this.before.note;
    this.name.hidden = runs.length > 1;
    this.add.value = this.remove.value = this.error.textContent = "";
    this.sure.hidden = true;
    this.place.showModal();
  }

  save() {
    const tags = (/** @type {string} */ text) => text.split(",").map((each) => each.trim()).filter((each) => each);
    const isNew = (/** @type {"name" | "note"} */ key) => this[key].value !== this.before?.[key];
    this.send("api/update", {
      name: isNew("name") ? this.name.value : null, note: isNew("note") ? this.note.value : null,
      add_tags: tags(this.add.value), remove_tags: tags(this.remove.value),
    });
  }

  ask() {
    const text = `Delete ${this.title.textContent} with all records, for good?`;
    const cancel = element("button", { type: "button", onclick: () => { this.sure.hidden = true; } }, "Keep");
    const go = element("button", { type: "button", className: "alarm", onclick: () => this.send("api/delete", {}) }, "Delete for good");
    this.sure.replaceChildren(element("span", {}, text), cancel, go);
    this.sure.hidden = false;
    cancel.focus();
  }

  /** @param {string} path @param {any} body */
  async send(path, body) {
    try {
      await json(path, { runs: this.runs, ...body }, undefined, { "x-rigorous-edit": this.token ?? "" });
      this.place.close();
      this.onChange(path === "api/delete" ? this.runs : []);
    } catch (error) {
      this.error.textContent = /** @type {Error} */ (error).message;
    }
  }
}
