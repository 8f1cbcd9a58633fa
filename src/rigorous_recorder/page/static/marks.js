// What a chart is made of, on a canvas or in an SVG: curves, bands, shapes and marks of odd values.

import { shapeAt } from "./palette.js";

/** @typedef {import("./api.js").Line} Line */
/** @typedef {import("./svg.js").Surface} Surface */

/**
 * A line, of which in each column of pixels the first, last, lowest and highest points are drawn.
 * @param {Surface} ctx
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 * @param {number} width
 * @param {number} opacity
 */
export function curve(ctx, x, y, px, py, width, opacity) {
  ctx.beginPath();
  let column = NaN, first = 0, low = 0, high = 0, last = 0;
  const close = () => {
    if (low < first && low < last) ctx.lineTo(column, low);
    if (high > first && high > last) ctx.lineTo(column, high);
    if (last !== first) ctx.lineTo(column, last);
  };
  for (let at = 0; at < x.length; at++) {
    const a = px(x[at]), b = py(y[at]), to = Math.round(a);
    if (to === column && !Number.isNaN(b)) {
      low = Math.min(low, b);
      high = Math.max(high, b);
      last = b;
      continue;
    }
    const isDown = !Number.isNaN(column);
    if (isDown) close();
    column = Number.isNaN(b) ? NaN : to;
    if (Number.isNaN(column)) continue;
    first = low = high = last = b;
    if (isDown) ctx.lineTo(a, b);
    else ctx.moveTo(a, b);
  }
  if (!Number.isNaN(column)) close();
  ctx.lineWidth = width;
  ctx.globalAlpha = opacity;
  if (x.length === 1) ctx.fillRect(px(x[0]) - 2 * width, py(y[0]) - 2 * width, 4 * width, 4 * width);
  ctx.stroke();
  ctx.globalAlpha = 1;
}

/**
 * @param {Surface} ctx
 * @param {Line} line
 * @param {(value: number) => number} px
 * @param {(value: number) => number} py
 * @param {number} bottom where a low is that a logarithmic axis can't show
 */
export function band(ctx, line, px, py, bottom) {
  const [low, high] = [/** @type {Float64Array} */ (line.low), /** @type {Float64Array} */ (line.high)];
  ctx.beginPath();
  for (let at = 0; at < line.x.length; at++) ctx.lineTo(px(line.x[at]), py(high[at]));
  for (let at = line.x.length - 1; at >= 0; at--) {
    const y = py(low[at]);
    ctx.lineTo(px(line.x[at]), Number.isNaN(y) ? bottom : y);
  }
  ctx.globalAlpha = 0.18;
  ctx.fill();
  ctx.globalAlpha = 1;
}

/** A filled shape. @param {Surface} ctx @param {number} x @param {number} y @param {number} size @param {number} shape see `shapeAt` */
export function dot(ctx, x, y, size, shape) {
  if (!shape) {
    ctx.fillRect(x - size, y - size, 2 * size, 2 * size);
    return;
  }
  ctx.beginPath();
  if (shape === 1) ctx.arc(x, y, size, 0, 2 * Math.PI);
  else {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, shape === 2 ? y + size : y);
    if (shape === 3) ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, shape === 2 ? y + size : y);
  }
  ctx.fill();
}

/**
 * Shapes along a line, by which lines of one color are distinguished.
 * @param {Surface} ctx
 * @param {Pick<Line, "x" | "y">} line
 * @param {import("./frame.js").Framed} framed
 * @param {number} ratio
 * @param {number} place in the palette
 */
export function shapes(ctx, { x, y }, { box, px, py }, ratio, place) {
  const shape = shapeAt(place);
  let next = shape ? box.left + (place % 8) * 9 * ratio : Infinity;
  for (let at = 0; at < x.length; at++) {
    const a = px(x[at]), b = py(y[at]);
    if (!(a >= next) || Number.isNaN(b)) continue;
    dot(ctx, a, b, 3.5 * ratio, shape);
    next = a + 72 * ratio;
  }
}

/**
 * NaN is a cross at the bottom, infinities are triangles at the top and bottom.
 * @param {Surface} ctx
 * @param {Pick<Line, "markX" | "markKind">} line
 * @param {(value: number) => number} px
 * @param {import("./frame.js").Box} box
 * @param {number} ratio
 */
export function marks(ctx, line, px, box, ratio) {
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
