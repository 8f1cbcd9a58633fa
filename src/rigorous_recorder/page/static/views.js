// Named views: addresses that are saved in a collection, where the page can edit.

import { json } from "./api.js";
import { ask } from "./ask.js";
import { element } from "./dom.js";
import { state, unknown } from "./state.js";

/** @typedef {{collection: string, name: string, address: string}} View */

export class Views {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    /** @type {View[]} */
    this.views = [];
    this.token = "";
    this.text = "";
  }

  /** @param {HTMLElement} place */
  show(place) {
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) => element("button", { hidden: true, title, onclick }, text);
    this.pick = element("select", { "aria-label": "Views", onchange: () => this.open() });
    this.save = button("Save view", "Save this view in the collection, or replace it", () => this.saveIt());
    this.name = button("Rename view", "Rename the view that was opened", () => this.rename());
    this.remove = button("Delete view", "Delete the view that was opened", () => this.delete());
    this.note = element("span", { className: "error", role: "status" });
    place.append(this.pick, this.save, this.name, this.remove, this.note);
    this.load();
    addEventListener("hashchange", () => setTimeout(() => this.report(this.text)));
  }

  async load() {
    try {
      const found = await json("api/views");
      this.views = found.views;
      this.token = found.edit_token ?? "";
      this.report((found.invalid ?? []).join("\n"));
    } catch (error) {
      this.report(/** @type {Error} */ (error).message);
    }
    const many = new Set(this.views.map((each) => each.collection)).size > 1;
    const options = this.views.map((each, at) => element("option", { value: String(at) }, many ? `${each.collection}: ${each.name}` : each.name));
    this.pick.replaceChildren(element("option", { value: "" }, "Views"), ...options);
    this.pick.hidden = !this.views.length;
    this.save.hidden = !this.token;
    this.remove.hidden = this.name.hidden = true;
  }

  /** Show the chosen view. */
  open() {
    const view = this.views[Number(this.pick.value)];
    this.remove.hidden = this.name.hidden = !this.token || this.pick.value === "";
    if (this.pick.value !== "" && view) location.hash = view.address;
  }

  async saveIt() {
    const opened = this.views[Number(this.pick.value || NaN)];
    const name = (await ask("The name of this view", opened?.name ?? ""))?.trim();
    if (!name) return;
    const { collections } = this.runs;
    const collection = collections.includes(state.collection) ? state.collection : collections[0];
    const replaces = this.views.some((each) => each.name === name && each.collection === collection);
    if (replaces && (await ask(`Replace the view ${name}?`)) === null) return;
    await this.change("api/views/save", { collection, name, view: location.hash.slice(1), replaces });
  }

  async rename() {
    const view = this.views[Number(this.pick.value)], to = view && (await ask("The new name of this view", view.name))?.trim();
    if (to && to !== view.name) await this.change("api/views/rename", { ...view, new: to });
  }

  async delete() {
    const view = this.views[Number(this.pick.value)];
    if (view && (await ask(`Delete the view ${view.name}?`)) !== null) await this.change("api/views/delete", view);
  }

  /** @param {string} path @param {any} body */
  async change(path, body) {
    try {
      await this.load(); // a server that came back has another token
      await json(path, body, undefined, { "x-rigorous-edit": this.token });
      await this.load();
    } catch (error) {
      this.report(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} text */
  report(text) {
    this.text = text;
    const names = unknown.map((each) => JSON.stringify(each)).join(", ");
    this.note.textContent = [text, names && `The address has parts that mean nothing: ${names}.`].filter(Boolean).join("\n");
  }
}
