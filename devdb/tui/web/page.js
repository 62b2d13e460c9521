"use strict";
// What terminal.js keeps to itself: that one can type at once, and why the tab has ended.
const Given = window.WebSocket;
window.WebSocket = class extends Given {
  constructor(...words) {
    super(...words);
    this.addEventListener("open", () => {
      document.querySelector(".xterm-helper-textarea").focus();
    });
    this.addEventListener("close", ({ code, reason }) => {
      const untold =
        code === 1009
          ? "What was pasted is longer than devdb takes. Reload this tab."
          : "devdb does not answer any more. Does devdb up --web still run?";
      document.querySelector(".ended[role=alert]").textContent = reason || untold;
    });
  }
};
