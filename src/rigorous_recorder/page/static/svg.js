// A surface like a canvas, whose drawing is an SVG: shapes are vectors, and text is text.

/**
 * What charts are drawn on: a canvas, or an `Svg`.
 * @typedef {Pick<CanvasRenderingContext2D, "fillStyle" | "strokeStyle" | "lineWidth" | "globalAlpha" | "font"
 *   | "textAlign" | "textBaseline" | "lineJoin" | "imageSmoothingEnabled" | "beginPath" | "moveTo" | "lineTo" | "closePath"
 *   | "rect" | "stroke" | "fill" | "clip" | "fillRect" | "fillText" | "save" | "restore">
 *   & {arc(x: number, y: number, radius: number, start: number, end: number): void,
 *      drawImage(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void}} Surface
 */

const ANCHORS = { start: "start", left: "start", center: "middle", right: "end", end: "end" };
const SHIFTS = { alphabetic: 0, ideographic: 0, bottom: 0, middle: 0.35, top: 0.8, hanging: 0.8 };
const STATE = /** @type {const} */ (["fillStyle", "strokeStyle", "lineWidth", "globalAlpha", "font", "textAlign", "textBaseline", "lineJoin"]);

/** @implements {Surface} */
export class Svg {
  /** @param {number} width @param {number} height @param {string} ground the color behind all */
  constructor(width, height, ground) {
    this.width = width;
    this.height = height;
    /** @type {Surface["fillStyle"]} */
    this.fillStyle = "#000";
    /** @type {Surface["strokeStyle"]} */
    this.strokeStyle = "#000";
    this.lineWidth = 1;
    this.globalAlpha = 1;
    this.font = "11px sans-serif";
    /** @type {CanvasTextAlign} */
    this.textAlign = "start";
    /** @type {CanvasTextBaseline} */
    this.textBaseline = "alphabetic";
    /** @type {CanvasLineJoin} */
    this.lineJoin = "round";
    this.imageSmoothingEnabled = false;
    this.path = "";
    this.clips = 0;
    /** @type {Record<string, any>[]} */
    this.saved = [];
    /** Groups that are open since each `save`. @type {number[]} */
    this.groups = [0];
    /** @type {string[]} */
    this.parts = [`<rect width="${width}" height="${height}" fill="${escaped(ground)}"/>`];
  }

  beginPath() {
    this.path = "";
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.path += `M${rounded(x)} ${rounded(y)}`;
  }

  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.path += `${this.path ? "L" : "M"}${rounded(x)} ${rounded(y)}`;
  }

  closePath() {
    this.path += "Z";
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  rect(x, y, width, height) {
    this.path += `M${rounded(x)} ${rounded(y)}h${rounded(width)}v${rounded(height)}h${rounded(-width)}Z`;
  }

  /** A whole circle. @param {number} x @param {number} y @param {number} radius */
  arc(x, y, radius) {
    const r = rounded(radius), d = rounded(2 * radius);
    this.path += `M${rounded(x - radius)} ${rounded(y)}a${r} ${r} 0 1 0 ${d} 0a${r} ${r} 0 1 0 -${d} 0`;
  }

  stroke() {
    const width = rounded(this.lineWidth);
    if (this.path) this.parts.push(`<path d="${this.path}" fill="none" stroke="${escaped(this.strokeStyle)}" stroke-width="${width}" stroke-linejoin="${this.lineJoin}"${this.opacity()}/>`);
  }

  fill() {
    if (this.path) this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}"${this.opacity()}/>`);
  }

  clip() {
    this.clips += 1;
    this.parts.push(`<clipPath id="c${this.clips}"><path d="${this.path}"/></clipPath><g clip-path="url(#c${this.clips})">`);
    this.groups[this.groups.length - 1] += 1;
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) {
    const [left, top] = [Math.min(x, x + width), Math.min(y, y + height)];
    this.parts.push(`<rect x="${rounded(left)}" y="${rounded(top)}" width="${rounded(Math.abs(width))}" height="${rounded(Math.abs(height))}" fill="${escaped(this.fillStyle)}"${this.opacity()}/>`);
  }

  /** @param {string} text @param {number} x @param {number} y */
  fillText(text, x, y) {
    const [size] = /[\d.]+(?=px)/.exec(this.font) ?? ["11"];
    const family = this.font.slice(this.font.indexOf("px") + 2).trim();
    const down = y + (SHIFTS[this.textBaseline] ?? 0) * Number(size);
    this.parts.push(`<text x="${rounded(x)}" y="${rounded(down)}" font-size="${size}" font-family="${escaped(family)}" fill="${escaped(this.fillStyle)}" text-anchor="${ANCHORS[this.textAlign]}"${this.opacity()}>${escaped(text)}</text>`);
  }

  /** @param {HTMLCanvasElement} image @param {number} x @param {number} y @param {number} width @param {number} height */
  drawImage(image, x, y, width, height) {
    this.parts.push(`<image x="${rounded(x)}" y="${rounded(y)}" width="${rounded(width)}" height="${rounded(height)}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${image.toDataURL()}"/>`);
  }

  save() {
    this.saved.push(Object.fromEntries(STATE.map((name) => [name, this[name]])));
    this.groups.push(0);
  }

  restore() {
    Object.assign(this, this.saved.pop());
    this.parts.push("</g>".repeat(this.groups.pop() ?? 0));
  }

  opacity() {
    return this.globalAlpha < 1 ? ` opacity="${rounded(this.globalAlpha)}"` : "";
  }

  /** The picture as a file. @param {string} title */
  blob(title) {
    const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}">`;
    return new Blob([`${head}<title>${escaped(title)}</title>`, ...this.parts, "</svg>\n"], { type: "image/svg+xml" });
  }
}

/** Text for XML, which has neither markup nor control characters. @param {unknown} text */
function escaped(text) {
  return String(text)
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** @param {number} value */
function rounded(value) {
  return Math.round(value * 100) / 100;
}
