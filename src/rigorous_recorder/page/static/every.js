// All runs with their attributes, for charts that draw these; requested once such a chart is there.

import { json } from "./api.js";

/** @typedef {{key: string, collection: string, number: number, error_number: number, status: string,
 *   start: number, duration: number | null, attributes: Record<string, any>}} Run */

export class Every {
  /** @param {() => void} onLoad */
  constructor(onLoad) {
    this.onLoad = onLoad;
    /** @type {Run[]} */
    this.runs = [];
    this.isNeeded = false;
  }

  /** The runs, or none as long as they are not there. */
  need() {
    if (!this.isNeeded) {
      this.isNeeded = true;
      this.load();
    }
    return this.runs;
  }

  /** Request them again, if anybody needs them. */
  async load() {
    if (!this.isNeeded) return;
    const found = await json("api/runs").catch(() => null); // the banner has the reason
    if (!found) return;
    this.runs = found.runs;
    this.onLoad();
  }
}

/** @param {Run} run @param {string} key */
export function valueOf(run, key) {
  if (Object.hasOwn(run.attributes, key)) return run.attributes[key];
  return key === "duration" ? run.duration ?? (run.status === "running" ? Date.now() / 1000 - run.start : null) : null;
}
