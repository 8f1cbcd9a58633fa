// The adapter of the chart library: uPlot has the axes, the cursor and the zoom; lines, bands and
// marks are drawn here, each with x of its own.

import { element, shown } from "./dom.js";

/** @typedef {import("./api.js").Line} Line */
/** @typedef {{logX: boolean, logY: boolean, clip: boolean, low: number | null, high: number | null,
 *   color: (line: Line) => string, isShown: (line: Line) => boolean, name: (line: Line) => string}} Look */

const MOST_IN_TOOLTIP = 8;

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
    this.tooltip = element("div", { className: "tooltip", hidden: true });
  }

  /** @param {Line[]} lines @param {Look} look */
  draw(lines, look) {
    this.lines = lines.filter(look.isShown);
    this.look = look;
    [this.xEnds, this.yEnds] = this.ends();
    const data = [this.xEnds, this.yEnds];
    const made = `${look.logX} ${look.logY} ${getComputedStyle(document.body).color}`;
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
    this.uplot?.destroy();
    this.uplot = null;
  }

  size() {
    return { width: Math.max(80, this.place.clientWidth), height: Math.max(80, this.place.clientHeight) };
  }

  options() {
    const style = getComputedStyle(document.documentElement);
    const probe = getComputedStyle(document.body);
    const edge = getComputedStyle(this.place.closest(".card") ?? document.body).borderTopColor;
    const axis = { stroke: probe.color, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge, width: 1 }, font: `11px ${style.fontFamily}` };
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
        { ...axis, size: 26, values: (/** @type {any} */ _, /** @type {any[]} */ at) => at.map(label) },
        { ...axis, size: 58, values: (/** @type {any} */ _, /** @type {any[]} */ at) => at.map(label) },
      ],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: { key: "charts", setSeries: false },
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
    const { ctx, bbox } = this.uplot;
    const look = /** @type {Look} */ (this.look);
    const px = position(this.xEnds, look.logX, bbox.left, bbox.width);
    const py = position([this.yEnds[1], this.yEnds[0]], look.logY, bbox.top, bbox.height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineJoin = "round";
    const ratio = devicePixelRatio || 1;
    for (const line of this.lines) {
      ctx.strokeStyle = ctx.fillStyle = look.color(line);
      if (line.low && line.high) band(ctx, line, px, py);
      const isPale = line.smooth !== null;
      curve(ctx, line.x, line.y, px, py, ratio * (isPale ? 1 : 1.5), isPale ? 0.25 : 1);
      if (line.smooth) curve(ctx, line.x, line.smooth, px, py, ratio * 1.8, 1);
      marks(ctx, line, px, bbox, ratio);
    }
    ctx.restore();
  }

  /** Show the values near the cursor. @param {any} plot */
  point(plot) {
    const { left, top } = plot.cursor;
    const isHere = left >= 0 && this.place.matches(":hover");
    this.tooltip.hidden = !isHere;
    if (!isHere) return;
    const x = plot.posToVal(left, "x"), look = /** @type {Look} */ (this.look);
    const found = this.lines.flatMap((line) => {
      const at = nearest(line.x, x), y = (line.smooth ?? line.y)[at];
      return at < 0 ? [] : [{ line, x: line.x[at], y, far: Math.abs(plot.valToPos(y, "y") - top) }];
    });
    found.sort((one, other) => one.far - other.far);
    const near = found.slice(0, MOST_IN_TOOLTIP);
    this.tooltip.replaceChildren(
      element("div", { className: "note" }, near.length ? `x = ${shown(near[0].x)}` : ""),
      ...near.map((each) => element("div", {}, swatch(look.color(each.line)),
        element("span", {}, look.name(each.line)), element("b", {}, shown(each.y)))),
    );
    const isRight = left > plot.over.clientWidth / 2;
    const at = plot.over.getBoundingClientRect(), card = this.place.closest(".card")?.getBoundingClientRect() ?? at;
    this.tooltip.style.left = isRight ? "" : `${at.left - card.left + left + 12}px`;
    this.tooltip.style.right = isRight ? `${card.right - at.left - left + 12}px` : "";
    this.tooltip.style.top = `${at.top - card.top + 4}px`;
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

/** @param {string} color */
export function swatch(color) {
  const made = element("span", { className: "swatch" });
  made.style.background = color;
  return made;
}

/** @param {number | null} value */
function label(value) {
  return value === null || value === undefined ? "" : shown(Number(value.toPrecision(12)));
}

class Range {
  /** @param {boolean} isLog */
  constructor(isLog) {
    this.isLog = isLog;
    this.low = Infinity;
    this.high = -Infinity;
  }

  /** @param {number} value */
  add(value) {
    if (this.isLog && !(value > 0)) return;
    if (value < this.low) this.low = value;
    if (value > this.high) this.high = value;
  }

  /** @param {Float64Array} values */
  addAll(values) {
    if (this.isLog) values.forEach((value) => this.add(value));
    else if (values.length) [values[0], values[values.length - 1]].forEach((value) => this.add(value));
  }

  /** Leave out the lowest and highest twentieth, where they are far away. @param {number[]} sample */
  clip(sample) {
    sample.sort((one, other) => one - other);
    const low = sample[Math.floor(0.05 * sample.length)], high = sample[Math.floor(0.95 * sample.length)];
    const room = high - low || Math.abs(high) || 1;
    if (!this.isLog) this.low = Math.max(this.low, low - room);
    this.high = Math.min(this.high, high + room);
  }

  /** @param {number} room as a part of the range @returns {[number, number]} */
  ends(room) {
    if (this.low > this.high) return this.isLog ? [1, 10] : [0, 1];
    if (this.isLog) {
      const grow = this.low === this.high ? 2 : (this.high / this.low) ** room;
      return [this.low / grow, this.high * grow];
    }
    const more = this.low === this.high ? Math.abs(this.low) * 0.1 || 0.5 : room * (this.high - this.low);
    return [this.low - more, this.high + more];
  }
}

/**
 * The place of a value on the canvas.
 * @param {number[]} ends
 * @param {boolean} isLog
 * @param {number} start
 * @param {number} size
 * @returns {(value: number) => number}
 */
function position([low, high], isLog, start, size) {
  if (!isLog) return (value) => start + (size * (value - low)) / (high - low);
  const [a, b] = [Math.log10(low), Math.log10(high)];
  return (value) => (value > 0 ? start + (size * (Math.log10(value) - a)) / (b - a) : NaN);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 * @param {number} width
 * @param {number} opacity
 */
function curve(ctx, x, y, px, py, width, opacity) {
  const path = new Path2D();
  let isDown = false;
  for (let at = 0; at < x.length; at++) {
    const a = px(x[at]), b = py(y[at]);
    if (Number.isNaN(a) || Number.isNaN(b)) isDown = false;
    else if (isDown) path.lineTo(a, b);
    else {
      path.moveTo(a, b);
      isDown = true;
    }
  }
  ctx.lineWidth = width;
  ctx.globalAlpha = opacity;
  if (x.length === 1) ctx.fillRect(px(x[0]) - 2 * width, py(y[0]) - 2 * width, 4 * width, 4 * width);
  ctx.stroke(path);
  ctx.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Line} line
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 */
function band(ctx, line, px, py) {
  const [low, high] = [/** @type {Float64Array} */ (line.low), /** @type {Float64Array} */ (line.high)];
  const path = new Path2D(), bottom = ctx.canvas.height;
  for (let at = 0; at < line.x.length; at++) path.lineTo(px(line.x[at]), py(high[at]));
  for (let at = line.x.length - 1; at >= 0; at--) {
    const y = py(low[at]);
    path.lineTo(px(line.x[at]), Number.isNaN(y) ? bottom : y); // below all of a logarithmic axis
  }
  ctx.globalAlpha = 0.18;
  ctx.fill(path);
  ctx.globalAlpha = 1;
}

/**
 * NaN is a cross at the bottom, infinities are triangles at the top and bottom.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Line} line
 * @param {(value: number) => number} px
 * @param {any} box
 * @param {number} ratio
 */
function marks(ctx, line, px, box, ratio) {
  const size = 4 * ratio, bottom = box.top + box.height - size - 1;
  ctx.lineWidth = 1.5 * ratio;
  ctx.beginPath();
  line.markX.forEach((x, at) => {
    const a = px(x), kind = line.markKind[at], y = kind === 1 ? box.top + size + 1 : bottom;
    if (kind === 0) {
      ctx.moveTo(a - size, y - size);
      ctx.lineTo(a + size, y + size);
      ctx.moveTo(a - size, y + size);
      ctx.lineTo(a + size, y - size);
    } else {
      const tip = kind === 1 ? -size : size;
      ctx.moveTo(a - size, y - tip);
      ctx.lineTo(a + size, y - tip);
      ctx.lineTo(a, y + tip);
      ctx.lineTo(a - size, y - tip);
    }
  });
  ctx.stroke();
}

/** The position of the nearest value in a sorted array; -1 if it is empty. @param {Float64Array} values @param {number} value */
function nearest(values, value) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - values[low - 1] < values[low] - value ? low - 1 : high < 0 ? -1 : low;
}
