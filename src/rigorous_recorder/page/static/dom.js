// Elements by code: all text is text, never markup.

/**
 * An element with properties, listeners (`onclick`) and children.
 * @param {string} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) /** @type {any} */ (made)[key] = value;
    else made.setAttribute(key, String(value));
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/**
 * Call a function once after the last of several calls.
 * @param {number} milliseconds
 * @param {() => void} call
 */
export function after(milliseconds, call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds);
  };
}

/** Let a chart fill the window, or not; whether this changed. @param {HTMLElement} place @param {boolean} isFull @param {() => void} leave */
export function fill(place, isFull, leave) {
  if (place.classList.contains("full") === isFull) return false;
  place.classList.toggle("full", isFull);
  document.onkeydown = isFull ? (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && leave() : null;
  place.tabIndex = isFull ? 0 : -1;
  if (isFull) place.focus();
  return true;
}

/** A number as people read it. @param {number} value */
export function shown(value) {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return value.toLocaleString("en");
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(5))) : String(Number(value.toPrecision(4)).toExponential());
}

/** A number of things. @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Seconds as people read them. @param {number | null} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A color, in the shape that tells lines of one color apart. @param {string} color @param {number} [shape] */
export function swatch(color, shape = 0) {
  const made = element("span", { className: `swatch shape${shape}` });
  made.style.background = color;
  return made;
}
