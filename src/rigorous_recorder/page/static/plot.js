// The adapter of the chart library: uPlot has the axes, the cursor and the zoom; lines, bands and
// marks are drawn here, each with x of its own.

import { counted, element, shown, swatch } from "./dom.js";
import { colorsOf, frame, inside, legend, legendHeight } from "./frame.js";
import { band, curve, marks, shapes } from "./marks.js";
import { colorAt, isDark, shapeAt } from "./palette.js";
import { Range, nearest, position, written } from "./scale.js";
import { Svg } from "./svg.js";

/** @typedef {import("./api.js").Line} Line */
/** @typedef {{logX: boolean, logY: boolean, clip: boolean, low: number | null, high: number | null, x: string, xLabel: string,
 *   place: (line: Line) => number, isShown: (line: Line) => boolean, name: (line: Line) => string}} Look */

const MOST_IN_TOOLTIP = 8;
/** A line has no value at a cursor that is farther beyond its ends, in pixels. */
const NEAR = 40;

export class Plot {
  /**
   * @param {HTMLElement} place
   * @param {(low: number | null, high: number | null) => void} onZoom
   */
  constructor(place, onZoom) {
    this.place = place;
    this.onZoom = onZoom;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {any} */
    this.uplot = null;
    this.made = "";
    /** @type {number[]} */
    this.xEnds = [0, 1];
    /** @type {number[]} */
    this.yEnds = [0, 1];
    /** The ends of x of all points. @type {number[]} */
    this.whole = [0, 1];
    this.tooltip = element("div", { className: "tooltip", role: "status", hidden: true });
    this.control = new AbortController();
    const { signal } = this.control;
    Object.assign(place, { tabIndex: 0, role: "application", ariaRoleDescription: "chart" });
    place.addEventListener("keydown", (event) => this.press(event), { signal });
    place.addEventListener("blur", () => { this.tooltip.hidden = true; }, { signal });
  }

  /** @param {Line[]} lines @param {Look} look */
  draw(lines, look) {
    this.lines = lines.filter(look.isShown);
    this.look = look;
    [this.xEnds, this.yEnds] = this.ends();
    if (look.low === null) this.whole = this.xEnds;
    const [[x0, x1], [y0, y1]] = [this.xEnds, this.yEnds].map((ends) => ends.map((end) => shown(Number(end.toPrecision(4)))));
    const count = counted(this.lines.length, "line");
    this.place.ariaLabel = `${count}, x from ${x0} to ${x1}, y from ${y0} to ${y1}. Arrows move the cursor, with Shift they pan; plus and minus zoom, 0 shows all.`;
    const data = [this.xEnds, this.yEnds];
    const made = `${look.logX} ${look.logY} ${isDark()} ${look.x} ${look.xLabel}`;
    if (this.uplot && this.made === made) {
      this.uplot.setData(data);
      return;
    }
    this.uplot?.destroy();
    this.made = made;
    this.uplot = new /** @type {any} */ (globalThis).uPlot(this.options(), data, this.place);
    this.place.append(this.tooltip);
  }

  resize() {
    this.uplot?.setSize(this.size());
  }

  destroy() {
    this.control.abort();
    this.uplot?.destroy();
    this.uplot = null;
  }

  // --- keys ----------------------------------------------------------------------------------------

  /** Move the cursor, zoom and pan by keys. @param {KeyboardEvent} event */
  press(event) {
    const { key, shiftKey } = event, side = key === "ArrowLeft" ? -1 : 1;
    if (!this.uplot || event.ctrlKey || event.metaKey || event.altKey) return;
    if (key.startsWith("Arrow") && (key.endsWith("Left") || key.endsWith("Right"))) {
      if (shiftKey) this.move(side / 4, side / 4);
      else this.step(side);
    } else if (key === "+" || key === "=") this.move(0.25, -0.25);
    else if (key === "-") this.move(-0.5, 0.5);
    else if (key === "0" || key === "Escape") this.onZoom(null, null);
    else return;
    event.preventDefault();
  }

  /** Move the cursor by a fortieth of the width. @param {number} side */
  step(side) {
    const { cursor, over } = this.uplot, { clientWidth: width, clientHeight: height } = over;
    const from = cursor.left >= 0 ? cursor.left : width / 2;
    this.uplot.setCursor({ left: Math.min(width - 1, Math.max(0, from + (side * width) / 40)), top: height / 2 });
  }

