"use strict";
// Plays episodes, two side by side and in step. All texts are set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("replay-data").textContent);
  const region = document.getElementById("replay");
  const slider = document.getElementById("replay-slider");
  const button = document.getElementById("replay-play");
  const position = document.getElementById("replay-position");
  const spoken = document.getElementById("replay-spoken");
  const MILLISECONDS = 1200;
  let moment = 0;
  let timer = null;

  const percent = (p) => (p >= 0.9995 ? ">\u00a099.9" : p < 0.0005 ? "<\u00a00.1" : (100 * p).toFixed(1)) + "\u00a0%";
  const score = (x, digits = 3) => (x === null ? "–" : x.toFixed(digits).replace("-", "−"));
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const fill = (select, texts) => {
    select.replaceChildren(...texts.map((text, index) => new Option(text, String(index))));
  };

  class Player {
    constructor(side, run, episode) {
      this.root = document.getElementById("player-" + side);
      this.root.hidden = false;
      this.runs = this.part("choose-run");
      this.episodes = this.part("choose-episode");
      fill(this.runs, data.runs.map((each) => each.label));
      this.runs.value = String(run);
      this.list(episode);
      this.runs.addEventListener("change", () => { this.list(0); rewind(); });
      this.episodes.addEventListener("change", rewind);
    }

    part(name) {
      return this.root.getElementsByClassName(name)[0];
    }

    list(chosen) {
      fill(this.episodes, data.runs[Number(this.runs.value)].episodes.map(
        (each) => each.name + (each.index === null ? "" : ", no. " + (each.index + 1))));
      this.episodes.value = String(chosen);
    }

    get episode() {
      return data.runs[Number(this.runs.value)].episodes[Number(this.episodes.value)];
    }

    show(wanted) {
      const episode = this.episode;
      const at = Math.min(wanted, episode.steps.length);
      const end = at === episode.steps.length;
      const step = end ? null : episode.steps[at];
      const result = episode.success ? "Success" : episode.truncated ? "Time ran out"
        : episode.success === null ? "Over" : "Failure";
      this.part("which").textContent = data.runs[Number(this.runs.value)].label + ": " + episode.name;
      this.part("outcome").textContent =
        `${result}: return ${score(episode.return)} in ${episode.decisions} decisions`;
      this.picture(end ? episode.last_frame : step.frame, end ? "the end" : "decision " + (at + 1));
      const cut = episode.decisions - episode.steps.length;
      this.part("moment").textContent = end
        ? cut > 0 ? `${cut} more decisions are not kept` : "The end of the episode"
        : `Decision ${at + 1} of ${episode.decisions}`;
      this.part("prompt").textContent = end ? "" : step.prompt + " …";
      this.part("actions").hidden = end;
      this.part("numbers").hidden = end;
      if (end) return `${result}.`;
      this.part("actions").tBodies[0].replaceChildren(...step.actions.map((_, index) => this.row(step, index)));
      this.part("value").textContent = score(step.value);
      this.part("reward").textContent = score(step.reward);
      return `Decision ${at + 1}: ${step.actions[step.action]}.`;
    }

    picture(index, what) {
      const image = this.part("frame");
      const drawn = index !== null && index !== undefined && data.frames[index];
      image.hidden = !drawn;
      this.part("no-frame").hidden = Boolean(drawn);
      if (drawn) {
        image.src = "data:image/png;base64," + data.frames[index];
        image.alt = "The world at " + what + "; the text below says what matters in it";
      }
    }

    row(step, index) {
      const row = element("tr", index === step.action ? "taken" : "");
      const name = element("th", "", step.actions[index]);
      name.scope = "row";
      if (index === step.action) name.append(element("span", "tag", "taken"));
      row.append(name);
      for (const [kind, p] of [["before", step.before[index]], ["after", step.after[index]]]) {
        const field = element("td");
        const bar = element("span", "bar " + kind + "-bar");
        const inside = element("i");
        inside.style.width = (100 * p).toFixed(1) + "%";
        bar.append(inside);
        field.append(element("span", "probability", percent(p)), bar);
        row.append(field);
      }
      return row;
    }
  }

  const first = data.runs[0].episodes.length > 1 ? 1 : 0;
  const players = [new Player("left", 0, 0), new Player("right", 0, first)];
  const longest = () => Math.max(...players.map((player) => player.episode.steps.length));

  function show(wanted) {
    const last = longest();
    moment = Math.max(0, Math.min(wanted, last));
    slider.max = String(last);
    slider.value = String(moment);
    position.textContent = moment === last ? "end" : `${moment + 1} of ${last}`;
    slider.setAttribute("aria-valuetext", position.textContent);
    const [left, right] = players.map((player) => player.show(moment));
    if (timer === null) spoken.textContent = `Left: ${left} Right: ${right}`;
  }

  function rewind() {
    stop();
    show(0);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    button.setAttribute("aria-pressed", "false");
  }

  function toggle() {
    if (timer !== null) return stop();
    if (moment === longest()) show(0);
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      show(moment + 1);
      if (moment === longest()) stop();
    }, MILLISECONDS);
  }

  const KEYS = {
    ArrowLeft: () => show(moment - 1),
    ArrowRight: () => show(moment + 1),
    Home: () => show(0),
    End: () => show(longest()),
    " ": toggle,
  };
  region.tabIndex = -1; // a click anywhere in it gives it the focus, and the keys
  region.addEventListener("keydown", (event) => {
    const own = event.target instanceof HTMLSelectElement || (event.target === button && event.key === " ");
    if (own || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    if (event.key !== " ") stop();
    KEYS[event.key]();
  });
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", toggle);
  document.querySelector(".transport").hidden = false;
  show(0);
})();
