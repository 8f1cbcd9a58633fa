// What a chart is made of, on a canvas or in an SVG: curves, bands and marks of odd values.

/** @typedef {import("./api.js").Line} Line */
/** @typedef {import("./svg.js").Surface} Surface */

/**
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
  let isDown = false;
  for (let at = 0; at < x.length; at++) {
    const a = px(x[at]), b = py(y[at]);
    if (Number.isNaN(a) || Number.isNaN(b)) isDown = false;
    else if (isDown) ctx.lineTo(a, b);
    else {
      ctx.moveTo(a, b);
      isDown = true;
    }
  }
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