  /** Move the ends of x, by parts of what is shown. @param {number} first @param {number} last */
  move(first, last) {
    const { logX } = /** @type {Look} */ (this.look);
    const [from, to] = logX ? [Math.log, Math.exp] : [Number, Number];
    const [low, high] = this.xEnds.map(from), wide = high - low;
    const ends = [to(low + first * wide), to(high + last * wide)];
    const isAll = ends[0] <= this.whole[0] && ends[1] >= this.whole[1];
    if (isAll) this.onZoom(null, null);
    else if (ends.every(Number.isFinite) && ends[0] < ends[1]) this.onZoom(ends[0], ends[1]);
  }

  size() {
    return { width: Math.max(80, this.place.clientWidth), height: Math.max(80, this.place.clientHeight) };
  }

  options() {
    const { text, edge, family } = styleOf(this.place), { x = "", xLabel = "" } = this.look ?? {};
    const axis = { stroke: text, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge, width: 1 }, font: `11px ${family}` };
    const scale = (/** @type {boolean} */ isLog, /** @type {() => number[]} */ ends) => ({
      time: false, distr: isLog ? 3 : 1, range: ends,
    });
    return {
      ...this.size(),
      legend: { show: false },
      scales: {
        x: scale(this.look?.logX ?? false, () => this.xEnds),
        y: scale(this.look?.logY ?? false, () => this.yEnds),
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        { ...axis, size: 26, ...(xLabel ? { label: xLabel, labelSize: 18, labelGap: 2, labelFont: axis.font } : {}), values: (/** @type {any} */ _, /** @type {any[]} */ at) => written(at) },
        { ...axis, size: wide, values: (/** @type {any} */ _, /** @type {any[]} */ at) => written(at) },
      ],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: { key: `charts ${x}`, setSeries: false },
        points: { show: false },
        bind: { dblclick: () => () => this.onZoom(null, null) },
      },
      hooks: {
        draw: [() => this.paint()],
        setSelect: [(/** @type {any} */ plot) => this.zoom(plot)],
        setCursor: [(/** @type {any} */ plot) => this.point(plot)],
      },
    };
  }

  /** @param {any} plot */
  zoom(plot) {
    const { left, width } = plot.select;
    if (width > 2) this.onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  /** The ends of both axes. */
  ends() {
    const { logX, logY, clip, low, high } = /** @type {Look} */ (this.look);
    const xs = new Range(logX), ys = new Range(logY);
    /** @type {number[]} */
    const sample = [];
    for (const line of this.lines) {
      xs.addAll(line.x);
      if (!line.x.length) xs.addAll(line.markX);
      const [a, b] = [low ?? -Infinity, high ?? Infinity];
      const add = (/** @type {Float64Array | null} */ values) => {
        if (!values) return;
        const every = Math.max(1, Math.floor(values.length / 500));
        for (let at = 0; at < values.length; at++) {
          if (line.x[at] < a || line.x[at] > b) continue;
          ys.add(values[at]);
          if (clip && at % every === 0) sample.push(values[at]);
        }
      };
      [line.y, line.low, line.high, line.smooth].forEach(add);
    }
    if (clip && sample.length > 20) ys.clip(sample);
    const [x0, x1] = xs.ends(0);
    return [[low ?? x0, high ?? x1], ys.ends(0.05)];
  }

  paint() {
    const { ctx, bbox } = this.uplot, look = /** @type {Look} */ (this.look);
    const px = position(this.xEnds, look.logX, bbox.left, bbox.width);
    const py = position([this.yEnds[1], this.yEnds[0]], look.logY, bbox.top, bbox.height);
    this.paintLines(ctx, { box: bbox, px, py }, devicePixelRatio || 1);
  }

  /** @param {import("./svg.js").Surface} ctx @param {import("./frame.js").Framed} framed @param {number} ratio */
  paintLines(ctx, { box, px, py }, ratio) {
    const look = /** @type {Look} */ (this.look);
    inside(ctx, box, () => this.lines.forEach((line) => {
      ctx.lineJoin = "round";
      const place = look.place(line);
      ctx.strokeStyle = ctx.fillStyle = colorAt(place);
      if (line.low && line.high) band(ctx, line, px, py, box.top + box.height);
      const isPale = line.smooth !== null;
      curve(ctx, line.x, line.y, px, py, ratio * (isPale ? 1 : 1.5), isPale ? 0.25 : 1);
      if (line.smooth) curve(ctx, line.x, line.smooth, px, py, ratio * 1.8, 1);
      shapes(ctx, line.smooth ? { x: line.x, y: line.smooth } : line, { box, px, py }, ratio, place);
      marks(ctx, line, px, box, ratio);
    }));
  }

  /** Show the values near the cursor. @param {any} plot */
  point(plot) {
    const { left, top } = plot.cursor;
    const isHere = left >= 0 && this.place.matches(":hover, :focus");
    this.tooltip.hidden = !isHere;
    if (!isHere) return;
    const x = plot.posToVal(left, "x"), look = /** @type {Look} */ (this.look);
    const found = this.lines.flatMap((line) => {
      const at = nearest(line.x, x), y = (line.smooth ?? line.y)[at];
      const hasEnded = plot.valToPos(line.x[0], "x") > left + NEAR || plot.valToPos(line.x[line.x.length - 1], "x") < left - NEAR;
      return at < 0 || hasEnded ? [] : [{ line, x: line.x[at], y, far: Math.abs(plot.valToPos(y, "y") - top) }];
    });
    found.sort((one, other) => one.far - other.far);
    const near = found.slice(0, MOST_IN_TOOLTIP);
    this.tooltip.hidden = !near.length;
    this.tooltip.replaceChildren(
      element("div", { className: "note" }, near.length ? `x = ${shown(near[0].x)}` : ""),
      ...near.map((each) => element("div", {}, swatch(colorAt(look.place(each.line)), shapeAt(look.place(each.line))),
        element("span", {}, look.name(each.line)), element("b", {}, shown(each.y)))),
    );
    const isRight = left > plot.over.clientWidth / 2;
    const at = plot.over.getBoundingClientRect(), card = this.place.closest(".card")?.getBoundingClientRect() ?? at;
    this.tooltip.style.left = isRight ? "" : `${at.left - card.left + left + 12}px`;
    this.tooltip.style.right = isRight ? `${card.right - at.left - left + 12}px` : "";
    this.tooltip.style.top = `${at.top - card.top + 4}px`;
  }

  /** The chart as an SVG. @param {string} xLabel @param {string} yLabel */
  svg(xLabel, yLabel) {
    const { width, height } = this.size(), colors = colorsOf(this.place), look = /** @type {Look} */ (this.look);
    const entries = this.lines.map((line) => ({ color: colorAt(look.place(line)), shape: shapeAt(look.place(line)), name: look.name(line) }));
    const surface = new Svg(width, height + legendHeight(entries, width), colors.ground);
    legend(surface, entries, height, width, colors);
    const framed = frame(surface, width, height, { ends: this.xEnds, isLog: look.logX, label: xLabel }, { ends: this.yEnds, isLog: look.logY, label: yLabel }, colors);
    this.paintLines(surface, framed, 1);
    return surface.blob(yLabel);
  }

  /** The chart as a picture. @returns {Promise<Blob | null>} */
  picture() {
    const { canvas } = this.uplot.ctx;
    const copy = element("canvas", { width: canvas.width, height: canvas.height });
    const ctx = copy.getContext("2d");
    ctx.fillStyle = getComputedStyle(document.body).backgroundColor;
    ctx.fillRect(0, 0, copy.width, copy.height);
    ctx.drawImage(canvas, 0, 0);
    return new Promise((resolve) => copy.toBlob(resolve));
  }
}

/** The style of axes, which is read once for all charts: each time the page would be laid out before. */
let styled = { isDark: !isDark(), text: "", edge: "", family: "" };

/** @param {HTMLElement} place */
function styleOf(place) {
  if (styled.isDark === isDark()) return styled;
  const { color, fontFamily } = getComputedStyle(document.body);
  const edge = getComputedStyle(place.closest(".card") ?? document.body).borderTopColor;
  styled = { isDark: isDark(), text: color, edge, family: fontFamily };
  return styled;
}

/** How wide an axis is, by its longest label. @param {any} _ @param {string[] | null} labels */
function wide(_, labels) {
  return 20 + 6.5 * Math.max(4, ...(labels ?? []).map((each) => each.length));
}
