// Questions in a dialog of the page: a frame of another site can't open those of the browser.

import { element } from "./dom.js";

/**
 * The answer; null if it is cancelled. Without a text to begin with, it is only whether to go on.
 * @param {string} question
 * @param {string} [text]
 * @returns {Promise<string | null>}
 */
export function ask(question, text) {
  const input = text === undefined ? null : element("input", { value: text, "aria-label": question });
  const cancel = element("button", { type: "button", onclick: () => place.close() }, "Cancel");
  const place = element("dialog", { "aria-label": question }, element("form", { method: "dialog" }, element("span", {}, question), input,
    element("div", { className: "buttons" }, cancel, element("button", { value: "yes" }, "OK"))));
  document.body.append(place);
  place.showModal();
  (input ?? cancel).focus();
  input?.select();
  return new Promise((resolve) => {
    place.addEventListener("close", () => {
      place.remove();
      resolve(place.returnValue === "yes" ? input?.value ?? "" : null);
    });
  });
}
