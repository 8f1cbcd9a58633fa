// Bars: a mean over runs for each value of an attribute, with a band.

import { attribute, band, number } from "./choices.js";
import { counted, shown } from "./dom.js";
import { frame, inside, line } from "./frame.js";

/** @type {import("./kinds.js").Kind} */
export const bars = {
  title: "Bars by attribute",
  fields: [
    number("y", "Values of"), attribute("by", "A bar for each"),
    { name: "statistic", label: "Of a run", options: () => [["last", "last"], ["mean", "mean"], ["min", "lowest"], ["max", "highest"]] },
    band(),
  ],
  name: (spec) => `${spec.y} by ${spec.by}`,
  body: (spec) => ({ y: spec.y, by: [spec.by], statistic: spec.statistic ?? "last", band: spec.band ?? "std" }),

  paint(surface, width, height, found, spec, context) {
    const { mean, low, high } = found.arrays, { bars: entries } = found.header;
    const finite = [0, ...mean, ...low, ...high].filter(Number.isFinite);
    const [least, most] = [Math.min(...finite), Math.max(...finite)], room = 0.06 * (most - least || 1);
    const names = entries.map((/** @type {any} */ each) => each.label || "no value");
    const x = { ends: [-0.6, Math.max(0.6, names.length - 0.4)], names, label: spec.by };
    const y = { ends: [least < 0 ? least - room : 0, most > 0 ? most + room : 0.0001], label: `${spec.y}: ${spec.statistic ?? "last"} of a run, mean over runs` };
    const { box, px, py } = frame(surface, width, height, x, y, context.colors);
    const half = 0.38 * (px(1) - px(0));
    inside(surface, box, () => entries.forEach((/** @type {any} */ _, /** @type {number} */ at) => {
      if (Number.isFinite(mean[at])) bar(surface, px(at), half, py, [mean[at], low[at], high[at]], context);
      else cross(surface, px(at), py(0), context);
    }));
    return {
      textAt(left) {
        const at = names.findIndex((/** @type {string} */ _, /** @type {number} */ each) => Math.abs(px(each) - left) <= half);
        if (at < 0) return null;
        return [[names[at], ""], ["mean", shown(mean[at])], ["band", `${shown(low[at])} to ${shown(high[at])}`], ["runs", String(entries[at].runs)],
          .../** @type {[string, string][]} */ (entries[at].odd ? [["NaN or infinite", String(entries[at].odd)]] : [])];
      },
    };
  },

  table: ({ header, arrays }, spec) => [[spec.by, "mean", "low", "high", "runs", "odd"], ...header.bars.map((/** @type {any} */ each, /** @type {number} */ at) =>
    [each.label, arrays.mean[at], arrays.low[at], arrays.high[at], each.runs, each.odd])],

  note({ header }) {
    const odd = header.bars.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.odd, 0);
    return [odd ? `${counted(odd, "run with NaN or infinity is", "runs with NaN or infinity are")} in no mean` : "", header.cut ? `${counted(header.cut, "more bar is", "more bars are")} not drawn` : ""].filter(Boolean).join("; ");
  },
};

/**
 * @param {import("./svg.js").Surface} surface
 * @param {number} x
 * @param {number} half
 * @param {(value: number) => number} py
 * @param {number[]} values
 * @param {import("./kinds.js").Context} context
 */
function bar(surface, x, half, py, [mean, low, high], { colors }) {
  surface.fillStyle = colors.accent;
  surface.globalAlpha = 0.55;
  surface.fillRect(x - half, py(0), 2 * half, py(mean) - py(0));
  surface.globalAlpha = 1;
  if (low === high) return;
  surface.strokeStyle = colors.text;
  surface.lineWidth = 1.3;
  line(surface, x, py(low), x, py(high));
  for (const end of [low, high]) line(surface, x - Math.min(6, half), py(end), x + Math.min(6, half), py(end));
}

/** All runs are NaN or infinite. @param {import("./svg.js").Surface} surface @param {number} x @param {number} y @param {import("./kinds.js").Context} context */
function cross(surface, x, y, { colors }) {
  surface.strokeStyle = colors.text;
  surface.lineWidth = 1.5;
  line(surface, x - 5, y - 12, x + 5, y - 2);
  line(surface, x - 5, y - 2, x + 5, y - 12);
}
