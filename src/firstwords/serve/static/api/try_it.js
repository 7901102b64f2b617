// The form that sends a chat request, and shows the answer and the whole response.

import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { root } from "./examples.js";

export function startTryIt(form, models) {
  const { model, message, temperature, key, answer, response, whole } = form;
  model.replaceChildren(
    element("option", { value: "default" }, "default"),
    ...models.map(({ id, chat }) =>
      element("option", { value: id }, chat ? id : `${id} (continues text)`),
    ),
  );
  key.value = loadSettings().key;
  let isWaiting = false;
  form.node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isWaiting) return; // a disabled button would lose the focus
    isWaiting = true;
    answer.textContent = "Waiting for the answer.";
    whole.hidden = true;
    const body = {
      model: model.value,
      messages: [{ role: "user", content: message.value }],
      temperature: Number(temperature.value),
    };
    try {
      const document = await post(body, key.value);
      answer.textContent = document.error?.message ?? textOf(document);
      answer.classList.toggle("error", "error" in document);
      response.textContent = JSON.stringify(document, null, 2);
      whole.hidden = false;
    } catch {
      answer.textContent = "The server does not answer. Is it still running?";
      answer.classList.add("error");
    }
    isWaiting = false;
  });
}

function textOf(document) {
  const { content, reasoning_content: calls } = document.choices[0].message;
  const text = content || "(an empty answer)";
  return calls ? `${text}\n\nCalculator: ${calls.replaceAll("\n", "; ")}` : text;
}

async function post(body, key) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const url = `${root}v1/chat/completions`;
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}
