// The colors of lines: apart also for the color-blind, and from the ground they are drawn on.

const ON_LIGHT = ["#4b46a2", "#e90014", "#779c7d", "#d660b6", "#94954b", "#1b97ff", "#3f0030", "#00635f", "#554026", "#4664ff"];
const ON_DARK = ["#92b8ff", "#dd8c23", "#7fc082", "#bf7ea8", "#fdc800", "#91ecf6", "#c41c61", "#b4ffd6", "#837734", "#7864c2"];

/** Whether the page is dark now. */
export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The color of the line at a position, which can be negative. @param {number} at */
export function colorAt(at) {
  const colors = isDark() ? ON_DARK : ON_LIGHT;
  return colors[((at % colors.length) + colors.length) % colors.length];
}
