// Whether the server answers: a line while it does not, and one when it is back.

const POLL_SECONDS = 15; // a run in training gets newer checkpoints and stages
const RETRY_SECONDS = 3;

// `refresh()` asks the server for its models; `show(text, kind)` shows the line. A kind is "away",
// "key", "back" or "".
export class ServerWatch {
  constructor(refresh, show) {
    Object.assign(this, { refresh, show, away: false, timer: null });
    addEventListener("online", () => this.check());
    document.addEventListener("visibilitychange", () => document.hidden || this.check());
  }

  async check() {
    clearTimeout(this.timer);
    this.checking ??= this.ask().finally(() => (this.checking = null));
    return this.checking;
  }

  async ask() {
    try {
      await this.refresh();
      this.show(this.away ? "The server is back." : "", this.away ? "back" : "");
      this.away = false;
    } catch (error) {
      this.away = error.status !== 401;
      if (this.away) this.show("The server does not answer. Asking again every 3 seconds.", "away");
      else this.show("The server needs its API key. Enter it in the settings.", "key");
    }
    const seconds = this.away ? RETRY_SECONDS : POLL_SECONDS;
    this.timer = setTimeout(() => (document.hidden ? null : this.check()), 1000 * seconds);
  }
}
