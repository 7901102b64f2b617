// The sampling settings, and their fields in the dialog.

import { element } from "./dom.js";

const FIELDS = [
  { name: "temperature", title: "Temperature (0: the most likely token)", type: "range", min: 0, max: 1.5, step: 0.1 },
  { name: "top_p", title: "Top p", type: "range", min: 0.05, max: 1, step: 0.05 },
  { name: "min_p", title: "Min p", type: "range", min: 0, max: 0.5, step: 0.01 },
  { name: "repetition_penalty", title: "Repetition penalty", type: "range", min: 1, max: 2, step: 0.05 },
  { name: "top_k", title: "Top k (0: off)", type: "number", min: 0, max: 1000, step: 1 },
  { name: "max_tokens", title: "Maximum answer length (tokens)", type: "number", min: 1, max: 4096, step: 1 },
  { name: "seed", title: "Seed (empty: random)", type: "number", min: 0, max: 2 ** 32 - 1, step: 1 },
];

// Fills `container` with a field for each setting; `changed` is called after each valid change.
export function showSettings(container, settings, changed) {
  container.replaceChildren(
    ...FIELDS.map(({ name, title, ...attributes }) => {
      const output = element("output", {}, attributes.type === "range" ? settings[name] : "");
      const input = element("input", { id: name, ...attributes, value: settings[name] });
      input.addEventListener("input", () => {
        const empty = input.value === "";
        if (!input.checkValidity() || (empty && name !== "seed")) return;
        settings[name] = empty ? "" : Number(input.value);
        if (attributes.type === "range") output.textContent = input.value;
        changed();
      });
      const label = element("label", { for: name }, element("span", {}, title), output);
      return element("div", {}, label, input);
    }),
  );
}

// The settings as sampler.js reads them; without a seed, a random one.
export function samplingOf({ seed, ...settings }) {
  return { ...settings, seed: seed === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : seed };
}
